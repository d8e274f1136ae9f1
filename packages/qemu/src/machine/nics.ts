import { isIPv4 } from 'node:net';
import type { NicHardware, NicModel, PortForward } from '@hypostyle/contracts';
import { qemuErrors } from '../errors.ts';
import { type Device, deviceId, maxNics, pciAddress, pciSlot } from './device.ts';

/** VMware's E1000 is an 82545EM. */
const drivers: { readonly [model in NicModel]: string } = {
  vlance: 'pcnet',
  e1000: 'e1000-82545em',
  e1000e: 'e1000e',
  vmxnet3: 'vmxnet3',
  virtio: 'virtio-net-pci',
};

export interface NicArguments {
  readonly device: Device;
  /** Value of `-netdev`. */
  readonly netdev: string | undefined;
}

/** A NIC and where its frames go. `bootIndex`: position in the boot order; without it the boot ROM is left out. */
export function nicArguments(nic: NicHardware, index: number, bootIndex: number | undefined): NicArguments {
  const device = nicDevice(nic, index, bootIndex !== undefined);
  const netdev = netdevOf(nic);
  const forwards = netdev?.hostfwd.map(({ str }) => `hostfwd=${str}`) ?? [];
  return {
    device: bootIndex === undefined ? device : { ...device, bootindex: bootIndex },
    netdev: netdev && [netdev.type, `id=${netdev.id}`, ...forwards].join(','),
  };
}

/** `bootable`: with a boot ROM. */
export function nicDevice(nic: NicHardware, index: number, bootable: boolean): Device {
  const slot = nic.slot ?? index;
  if (slot < 0 || slot >= maxNics)
    throw qemuErrors.unsupported(`NIC ${nic.id}: a machine has ${maxNics} NICs at most.`);
  const netdev = netdevOf(nic)?.id;
  return {
    driver: drivers[nic.model],
    id: deviceId.nic(nic.id),
    mac: nic.mac,
    addr: pciAddress(pciSlot.nic + slot),
    ...(netdev ? { netdev } : {}),
    ...(bootable ? {} : { romfile: '' }),
  };
}

/** Where the frames of a NIC go, as the engine's monitor takes it. */
export function netdevOf({ id, network }: NicHardware) {
  if (network.kind !== 'nat') return undefined;
  const hostfwd = network.forwards.map((one) => ({ str: forward(one) }));
  return { type: 'user', id: `${deviceId.nic(id)}-net`, hostfwd };
}

function forward({ protocol, hostAddress, hostPort, guestPort }: PortForward): string {
  if (!isIPv4(hostAddress)) throw qemuErrors.unsupported(`Port forward from ${hostAddress}: not an IPv4 address.`);
  for (const port of [hostPort, guestPort]) {
    if (!Number.isInteger(port) || port < 1 || port > 65535) throw qemuErrors.unsupported(`Port ${port} is no port.`);
  }
  return `${protocol === 'udp' ? 'udp' : 'tcp'}:${hostAddress}:${hostPort}-:${guestPort}`;
}
