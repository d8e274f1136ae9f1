import { data, type HostNetworkInfo, type HostPortGroup, type PhysicalNic, type Properties } from '@hypostyle/vim';
import type { Networks } from './networks.ts';
import type { PhysicalPort } from './physical-ports.ts';

const switchName = 'vSwitch0';
const switchKey = `key-vim.host.VirtualSwitch-${switchName}`;
/** Adapters take no ports from each other: as many as a switch may be said to have. */
const ports = 4096;

/**
 * The host's networks as a switch with port groups, which is how clients of hosts look for them. No port of the machine
 * is an uplink: what adapters send is translated, and goes out by the machine's own routes.
 */
export function hostNetworkInfo(hostName: string, own: readonly PhysicalPort[], networks: Networks): HostNetworkInfo {
  const groups = networks.all().map((network) => portGroup(network.name));
  return data('HostNetworkInfo', {
    vswitch: [
      data('HostVirtualSwitch', {
        name: switchName,
        key: switchKey,
        numPorts: ports,
        numPortsAvailable: ports,
        mtu: 1500,
        portgroup: groups.map(({ key = '' }) => key),
        pnic: [],
        spec: data('HostVirtualSwitchSpec', { numPorts: ports, mtu: 1500, policy: data('HostNetworkPolicy', {}) }),
      }),
    ],
    portgroup: groups,
    pnic: own.map(physicalNic),
    vnic: [],
    consoleVnic: [],
    dnsConfig: data('HostDnsConfig', { dhcp: false, hostName, domainName: '', address: [] }),
  });
}

/** The same as what the host was told to be. */
export function networkProperties(networkInfo: HostNetworkInfo): Partial<Properties<'HostNetworkSystem'>> {
  const { vswitch = [], portgroup = [], pnic = [], dnsConfig } = networkInfo;
  return {
    capabilities,
    networkInfo,
    networkConfig: data('HostNetworkConfig', {
      vswitch: vswitch.map(({ name, spec }) => data('HostVirtualSwitchConfig', { name, spec })),
      portgroup: portgroup.map(({ spec }) => data('HostPortGroupConfig', { spec })),
      pnic: pnic.map(({ device, spec }) => data('PhysicalNicConfig', { device, spec })),
      vnic: [],
      ...(dnsConfig === undefined ? {} : { dnsConfig }),
    }),
    ...(dnsConfig === undefined ? {} : { dnsConfig }),
  };
}

const capabilities = data('HostNetCapabilities', {
  canSetPhysicalNicLinkSpeed: false,
  supportsNicTeaming: false,
  supportsVlan: false,
  usesServiceConsoleNic: false,
  supportsNetworkHints: false,
  vswitchConfigSupported: false,
  vnicConfigSupported: false,
  ipRouteConfigSupported: false,
  dnsConfigSupported: false,
  dhcpOnVnicSupported: false,
  ipV6Supported: false,
});

function portGroup(name: string): HostPortGroup {
  return data('HostPortGroup', {
    key: `key-vim.host.PortGroup-${name}`,
    vswitch: switchKey,
    computedPolicy: data('HostNetworkPolicy', {}),
    spec: data('HostPortGroupSpec', {
      name,
      vlanId: 0,
      vswitchName: switchName,
      policy: data('HostNetworkPolicy', {}),
    }),
  });
}

function physicalNic({ device, mac, pci, driver, link }: PhysicalPort): PhysicalNic {
  return data('PhysicalNic', {
    key: `key-vim.host.PhysicalNic-${device}`,
    device,
    pci,
    ...(driver === undefined ? {} : { driver }),
    ...(link === undefined ? {} : { linkSpeed: data('PhysicalNicLinkInfo', link) }),
    spec: data('PhysicalNicSpec', {}),
    wakeOnLanSupported: false,
    mac,
  });
}
