import { type CustomizationSpec, data } from '@hypostyle/vim';
import { invalidArgument } from '../errors.ts';
import { defined } from '../schemas/common.ts';
import type { AdapterMapping, GuestCustomization, HostnameGenerator, WindowsSysprep } from './guest-schemas.ts';

/** The guest family of a specification, as `CustomizationSpecInfo.type` has it. Fails with `invalid_argument`. */
export function familyOf({ configuration_spec: configuration }: GuestCustomization): 'Linux' | 'Windows' {
  only('configuration_spec', configuration);
  return configuration.windows_config === undefined ? 'Linux' : 'Windows';
}

/** A specification in the words of the object model. Fails with `invalid_argument`, naming the member. */
export function toSpecification(guest: GuestCustomization): CustomizationSpec {
  const isWindows = familyOf(guest) === 'Windows';
  const dns = either('global_DNS_settings', guest.global_DNS_settings, guest.global_dns_settings);
  const mappings = (guest.interfaces ?? []).map((mapping, index) => mappingOf(mapping, `interfaces[${index}]`));
  return data('CustomizationSpec', {
    options: isWindows
      ? data('CustomizationWinOptions', {
          changeSID: true,
          deleteAccounts: false,
          ...defined({ reboot: reboots[guest.configuration_spec.windows_config?.reboot ?? 'none'] }),
        })
      : data('CustomizationLinuxOptions', {}),
    identity: identityOf(guest),
    globalIPSettings: data(
      'CustomizationGlobalIPSettings',
      defined({ dnsSuffixList: listOf(dns?.dns_suffix_list), dnsServerList: listOf(dns?.dns_servers) }),
    ),
    ...(mappings.length === 0 ? {} : { nicSettingMap: mappings }),
  });
}

const reboots = { REBOOT: 'reboot', NO_REBOOT: 'noreboot', SHUTDOWN: 'shutdown', none: undefined } as const;

function identityOf({ configuration_spec: configuration }: GuestCustomization): CustomizationSpec['identity'] {
  const { linux_config: linux, windows_config: windows, cloud_config: cloud } = configuration;
  if (linux !== undefined)
    return data('CustomizationLinuxPrep', {
      hostName: nameOf(linux.hostname, 'linux_config.hostname'),
      domain: linux.domain,
      hwClockUTC: true,
      ...defined({
        timeZone: linux.time_zone,
        scriptText: linux.script_text,
        compatibleCustomizationMethod: linux.compatible_customization_method,
      }),
    });
  if (cloud !== undefined)
    return data(
      'CustomizationCloudinitPrep',
      defined({ ...needed('cloud_config.cloudinit', cloud.cloudinit) }) as { metadata: string; userdata?: string },
    );
  const { sysprep, sysprep_xml: answerFile } = needed('windows_config', windows);
  if (sysprep !== undefined && answerFile !== undefined)
    throw invalidArgument('windows_config has sysprep or sysprep_xml, not both.');
  if (sysprep !== undefined) return sysprepOf(sysprep);
  return data('CustomizationSysprepText', { value: needed('windows_config.sysprep', answerFile) });
}

function sysprepOf({ gui_run_once_commands: commands, user_data: user, domain, gui_unattended: gui }: WindowsSysprep) {
  return data('CustomizationSysprep', {
    guiUnattended: data('CustomizationGuiUnattended', {
      autoLogon: gui.auto_logon,
      autoLogonCount: gui.auto_logon_count,
      timeZone: gui.time_zone,
      ...(gui.password === undefined ? {} : { password: passwordOf(gui.password) }),
    }),
    userData: data('CustomizationUserData', {
      computerName: nameOf(user.computer_name, 'user_data.computer_name'),
      fullName: user.full_name,
      orgName: user.organization,
      productId: user.product_key,
    }),
    ...(commands === undefined || commands.length === 0
      ? {}
      : { guiRunOnce: data('CustomizationGuiRunOnce', { commandList: commands }) }),
    identification: domainOf(domain),
  });
}

function domainOf(domain: WindowsSysprep['domain']) {
  if (domain === undefined) return data('CustomizationIdentification', {});
  if (domain.type === 'WORKGROUP')
    return data('CustomizationIdentification', { joinWorkgroup: needed('domain.workgroup', domain.workgroup) });
  return data('CustomizationIdentification', {
    joinDomain: needed('domain.domain', domain.domain),
    domainAdmin: needed('domain.domain_username', domain.domain_username),
    domainAdminPassword: passwordOf(needed('domain.domain_password', domain.domain_password)),
    ...defined({ domainOU: either('domain.domain_OU', domain.domain_OU, domain.domain_ou) }),
  });
}

function passwordOf(value: string) {
  return data('CustomizationPassword', { value, plainText: true });
}

function nameOf({ type, fixed_name: fixed, prefix }: HostnameGenerator, where: string) {
  if (type === 'FIXED') return data('CustomizationFixedName', { name: needed(`${where}.fixed_name`, fixed) });
  if (type === 'PREFIX') return data('CustomizationPrefixName', { base: needed(`${where}.prefix`, prefix) });
  return type === 'VIRTUAL_MACHINE'
    ? data('CustomizationVirtualMachineName', {})
    : data('CustomizationUnknownName', {});
}

function mappingOf({ mac_address: macAddress, adapter: { ipv4, ipv6, windows } }: AdapterMapping, where: string) {
  const four = needed(`${where}.adapter.ipv4`, ipv4);
  const isStatic = four.type === 'STATIC';
  const [primaryWINS, secondaryWINS] = windows?.wins_servers ?? [];
  return data('CustomizationAdapterMapping', {
    ...defined({ macAddress }),
    adapter: data('CustomizationIPSettings', {
      ip: isStatic
        ? data('CustomizationFixedIp', { ipAddress: needed(`${where}.adapter.ipv4.ip_address`, four.ip_address) })
        : four.type === 'DHCP'
          ? data('CustomizationDhcpIpGenerator', {})
          : data('CustomizationUnknownIpGenerator', {}),
      ...(isStatic ? { subnetMask: maskOf(needed(`${where}.adapter.ipv4.prefix`, four.prefix)) } : {}),
      ...defined({
        gateway: listOf(four.gateways),
        ipV6Spec: ipv6 === undefined ? undefined : ipv6Of(ipv6, where),
        dnsServerList: listOf(windows?.dns_servers),
        dnsDomain: windows?.dns_domain,
        primaryWINS,
        secondaryWINS,
        netBIOS: netBios[either(`${where}.net_BIOS_mode`, windows?.net_BIOS_mode, windows?.net_bios_mode) ?? 'none'],
      }),
    }),
  });
}

const netBios = {
  USE_DHCP: 'enableNetBIOSViaDhcp',
  ENABLE: 'enableNetBIOS',
  DISABLE: 'disableNetBIOS',
  none: undefined,
} as const;

function ipv6Of({ type, ipv6: fixed = [], gateways }: NonNullable<AdapterMapping['adapter']['ipv6']>, where: string) {
  if (type === 'STATIC' && fixed.length === 0) throw invalidArgument(`${where}.adapter.ipv6.ipv6 is needed.`);
  return data('CustomizationIPSettingsIpV6AddressSpec', {
    ip:
      type === 'STATIC'
        ? fixed.map(({ ip_address: ipAddress, prefix }) =>
            data('CustomizationFixedIpV6', { ipAddress, subnetMask: prefix }),
          )
        : [
            type === 'DHCP'
              ? data('CustomizationDhcpIpV6Generator', {})
              : data('CustomizationUnknownIpV6Generator', {}),
          ],
    ...defined({ gateway: listOf(gateways) }),
  });
}

/** `255.255.255.0` of 24. */
function maskOf(prefix: number): string {
  return [0, 8, 16, 24].map((from) => 256 - 2 ** (8 - Math.min(8, Math.max(0, prefix - from)))).join('.');
}

function listOf(list: readonly string[] | undefined): readonly string[] | undefined {
  return list === undefined || list.length === 0 ? undefined : list;
}

function needed<T>(where: string, value: T | undefined): T {
  if (value === undefined) throw invalidArgument(`${where} is needed.`);
  return value;
}

function either<T>(where: string, one: T | undefined, other: T | undefined): T | undefined {
  if (one !== undefined && other !== undefined) throw invalidArgument(`${where} is given twice.`);
  return one ?? other;
}

function only(where: string, members: Readonly<Record<string, unknown>>): void {
  const given = Object.values(members).filter((member) => member !== undefined);
  if (given.length !== 1)
    throw invalidArgument(`${where} has one of windows_config, linux_config and cloud_config, not ${given.length}.`);
}
