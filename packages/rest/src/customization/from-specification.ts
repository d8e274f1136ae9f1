import { type CustomizationIdentification, type CustomizationSpec, isData } from '@hypostyle/vim';
import { AutomationError } from '../errors.ts';
import { defined } from '../schemas/common.ts';
import type { AdapterMapping, GuestCustomization, HostnameGenerator, WindowsSysprep } from './guest-schemas.ts';

type Mapping = NonNullable<CustomizationSpec['nicSettingMap']>[number];
type Identity = CustomizationSpec['identity'];

/**
 * A specification of the object model in the words of this interface; `blank`: without its passwords. Fails with
 * `unsupported` for what this interface has no words for.
 */
export function fromSpecification(spec: CustomizationSpec, { blank = false } = {}): GuestCustomization {
  const { dnsSuffixList, dnsServerList } = spec.globalIPSettings;
  return {
    configuration_spec: configurationOf(spec, blank),
    global_DNS_settings: defined({ dns_suffix_list: copyOf(dnsSuffixList), dns_servers: copyOf(dnsServerList) }),
    interfaces: (spec.nicSettingMap ?? []).map(mappingOf),
  };
}

function configurationOf({ identity, options }: CustomizationSpec, blank: boolean) {
  if (isData('CustomizationLinuxPrep', identity))
    return {
      linux_config: {
        hostname: nameOf(identity.hostName),
        domain: identity.domain,
        ...defined({
          time_zone: identity.timeZone,
          script_text: identity.scriptText,
          compatible_customization_method: identity.compatibleCustomizationMethod,
        }),
      },
    };
  if (isData('CustomizationCloudinitPrep', identity)) {
    const { metadata, userdata } = identity;
    return { cloud_config: { type: 'CLOUDINIT' as const, cloudinit: { metadata, ...defined({ userdata }) } } };
  }
  const reboot = options !== undefined && isData('CustomizationWinOptions', options) ? options.reboot : undefined;
  return {
    windows_config: {
      ...(reboot === undefined ? {} : { reboot: reboots[reboot] }),
      ...windowsOf(identity, blank),
    },
  };
}

const reboots = { reboot: 'REBOOT', noreboot: 'NO_REBOOT', shutdown: 'SHUTDOWN' } as const;

function windowsOf(identity: Identity, blank: boolean) {
  if (isData('CustomizationSysprepText', identity)) return { sysprep_xml: identity.value };
  if (!isData('CustomizationSysprep', identity)) throw noWords(identity._typeName);
  const { guiUnattended: gui, userData: user, guiRunOnce, identification } = identity;
  const sysprep: WindowsSysprep = {
    ...(guiRunOnce === undefined ? {} : { gui_run_once_commands: [...guiRunOnce.commandList] }),
    user_data: {
      computer_name: nameOf(user.computerName),
      full_name: user.fullName,
      organization: user.orgName,
      product_key: user.productId,
    },
    ...domainOf(identification, blank),
    gui_unattended: {
      auto_logon: gui.autoLogon,
      auto_logon_count: gui.autoLogonCount,
      time_zone: gui.timeZone,
      ...defined({ password: passwordOf(gui.password, blank) }),
    },
  };
  return { sysprep };
}

function domainOf(identification: CustomizationIdentification, blank: boolean): Pick<WindowsSysprep, 'domain'> {
  const { joinWorkgroup, joinDomain, domainAdmin, domainAdminPassword, domainOU } = identification;
  if (joinDomain !== undefined)
    return {
      domain: {
        type: 'DOMAIN',
        domain: joinDomain,
        ...defined({
          domain_username: domainAdmin,
          domain_password: passwordOf(domainAdminPassword, blank),
          domain_OU: domainOU,
        }),
      },
    };
  return joinWorkgroup === undefined ? {} : { domain: { type: 'WORKGROUP', workgroup: joinWorkgroup } };
}

/** One that is sealed by a key is nothing that could be given back. */
function passwordOf(password: CustomizationIdentification['domainAdminPassword'], blank: boolean): string | undefined {
  if (password === undefined) return undefined;
  return blank || !password.plainText ? '' : password.value;
}

function nameOf(name: { readonly _typeName?: string }): HostnameGenerator {
  if (isData('CustomizationFixedName', name)) return { type: 'FIXED', fixed_name: name.name };
  if (isData('CustomizationPrefixName', name)) return { type: 'PREFIX', prefix: name.base };
  if (isData('CustomizationVirtualMachineName', name)) return { type: 'VIRTUAL_MACHINE' };
  if (isData('CustomizationUnknownName', name)) return { type: 'USER_INPUT_REQUIRED' };
  throw noWords(name._typeName);
}

function mappingOf({ macAddress, adapter }: Mapping): AdapterMapping {
  const { ip, subnetMask, gateway, ipV6Spec, dnsServerList, dnsDomain, primaryWINS, secondaryWINS, netBIOS } = adapter;
  const wins = [primaryWINS, secondaryWINS].filter((server) => server !== undefined);
  const windows = defined({
    dns_servers: copyOf(dnsServerList),
    dns_domain: dnsDomain,
    wins_servers: wins.length === 0 ? undefined : wins,
    net_BIOS_mode: netBIOS === undefined ? undefined : netBios[netBIOS],
  });
  const gateways = defined({ gateways: copyOf(gateway) });
  return {
    ...defined({ mac_address: macAddress }),
    adapter: {
      ipv4: isData('CustomizationFixedIp', ip)
        ? { type: 'STATIC', ip_address: ip.ipAddress, ...defined({ prefix: prefixOf(subnetMask) }), ...gateways }
        : { type: kindOf(ip), ...gateways },
      ...(ipV6Spec === undefined ? {} : { ipv6: ipv6Of(ipV6Spec) }),
      ...(Object.keys(windows).length === 0 ? {} : { windows }),
    },
  };
}

const netBios = { enableNetBIOSViaDhcp: 'USE_DHCP', enableNetBIOS: 'ENABLE', disableNetBIOS: 'DISABLE' } as const;

function kindOf(ip: { readonly _typeName?: string }): 'DHCP' | 'USER_INPUT_REQUIRED' {
  if (/^CustomizationDhcpIp(V6)?Generator$/.test(ip._typeName ?? '')) return 'DHCP';
  if (/^CustomizationUnknownIp(V6)?Generator$/.test(ip._typeName ?? '')) return 'USER_INPUT_REQUIRED';
  throw noWords(ip._typeName);
}

function ipv6Of({ ip, gateway }: NonNullable<Mapping['adapter']['ipV6Spec']>) {
  const gateways = defined({ gateways: copyOf(gateway) });
  const fixed = ip.flatMap((one) => (isData('CustomizationFixedIpV6', one) ? [one] : []));
  const [first] = ip;
  if (fixed.length === 0) return { type: first === undefined ? ('DHCP' as const) : kindOf(first), ...gateways };
  return {
    type: 'STATIC' as const,
    ipv6: fixed.map(({ ipAddress, subnetMask }) => ({ ip_address: ipAddress, prefix: subnetMask })),
    ...gateways,
  };
}

/** 24 of `255.255.255.0`; undefined for what is no mask. */
function prefixOf(mask: string | undefined): number | undefined {
  if (mask === undefined || !/^\d{1,3}(\.\d{1,3}){3}$/.test(mask)) return undefined;
  const bits = mask
    .split('.')
    .map((part) => Number(part).toString(2).padStart(8, '0'))
    .join('');
  return /^1*0*$/.test(bits) && bits.length === 32 ? bits.replaceAll('0', '').length : undefined;
}

function copyOf(list: readonly string[] | undefined): string[] | undefined {
  return list === undefined ? undefined : [...list];
}

function noWords(type: string | undefined): AutomationError {
  return new AutomationError('unsupported', `This interface has no words for ${type ?? 'what it says'}; SOAP has.`);
}
