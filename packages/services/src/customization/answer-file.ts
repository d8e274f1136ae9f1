import { formatXml, OvfError, type XmlElement } from '@hypostyle/ovf';
import { type CustomizationSpec, type CustomizationSysprep, fault } from '@hypostyle/vim';
import { addressesOf, checked } from './adapter-addresses.ts';
import type { CustomizedMachine } from './customized-machine.ts';
import { guestName, longestName } from './guest-name.ts';
import { windowsTimeZone } from './windows-time-zones.ts';

const unattend = 'urn:schemas-microsoft-com:unattend';
const wcm = 'http://schemas.microsoft.com/WMIConfig/2002/State';
/** Setup passes over components of another processor than its own. */
const architectures = ['amd64', 'x86'] as const;
/** Values of NetbiosOptions. */
const netBios: Readonly<Record<string, string>> = {
  enableNetBIOSViaDhcp: '0',
  enableNetBIOS: '1',
  disableNetBIOS: '2',
};

interface Component {
  readonly name: string;
  readonly settings: readonly XmlElement[];
}

/**
 * The answer file by which Windows' Setup tells a generalized installation who it is (Windows Setup Reference: passes
 * `specialize` and `oobeSystem`). Throws CustomizationFault for what it has no word for.
 */
export function answerFile(
  spec: CustomizationSpec,
  identity: CustomizationSysprep,
  machine: CustomizedMachine,
): { readonly text: string; readonly hostName: string } {
  const { guiUnattended, userData } = identity;
  const hostName = guestName(userData.computerName, machine.name, longestName.windows);
  const timeZone = windowsTimeZone(guiUnattended.timeZone);
  if (timeZone === undefined)
    throw fault('CustomizationFault', {}, `${guiUnattended.timeZone} is no index of a time zone of Windows.`);
  const owner = [text('RegisteredOrganization', userData.orgName), text('RegisteredOwner', userData.fullName)];
  const specialize = [
    component('Microsoft-Windows-Shell-Setup', [
      text('ComputerName', hostName),
      ...(userData.productId === '' ? [] : [text('ProductKey', userData.productId)]),
      ...owner,
      text('TimeZone', timeZone),
    ]),
    component('Microsoft-Windows-UnattendedJoin', identification(identity.identification)),
    ...networkComponents(spec, machine),
  ];
  const oobeSystem = [
    component('Microsoft-Windows-Shell-Setup', [
      ...signIn(guiUnattended),
      ...firstCommands(identity.guiRunOnce?.commandList ?? []),
      branch('OOBE', [
        text('HideEULAPage', 'true'),
        text('HideLocalAccountScreen', 'true'),
        text('HideOEMRegistrationScreen', 'true'),
        text('HideOnlineAccountScreens', 'true'),
        text('HideWirelessSetupInOOBE', 'true'),
        text('ProtectYourPC', '3'),
      ]),
      ...owner,
      text('TimeZone', timeZone),
    ]),
  ];
  const root = branch('unattend', [pass('specialize', specialize), pass('oobeSystem', oobeSystem)]);
  try {
    return { text: formatXml(root, { '': unattend, wcm }), hostName };
  } catch (error) {
    if (!(error instanceof OvfError)) throw error;
    throw fault('CustomizationFault', {}, `Windows cannot be told this: ${error.message}.`);
  }
}

function identification(of: CustomizationSysprep['identification']): XmlElement[] {
  if (of.joinDomain === undefined) {
    return of.joinWorkgroup ? [branch('Identification', [text('JoinWorkgroup', of.joinWorkgroup)])] : [];
  }
  if (of.joinWorkgroup)
    throw fault('CustomizationFault', {}, 'A guest joins either a domain or a workgroup; the specification has both.');
  if (!of.domainAdmin)
    throw fault('CustomizationFault', {}, `Nobody is named (domainAdmin) who lets the guest join ${of.joinDomain}.`);
  return [
    branch('Identification', [
      branch('Credentials', [
        // Named with its domain, a user needs no other.
        ...(/[@\\]/.test(of.domainAdmin) ? [] : [text('Domain', of.joinDomain)]),
        text('Password', passwordOf(of.domainAdminPassword)),
        text('Username', of.domainAdmin),
      ]),
      text('JoinDomain', of.joinDomain),
      ...(of.domainOU ? [text('MachineObjectOU', of.domainOU)] : []),
    ]),
  ];
}

function signIn({ password, autoLogon, autoLogonCount }: CustomizationSysprep['guiUnattended']): XmlElement[] {
  const secret = (name: string) => branch(name, [text('Value', passwordOf(password)), text('PlainText', 'true')]);
  return [
    ...(autoLogon
      ? [
          branch('AutoLogon', [
            text('Enabled', 'true'),
            text('LogonCount', String(Math.max(1, autoLogonCount))),
            secret('Password'),
            text('Username', 'Administrator'),
          ]),
        ]
      : []),
    ...(password === undefined ? [] : [branch('UserAccounts', [secret('AdministratorPassword')])]),
  ];
}

function firstCommands(commands: readonly string[]): XmlElement[] {
  if (commands.length === 0) return [];
  return [
    branch(
      'FirstLogonCommands',
      commands.map((command, index) =>
        added('SynchronousCommand', [text('CommandLine', command), text('Order', String(index + 1))]),
      ),
    ),
  ];
}

/** Addresses, name servers and NetBIOS of each adapter that is mapped; an adapter is known by its MAC address. */
function networkComponents(spec: CustomizationSpec, machine: CustomizedMachine): Component[] {
  const all = spec.globalIPSettings;
  const suffixes = all.dnsSuffixList ?? [];
  const adapters = (spec.nicSettingMap ?? []).map(({ macAddress, adapter }, index) => ({
    identifier: text(
      'Identifier',
      (macAddress ?? machine.adapters[index]?.mac ?? '').toUpperCase().replaceAll(':', '-'),
    ),
    told: addressesOf(adapter),
    wins: checked(
      [adapter.primaryWINS, adapter.secondaryWINS].flatMap((address) => (address ? [address] : [])),
      4,
    ),
    netBios: adapter.netBIOS,
  }));
  if (adapters.length === 0) return [];
  const interfaces = adapters.map(({ identifier, told }) => {
    const addresses = [...(told.ipv4 === undefined ? [] : [told.ipv4]), ...told.ipv6];
    const routes = [
      ...told.ipv4Gateways.map((gateway) => ['0.0.0.0/0', gateway] as const),
      ...told.ipv6Gateways.map((gateway) => ['::/0', gateway] as const),
    ];
    return added('Interface', [
      identifier,
      branch('Ipv4Settings', [text('DhcpEnabled', String(told.ipv4 === undefined))]),
      ...(told.ipv6.length === 0 ? [] : [branch('Ipv6Settings', [text('DhcpEnabled', 'false')])]),
      ...list('Routes', routes, ([prefix, gateway], index) =>
        added('Route', [
          text('Identifier', String(index)),
          text('Metric', '10'),
          text('NextHopAddress', gateway),
          text('Prefix', prefix),
        ]),
      ),
      ...list('UnicastIpAddresses', addresses, keyed),
    ]);
  });
  const names = adapters.map(({ identifier, told }) =>
    added('Interface', [
      ...(told.domain === undefined ? [] : [text('DNSDomain', told.domain)]),
      ...list('DNSServerSearchOrder', [...told.nameServers, ...checked(all.dnsServerList)], keyed),
      identifier,
    ]),
  );
  const winsOf = adapters.filter(({ wins, netBios: option }) => wins.length > 0 || option !== undefined);
  return [
    component('Microsoft-Windows-TCPIP', [branch('Interfaces', interfaces)]),
    component('Microsoft-Windows-DNS-Client', [
      ...list('DNSSuffixSearchOrder', suffixes, (suffix, index) => keyed(suffix, index, 'DomainName')),
      branch('Interfaces', names),
    ]),
    ...(winsOf.length === 0
      ? []
      : [
          component('Microsoft-Windows-NetBT', [
            branch(
              'Interfaces',
              winsOf.map(({ identifier, wins, netBios: option }) =>
                added('Interface', [
                  identifier,
                  ...list('NameServerList', wins, keyed),
                  ...(option === undefined ? [] : [text('NetbiosOptions', netBios[option] ?? '0')]),
                ]),
              ),
            ),
          ]),
        ]),
  ];
}

function passwordOf(password: { readonly value: string; readonly plainText: boolean } | undefined): string {
  if (password !== undefined && !password.plainText)
    throw fault(
      'CustomizationFault',
      {},
      'A password is encrypted, and nobody here has the key: give it as plain text.',
    );
  return password?.value ?? '';
}

function pass(name: string, components: readonly Component[]): XmlElement {
  const written = components
    .filter(({ settings }) => settings.length > 0)
    .flatMap(({ name: component, settings }) =>
      architectures.map((processorArchitecture) =>
        branch('component', settings, {
          name: component,
          processorArchitecture,
          publicKeyToken: '31bf3856ad364e35',
          language: 'neutral',
          versionScope: 'nonSxS',
        }),
      ),
    );
  return branch('settings', written, { pass: name });
}

const component = (name: string, settings: readonly XmlElement[]): Component => ({ name, settings });

function branch(
  name: string,
  children: readonly (XmlElement | string)[],
  attributes: Readonly<Record<string, string>> = {},
): XmlElement {
  const written = Object.entries(attributes).map(([key, value]) => ({ namespace: '', prefix: '', name: key, value }));
  return { namespace: unattend, prefix: '', name, attributes: written, children };
}

const text = (name: string, value: string) => branch(name, value === '' ? [] : [value]);

/** An element of a list: Setup adds it to what is there. */
function added(name: string, children: readonly (XmlElement | string)[], key?: string): XmlElement {
  const attribute = (of: string, value: string) => ({ namespace: wcm, prefix: 'wcm', name: of, value });
  return {
    ...branch(name, children),
    attributes: [attribute('action', 'add'), ...(key === undefined ? [] : [attribute('keyValue', key)])],
  };
}

const keyed = (value: string, index: number, name = 'IpAddress') => added(name, [value], String(index + 1));

function list<T>(name: string, values: readonly T[], each: (value: T, index: number) => XmlElement): XmlElement[] {
  return values.length === 0
    ? []
    : [
        branch(
          name,
          values.map((value, index) => each(value, index)),
        ),
      ];
}
