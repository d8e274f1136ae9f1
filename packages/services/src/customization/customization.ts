import { writeIso } from '@hypostyle/ovf';
import { type CustomizationSpec, fault, isData } from '@hypostyle/vim';
import { addressesOf, checked } from './adapter-addresses.ts';
import { answerFile } from './answer-file.ts';
import type { CustomizedMachine } from './customized-machine.ts';
import { checkDomain, guestName, longestName } from './guest-name.ts';

/** What a guest is told. */
export interface Customization {
  /** Files of the medium, by name. */
  readonly files: ReadonlyMap<string, string>;
  /** Name by which the guest calls itself afterwards, where that is told. */
  readonly hostName: string | undefined;
}

type Mapping = NonNullable<CustomizationSpec['nicSettingMap']>[number];

const mostTextCharacters = 256 << 10;

/** Throws CustomizationFault, or NicSettingMismatch, for what cannot be told to a guest of that machine. */
export function checkCustomization(spec: CustomizationSpec, machine: CustomizedMachine): void {
  customize(spec, machine, 'check');
}

/**
 * What a specification says, as the files of a NoCloud medium (cloud-init), or of one that Windows' Setup looks for.
 * Throws as `checkCustomization`.
 */
export function customize(spec: CustomizationSpec, machine: CustomizedMachine, instanceId: string): Customization {
  const mappings = spec.nicSettingMap ?? [];
  if (mappings.length > 0 && mappings.length !== machine.adapters.length)
    throw fault(
      'NicSettingMismatch',
      { numberOfNicsInSpec: mappings.length, numberOfNicsInVM: machine.adapters.length },
      `The specification has settings for ${mappings.length} network adapters; the machine has ${machine.adapters.length}.`,
    );
  const { identity } = spec;
  if (isData('CustomizationLinuxPrep', identity)) {
    const hostName = guestName(identity.hostName, machine.name, longestName.linux);
    checkDomain(identity.domain);
    const user = {
      hostname: hostName,
      fqdn: identity.domain === '' ? hostName : `${hostName}.${identity.domain}`,
      preserve_hostname: false,
      manage_etc_hosts: true,
      ...(identity.timeZone ? { timezone: timeZoneOf(identity.timeZone) } : {}),
      ...scriptOf(identity.scriptText),
    };
    return {
      hostName,
      files: cloudFiles(
        JSON.stringify({ 'instance-id': instanceId, 'local-hostname': hostName }),
        `#cloud-config\n${JSON.stringify(user, undefined, 1)}\n`,
        networkOf(spec, machine, mappings),
      ),
    };
  }
  if (isData('CustomizationCloudinitPrep', identity)) {
    checkText('metadata', identity.metadata);
    checkText('userdata', identity.userdata ?? '');
    const told = metadataOf(identity.metadata, instanceId);
    return {
      hostName: told.hostName,
      files: cloudFiles(
        told.text,
        identity.userdata ?? '#cloud-config\n{}\n',
        told.network ?? networkOf(spec, machine, mappings),
      ),
    };
  }
  if (isData('CustomizationSysprepText', identity)) {
    checkText('value', identity.value);
    return {
      hostName: /<ComputerName>([^<*]{1,63})<\/ComputerName>/.exec(identity.value)?.[1],
      files: setupFiles(identity.value),
    };
  }
  if (isData('CustomizationSysprep', identity)) {
    const { text, hostName } = answerFile(spec, identity, machine);
    checkText('The answer file', text);
    return { hostName, files: setupFiles(text) };
  }
  throw fault(
    'CustomizationFault',
    {},
    'The identity is none that is told to guests here: LinuxPrep, CloudinitPrep, Sysprep and SysprepText are.',
  );
}

/** The medium. Its label is the one that cloud-init looks for. */
export function customizationDisc({ files }: Customization): Uint8Array {
  return writeIso(
    [...files].map(([name, text]) => ({ name, content: Buffer.from(text) })),
    { label: 'CIDATA' },
  );
}

/** Windows' Setup looks for both in the root of media that cannot be written. */
function setupFiles(text: string): Map<string, string> {
  return new Map([
    ['Autounattend.xml', text],
    ['Unattend.xml', text],
  ]);
}

function cloudFiles(meta: string, user: string, network: object | undefined): Map<string, string> {
  return new Map([
    ['meta-data', meta],
    ['user-data', user],
    // JSON is YAML.
    ...(network === undefined ? [] : [['network-config', JSON.stringify(network, undefined, 1)] as const]),
  ]);
}

function timeZoneOf(zone: string): string {
  if (!/^[A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z0-9_+-]+){0,2}$/.test(zone))
    throw fault('CustomizationFault', {}, `'${zone.slice(0, 80)}' is no time zone such as Europe/Zurich.`);
  return zone;
}

function checkText(member: string, text: string): void {
  if (text.length > mostTextCharacters)
    throw fault('CustomizationFault', {}, `${member} has more than ${mostTextCharacters} characters.`);
}

/** The script is run before and after the rest, and told which. */
function scriptOf(script: string | undefined): object {
  if (script === undefined || script === '') return {};
  checkText('scriptText', script);
  const run = (when: string) => ['sh', '-c', script, 'customization', when];
  return {
    bootcmd: [['cloud-init-per', 'once', 'precustomization', ...run('precustomization')]],
    runcmd: [run('postcustomization')],
  };
}

/** Metadata as it was given; of JSON the members that NoCloud reads elsewhere are put there. */
function metadataOf(text: string, instanceId: string) {
  let told: Record<string, unknown> | undefined;
  try {
    told = JSON.parse(text) as Record<string, unknown>;
  } catch {
    const hostName = /^\s*local-hostname:\s*["']?([A-Za-z0-9.-]+)/m.exec(text)?.[1];
    const own = /^\s*instance-id\s*:/m.test(text) ? '' : `instance-id: ${instanceId}\n`;
    return { text: own + text, hostName, network: undefined };
  }
  const { network, ...rest } = typeof told === 'object' && told !== null ? told : {};
  const hostName = typeof rest['local-hostname'] === 'string' ? rest['local-hostname'] : undefined;
  const isNetwork = typeof network === 'object' && network !== null;
  return {
    text: JSON.stringify({ 'instance-id': instanceId, ...rest }),
    hostName,
    network: isNetwork ? ((network as { config?: object }).config ?? network) : undefined,
  };
}

/** Network settings as cloud-init's version 2 has them; none where every adapter is left to the guest. */
function networkOf(
  { globalIPSettings }: CustomizationSpec,
  { adapters }: CustomizedMachine,
  mappings: readonly Mapping[],
): object | undefined {
  if (mappings.length === 0) return undefined;
  const ethernets = Object.fromEntries(
    mappings.map(({ macAddress, adapter }, index) => {
      const mac = macAddress?.toLowerCase() ?? adapters[index]?.mac ?? '';
      return [`nic${index}`, { match: { macaddress: mac }, ...adapterOf(adapter, globalIPSettings) }];
    }),
  );
  return { version: 2, ethernets };
}

function adapterOf(settings: Mapping['adapter'], all: CustomizationSpec['globalIPSettings']): object {
  const told = addressesOf(settings);
  const servers = [...told.nameServers, ...checked(all.dnsServerList)];
  const search = [...(told.domain === undefined ? [] : [told.domain]), ...(all.dnsSuffixList ?? [])];
  const names = {
    ...(servers.length === 0 ? {} : { addresses: servers }),
    ...(search.length === 0 ? {} : { search }),
  };
  const addresses = [...(told.ipv4 === undefined ? [] : [told.ipv4]), ...told.ipv6];
  const [gateway4] = told.ipv4 === undefined ? [] : told.ipv4Gateways;
  const [gateway6] = told.ipv6Gateways;
  return {
    dhcp4: told.ipv4 === undefined,
    ...(addresses.length === 0 ? {} : { addresses }),
    ...(gateway4 === undefined ? {} : { gateway4 }),
    ...(gateway6 === undefined ? {} : { gateway6 }),
    ...(Object.keys(names).length === 0 ? {} : { nameservers: names }),
  };
}
