import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { StoreWrite } from '@hypostyle/contracts';
import { splitPath } from '@hypostyle/services';
import type { ManagedObjectReference } from '@hypostyle/vim';
import { newConfiguration } from '../../configuration/apply-spec.ts';
import { configurationFromVmx } from '../../configuration/from-vmx.ts';
import { Datastore } from '../../datastore/datastore.ts';
import type { HostCore } from '../../host-core.ts';
import { readVApp } from '../../vapp/vapp-file.ts';
import { readChangeRecord } from '../changes/change-record-file.ts';
import { listFiles } from '../files/list-files.ts';
import { readDisks, readVmx } from '../files/machine-files.ts';
import type { MachineFiles, MachineRecord, PowerState } from '../record/machine-record.ts';
import { emptySnapshots } from '../snapshot/machine-snapshots.ts';
import { readSnapshots } from '../snapshot/read-snapshots.ts';
import { findToolsDisc } from '../tools/tools-disc.ts';

const collection = 'machine';
const runtimeCollection = 'machine-runtime';

/** What the store remembers of a machine; all else is in its folder. */
export interface MachineDocument {
  readonly id: string;
  readonly datastore: string;
  readonly vmxPath: string;
  readonly created: string | undefined;
  /** Name given at registration, until the next change writes it into the `.vmx`. */
  readonly name?: string;
}

/** What was true of its engine when it was last written. */
export interface RuntimeDocument {
  /** `uuid.bios` that its engine has: the `.vmx` may be out of reach, or say another, when the engine is looked for. */
  readonly uuid?: string | undefined;
  readonly powerState: PowerState;
  readonly bootTime?: string | undefined;
  readonly suspendTime?: string | undefined;
  /** Memory image being written while the engine still runs; once the engine is gone and the image is there, it is suspended. */
  readonly suspending?: string | undefined;
  /** The engine is being started; without one, nothing has run. */
  readonly starting?: boolean | undefined;
  /** Devices that are connected now, or not, other than at a start. */
  readonly connections?: Readonly<Record<string, boolean>> | undefined;
  /** Memory image being read by an engine whose guest has not gone on yet; without the engine it is suspended still. */
  readonly resuming?: string | undefined;
}

type Core = Pick<HostCore, 'store' | 'datastores' | 'guestOs'>;

export async function machineDocuments(core: Core): Promise<MachineDocument[]> {
  return (await core.store.list<MachineDocument>(collection)).map(({ value }) => value);
}

export async function runtimeDocuments(core: Core): Promise<Map<string, RuntimeDocument>> {
  const entries = await core.store.list<RuntimeDocument>(runtimeCollection);
  return new Map(entries.map(({ key, value }) => [key, value]));
}

export function putMachine(document: MachineDocument): StoreWrite {
  return { put: { collection, key: document.id.padStart(12, '0'), value: document } };
}

export function putRuntime(id: string, runtime: RuntimeDocument | undefined): StoreWrite[] {
  return runtime === undefined ? [] : [{ put: { collection: runtimeCollection, key: id, value: runtime } }];
}

/** Takes a machine out of the store; its folder stays. */
export function deleteMachine(id: string): StoreWrite[] {
  return [
    { delete: { collection, key: id.padStart(12, '0') } },
    { delete: { collection: runtimeCollection, key: id } },
  ];
}

export async function saveRuntime(
  core: Pick<HostCore, 'store' | 'machines'>,
  id: string,
  runtime: RuntimeDocument,
): Promise<void> {
  const machine = core.machines.find(id);
  const value: RuntimeDocument =
    machine === undefined || machine.problem !== undefined ? runtime : { uuid: machine.configuration.uuid, ...runtime };
  await core.store.transact([{ put: { collection: runtimeCollection, key: id, value } }]);
}

export function machineReference(id: string): ManagedObjectReference<'VirtualMachine'> {
  return { _typeName: 'ManagedObjectReference', type: 'VirtualMachine', value: id };
}

const noFiles: MachineFiles = {
  list: [],
  committedBytes: 0,
  uncommittedBytes: 0,
  unsharedBytes: 0,
  at: new Date(0).toISOString(),
};

/**
 * Reads a machine's folder into a record, changing nothing in it. A folder that cannot be read gives a record with
 * `problem`, so that the machine stays in the inventory. `facts` are what the folder says, where that is known.
 */
export async function loadMachine(
  core: Core,
  document: MachineDocument,
  runtime: RuntimeDocument | undefined,
  pool: ManagedObjectReference<'ResourcePool'>,
  facts?: FolderFacts,
): Promise<MachineRecord> {
  const datastore = core.datastores.byUuid(document.datastore);
  const fallbackName = splitPath(document.vmxPath).name.replace(/\.vmx$/i, '');
  const common = {
    id: document.id,
    ref: machineReference(document.id),
    vmxPath: document.vmxPath,
    resourcePool: pool,
    created: document.created,
    powerState: runtime?.powerState ?? ('poweredOff' as const),
    bootTime: runtime?.bootTime,
    suspendTime: runtime?.suspendTime,
    cleanPowerOff: true,
    guest: undefined,
    agentConnected: false,
    stats: undefined,
    guestEnvironment: undefined,
    question: undefined,
    connections: new Map(
      Object.entries(runtime?.connections ?? {}).map(([key, connected]) => [Number(key), connected] as const),
    ),
  };
  try {
    if (datastore === undefined) throw new Error(`its datastore ${document.datastore} is not known here`);
    const found = facts ?? (await readMachine(core, datastore, document.vmxPath));
    const configuration = { ...found.configuration, name: document.name ?? found.configuration.name };
    const ran = common.powerState !== 'poweredOff';
    const toolsMounted = ran && (await findToolsDisc({ datastore, vmxPath: document.vmxPath })) !== undefined;
    return { ...common, datastore, ...found, configuration, toolsMounted, problem: undefined };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return {
      ...common,
      datastore: datastore ?? missingDatastore(document),
      configuration: newConfiguration(fallbackName),
      vApp: undefined,
      vAppProblem: undefined,
      modified: new Date(0).toISOString(),
      disks: new Map(),
      snapshots: emptySnapshots,
      changes: [],
      files: noFiles,
      problem: datastore?.shown(problem) ?? problem,
    };
  }
}

/** Stands for a datastore that is not known any more: nothing of another one may be taken for the machine's. */
function missingDatastore({ datastore: uuid }: MachineDocument): Datastore {
  return new Datastore({ uuid, name: uuid, directory: join('/nonexistent', uuid) });
}

/** What a machine's folder says. */
export type FolderFacts = Pick<
  MachineRecord,
  'configuration' | 'vApp' | 'vAppProblem' | 'modified' | 'disks' | 'snapshots' | 'changes' | 'files'
>;

/** What a machine's folder says now. */
export async function readMachine(core: Core, datastore: Datastore, vmxPath: string): Promise<FolderFacts> {
  const vmx = await readVmx(datastore, vmxPath);
  const fallbackName = splitPath(vmxPath).name.replace(/\.vmx$/i, '');
  const configuration = configurationFromVmx(vmx, core.guestOs, fallbackName);
  const ofDisks = async () => {
    const reading = readDisks(datastore, vmxPath, configuration);
    const snapshots = await readSnapshots(core, datastore, vmxPath, { configuration, disks: reading });
    const disks = await reading;
    return { disks, snapshots, files: await listFiles(datastore, vmxPath, { disks, snapshots }) };
  };
  const [{ disks, snapshots, files }, changes, vApp, { mtime }] = await Promise.all([
    ofDisks(),
    readChangeRecord(datastore, vmxPath),
    configuration.hasVApp ? readVAppOrProblem(datastore, vmxPath) : noVApp,
    stat(datastore.absolute(vmxPath)),
  ]);
  return { configuration, ...vApp, modified: mtime.toISOString(), disks, snapshots, changes, files };
}

type VAppFound = Pick<MachineRecord, 'vApp' | 'vAppProblem'>;
const noVApp: VAppFound = { vApp: undefined, vAppProblem: undefined };

/** A vApp configuration that cannot be read does not hide the machine: it can be given anew, or removed. */
async function readVAppOrProblem(datastore: Datastore, vmxPath: string): Promise<VAppFound> {
  try {
    return { vApp: await readVApp(datastore, vmxPath), vAppProblem: undefined };
  } catch (error) {
    return { vApp: undefined, vAppProblem: error instanceof Error ? error.message : String(error) };
  }
}
