import type { Envelope } from '@hypostyle/ovf';
import {
  data,
  type ImportSpec,
  isData,
  type ManagedObjectReference,
  type OvfCreateImportSpecResult,
  type OvfFileItem,
  type VirtualDeviceConfigSpec,
} from '@hypostyle/vim';
import type { ServerSession } from '../connection/server-session.ts';
import { CliError } from '../errors.ts';
import { chooseDatastore } from '../inventory/choose-datastore.ts';
import type { MachinePlace, PlaceChoice } from '../inventory/machine-place.ts';

export interface DeployChoices {
  readonly name?: string;
  readonly datastore?: string | undefined;
  /** `NAME` for every disk, or `NUMBER=NAME` for one, from 1 on. */
  readonly diskDatastores?: readonly string[];
  readonly place?: PlaceChoice;
  /** `NAME`, or `NETWORK OF THE PACKAGE=NAME`. */
  readonly network: readonly string[];
  readonly properties: readonly { readonly key: string; readonly value: string }[];
  /** Values of `ethernet0.forwards`. */
  readonly forwards: readonly string[];
  readonly disks: 'thin' | 'thick';
  readonly deploymentOption?: string;
  /** How many instances of what scales out, by its id. */
  readonly counts?: ReadonlyMap<string, number>;
  /** The one machine of the package to import, by its id; all of it unless told. */
  readonly system?: string;
  /** Whether compressed disks are checked before the machine may start; the host's own way unless told. */
  readonly verify?: 'before' | 'background';
  /** How fast they settle, in MB of the disk a second; the host's own unless told. */
  readonly settleRate?: number;
}

export interface PlannedImport {
  readonly spec: ImportSpec;
  readonly files: readonly OvfFileItem[];
  readonly warnings: readonly string[];
}

/** Has the server make the specification of the machine that a descriptor describes. */
export async function planImport(
  session: ServerSession,
  place: MachinePlace,
  { descriptor, envelope }: { readonly descriptor: string; readonly envelope: Envelope },
  choices: DeployChoices,
): Promise<PlannedImport> {
  const { client, content } = session;
  if (content.ovfManager === undefined) throw new CliError('failed', 'The server does not import packages.');
  const datastore = await chooseDatastore(session, place, choices.datastore);
  const networkMapping = mapNetworks(place, envelope, choices.network);
  const result = await client.call(content.ovfManager, 'CreateImportSpec', {
    ovfDescriptor: descriptor,
    resourcePool: place.pool,
    datastore,
    cisp: data('OvfCreateImportSpecParams', {
      hostSystem: place.host,
      locale: '',
      deploymentOption: choices.deploymentOption ?? '',
      entityName: choices.name ?? '',
      networkMapping,
      propertyMapping: choices.properties.map(({ key, value }) => data('KeyValue', { key, value })),
      diskProvisioning: choices.disks,
      importOption: importOptionOf(choices),
    }),
  });
  const disks = diskPlaces(place, choices.diskDatastores ?? []);
  return { ...planned(result, choices, disks), warnings: (result.warning ?? []).map(messageOf) };
}

function importOptionOf({ counts = new Map(), system }: DeployChoices): readonly string[] | undefined {
  const keywords = [...counts].map(([id, count]) => `scaleOut:${id}=${count}`);
  if (system !== undefined) keywords.push(`virtualSystem:${system}`);
  return keywords.length === 0 ? undefined : keywords;
}

type DiskPlaces = ReadonlyMap<number | 'all', ManagedObjectReference<'Datastore'>>;

/** Where disks go by their number. Throws `not-found`. */
function diskPlaces({ inventory, datacenter }: MachinePlace, wanted: readonly string[]): DiskPlaces {
  return new Map(
    wanted.map((text) => {
      const [, number, name = text] = /^(\d+)=(.+)$/.exec(text) ?? [];
      const { ref } = inventory.find('Datastore', name, { within: datacenter });
      return [number === undefined ? 'all' : Number(number), ref] as const;
    }),
  );
}

/** The device changes with the datastores that disks are to come to. Throws `usage` for a disk that the package has not. */
export function withDiskPlaces(
  changes: readonly VirtualDeviceConfigSpec[],
  places: DiskPlaces,
): readonly VirtualDeviceConfigSpec[] {
  let count = 0;
  const placed = changes.map((change) => {
    if (change.device._typeName !== 'VirtualDisk') return change;
    count += 1;
    const datastore = places.get(count) ?? places.get('all');
    if (datastore === undefined) return change;
    return { ...change, device: { ...change.device, backing: { ...change.device.backing, datastore } as never } };
  });
  const missing = [...places.keys()].find((key) => typeof key === 'number' && (key < 1 || key > count));
  if (missing !== undefined)
    throw new CliError('usage', `The package has no disk ${missing}.`, { next: `It has ${count}.` });
  return placed;
}

function planned(
  result: OvfCreateImportSpecResult,
  choices: DeployChoices,
  disks: DiskPlaces,
): Omit<PlannedImport, 'warnings'> {
  const { importSpec, error = [], fileItem = [] } = result;
  if (importSpec === undefined || error.length > 0) {
    throw new CliError('failed', error.map(messageOf).join('\n') || 'The server cannot import the package.');
  }
  const { forwards, verify, settleRate } = choices;
  const options = [
    ...(forwards.length === 0 ? [] : [['ethernet0.forwards', forwards.join(',')] as const]),
    ...(verify === undefined ? [] : [['hypostyle.settle.verify', verify] as const]),
    ...(settleRate === undefined ? [] : [['hypostyle.settle.rate', String(settleRate)] as const]),
  ];
  if (options.length === 0 && disks.size === 0) return { spec: importSpec, files: fileItem };
  if (!isData('VirtualMachineImportSpec', importSpec)) {
    const what = '--forward, --verify, --settle-rate and --disk-datastore work for packages of a single machine.';
    throw new CliError('failed', what);
  }
  const { configSpec } = importSpec;
  const added = options.map(([key, value]) => data('OptionValue', { key, value }));
  const extraConfig = [...(configSpec.extraConfig ?? []), ...added];
  const deviceChange = withDiskPlaces(configSpec.deviceChange ?? [], disks);
  const spec = { ...importSpec, configSpec: { ...configSpec, extraConfig, deviceChange } };
  return { spec: spec as ImportSpec, files: fileItem };
}

function mapNetworks({ inventory, datacenter }: MachinePlace, envelope: Envelope, wanted: readonly string[]) {
  if (wanted.length === 0) return [];
  const known = (envelope.networkSection?.networks ?? []).map(({ name }) => name);
  const pairs = wanted.flatMap((text) => {
    const mark = text.indexOf('=');
    if (mark < 0) return known.map((name) => ({ name, target: text }));
    const name = text.slice(0, mark);
    if (!known.includes(name)) {
      throw new CliError('not-found', `The package has no network '${name}'.`, {
        next: known.length > 0 ? `It has ${known.map((one) => `'${one}'`).join(', ')}.` : 'It has none.',
      });
    }
    return [{ name, target: text.slice(mark + 1) }];
  });
  return pairs.map(({ name, target }) =>
    data('OvfNetworkMapping', { name, network: inventory.find('Network', target, { within: datacenter }).ref }),
  );
}

function messageOf({
  localizedMessage,
  fault,
}: {
  readonly localizedMessage?: string | undefined;
  readonly fault: unknown;
}): string {
  return localizedMessage ?? (fault as { readonly _typeName?: string })._typeName ?? 'unknown fault';
}
