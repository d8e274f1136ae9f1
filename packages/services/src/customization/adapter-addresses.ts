import { isIP } from 'node:net';
import { type CustomizationSpec, fault, isData } from '@hypostyle/vim';

type Settings = NonNullable<CustomizationSpec['nicSettingMap']>[number]['adapter'];

/** What an adapter of the guest is told, whichever system reads it. */
export interface AdapterAddresses {
  /** Address and prefix length; undefined: by DHCP. */
  readonly ipv4: string | undefined;
  readonly ipv4Gateways: readonly string[];
  /** Addresses and prefix lengths. */
  readonly ipv6: readonly string[];
  readonly ipv6Gateways: readonly string[];
  readonly nameServers: readonly string[];
  /** Domain of the adapter's own connection. */
  readonly domain: string | undefined;
}

/** Settings of an adapter, checked. Throws CustomizationFault. */
export function addressesOf(settings: Settings): AdapterAddresses {
  return {
    ipv4: fixedAddress(settings),
    ipv4Gateways: checked(settings.gateway, 4),
    ipv6: (settings.ipV6Spec?.ip ?? []).flatMap((each) =>
      isData('CustomizationFixedIpV6', each) ? [`${checked([each.ipAddress], 6)}/${each.subnetMask}`] : [],
    ),
    ipv6Gateways: checked(settings.ipV6Spec?.gateway, 6),
    nameServers: checked(settings.dnsServerList),
    domain: settings.dnsDomain || undefined,
  };
}

/** Addresses as they were given. Throws CustomizationFault for what is none of that version, or of any. */
export function checked(addresses: readonly string[] | undefined, version?: 4 | 6): readonly string[] {
  for (const address of addresses ?? []) {
    const found = isIP(address);
    if (found === 0 || (version !== undefined && found !== version))
      throw fault(
        'CustomizationFault',
        {},
        `'${address.slice(0, 60)}' is no IP${version ? `v${version}` : ''} address.`,
      );
  }
  return addresses ?? [];
}

function fixedAddress({ ip, subnetMask }: Settings): string | undefined {
  if (isData('CustomizationDhcpIpGenerator', ip)) return undefined;
  const { ipAddress } = ip as { readonly ipAddress?: string };
  if (ipAddress === undefined)
    throw fault('CustomizationFault', {}, 'An address is either fixed or given by DHCP here.');
  return `${checked([ipAddress], 4)}/${prefixOf(subnetMask)}`;
}

function prefixOf(mask: string | undefined): number {
  const octets = (mask ?? '').split('.').map(Number);
  const bits = octets.map((octet) => octet.toString(2).padStart(8, '0')).join('');
  if (octets.length !== 4 || octets.some((octet) => !(octet >= 0 && octet <= 255)) || !/^1+0*$/.test(bits))
    throw fault('CustomizationFault', {}, `A fixed address needs a subnet mask; '${mask ?? ''}' is none.`);
  return bits.indexOf('0') === -1 ? 32 : bits.indexOf('0');
}
