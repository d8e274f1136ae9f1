import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { checkCustomization, Gathered, joinPath } from '@hypostyle/services';
import {
  asFault,
  type Call,
  fault,
  type ManagedObjectReference,
  type RunningTask,
  type VirtualMachineCloneSpec,
  type VirtualMachineInstantCloneSpec,
} from '@hypostyle/vim';
import { machineName } from '../../configuration/apply-spec.ts';
import type { HostCore } from '../../host-core.ts';
import { poolReference } from '../../pools/pool-record.ts';
import { applyVApp } from '../../vapp/apply-vapp.ts';
import { checkSameDisk } from '../files/disk-effects.ts';
import { syncFolder } from '../files/machine-files.ts';
import { type CreateJournal, claimName, provisioning, specContext, undoCreate } from '../lifecycle/lifecycle-work.ts';
import { choosePlace, exists } from '../lifecycle/machine-place.ts';
import { invalidPowerState } from '../power/power-work.ts';
import { claimOf } from '../record/claims.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { type Registration, registerMachines } from '../registration/register-machines.ts';
import { snapshotReference } from '../snapshot/snapshot-reference.ts';
import type { SnapshotWork } from '../snapshot/snapshot-work.ts';
import { copiedConfiguration, stemOf, withoutOriginal, withSpec } from './clone-configuration.ts';
import { makeCloneFiles } from './clone-files.ts';
import { type CloneRequest, cloneRequest, invalid } from './clone-request.ts';
import { instantCloneSpec, keptMemoryOf } from './instant-clone.ts';
import { SharedSources } from './source-reads.ts';

type TaskReference = ManagedObjectReference<'Task'>;

interface CloneInput {
  /** Id of the machine that is cloned. */
  readonly source: string;
  readonly name: string;
  readonly spec: VirtualMachineCloneSpec;
  /** Reference value. */
  readonly pool: string;
  /** The machine is copied as it is, beside others who read it, and is not changed meanwhile; else by a snapshot that goes afterwards. */
  readonly inTurn: boolean;
  /** It stands on the disks of its original, which runs, and goes on with its memory. */
  readonly instant?: boolean;
}

interface CloneJournal {
  readonly made: CreateJournal;
}

type SnapshotParts = SnapshotWork['parts'];

export interface CloneWork {
  clone(call: Call, machine: MachineRecord, name: string, spec: VirtualMachineCloneSpec): Promise<TaskReference>;
  /** VirtualMachine.InstantClone_Task. */
  instantClone(call: Call, machine: MachineRecord, spec: VirtualMachineInstantCloneSpec): Promise<TaskReference>;
}

/** Layers of a disk that are left to lie before an instant clone makes one more. */
const deepChain = 8;

/** Powers a machine on as part of another task. */
export type PowerOn = (task: RunningTask, id: string) => Promise<void>;

/** VirtualMachine.CloneVM_Task: copies, and machines that stand on a snapshot of another one. */
export function defineCloneWork(core: HostCore, snapshots: SnapshotParts, powerOn: PowerOn): CloneWork {
  const registering = new Gathered((registrations: readonly Registration[]) => registerMachines(core, registrations));
  const cloning = new Cloning(core, snapshots, registering);
  const run = (task: RunningTask, input: CloneInput) =>
    provisioning(core, async () => {
      const made = await cloning.clone(task, input);
      if (input.spec.powerOn && !input.spec.template) await powerOn(task, made.value);
      return made;
    });
  const start = core.tasks.define<CloneInput>('VirtualMachine.clone', {
    method: 'CloneVM_Task',
    cancelable: true,
    run,
    resume: run,
  });
  const startInstant = core.tasks.define<CloneInput>('VirtualMachine.instantClone', {
    method: 'InstantClone_Task',
    cancelable: true,
    run,
    resume: run,
  });
  return {
    instantClone: (call, machine, asked) => {
      core.maintenance.check();
      const name = nameOf(asked.name);
      const spec = instantCloneSpec(core, machine, asked);
      const pool = spec.location.pool ?? machine.resourcePool;
      core.pools.get(poolReference(pool.value));
      plan(core, cloneRequest(core, machine, spec), { name, spec, stem: 'clone' });
      const input = { source: machine.id, name, spec, pool: pool.value, inTurn: false, instant: true };
      return startInstant(call, { input, entity: machine.ref });
    },
    clone: (call, machine, written, spec) => {
      core.maintenance.check();
      const name = nameOf(written);
      const request = cloneRequest(core, machine, spec);
      const pool = spec.location.pool ?? machine.resourcePool;
      core.pools.get(poolReference(pool.value));
      // Known to be wrong before a task begins: the call's own fault.
      plan(core, request, { name, spec, stem: 'clone' });
      // What is read of the machine itself stays as it is meanwhile; a snapshot does so anyway, and a template.
      const inTurn = request.source.uid === undefined && !request.live && !machine.configuration.template;
      const input = { source: machine.id, name, spec, pool: pool.value, inTurn };
      return start(call, {
        input,
        entity: machine.ref,
        ...(inTurn ? { queueKey: machine.id, queueShared: true } : {}),
      });
    },
  };
}

/** What the clone is to be: its configuration, what is to be made for it, and its vApp. */
function plan(
  core: HostCore,
  { source }: CloneRequest,
  { name, spec, stem }: { readonly name: string; readonly spec: VirtualMachineCloneSpec; readonly stem: string },
) {
  const copied = copiedConfiguration(source.configuration, { name, stem, from: source.machine });
  const { configuration, effects: all } = withSpec(copied, spec, specContext(core));
  // Who edits a disk of the copy gives back the file that it was told of: that of the original, as it is or was.
  const effects = all.filter((effect) => {
    if (effect.kind !== 'same-disk') return true;
    checkSameDisk(core, [source.machine, { ...source.machine, configuration: source.configuration }], effect);
    return false;
  });
  if (spec.customization !== undefined) checkCustomization(spec.customization, { name, adapters: configuration.nics });
  const vApp = source.configuration.hasVApp ? source.machine.vApp : undefined;
  return { configuration, effects, vApp: spec.config === undefined ? vApp : applyVApp(vApp, spec.config) };
}

class Cloning {
  readonly #core: HostCore;
  readonly #snapshots: SnapshotParts;
  readonly #registering: Gathered<Registration, MachineRecord>;
  /** Names in a folder become durable for all who made some before. */
  readonly #syncing = new Gathered(syncFolders);
  readonly #sources = new SharedSources();

  constructor(core: HostCore, snapshots: SnapshotParts, registering: Gathered<Registration, MachineRecord>) {
    this.#core = core;
    this.#snapshots = snapshots;
    this.#registering = registering;
  }

  /** Makes the clone, or finds that an earlier process made it; half of one is taken away, and made anew. */
  async clone(task: RunningTask, input: CloneInput): Promise<ManagedObjectReference<'VirtualMachine'>> {
    const core = this.#core;
    const begun = task.journaled as CloneJournal | undefined;
    if (begun !== undefined) {
      const made = core.machines.at(begun.made.datastore, begun.made.vmxPath);
      if (made !== undefined) {
        await this.#letGo(task, input);
        return made.ref;
      }
      await undoCreate(core, begun.made);
    }
    // Until a merge is over, what its disks say of one another does not agree.
    await this.#snapshots.mergeEnded(task);
    const machine = core.machines.get({ type: 'VirtualMachine', value: input.source });
    if (begun === undefined) this.#tellBegin(task, machine, input);
    try {
      const spec = await this.#frozen(task, machine, input);
      const { ref } = await this.#make(task, core.machines.get(machine.ref), { ...input, spec });
      await this.#letGo(task, input);
      return ref;
    } catch (error) {
      this.#tellFailure(task, machine, input, error);
      await this.#letGo(task, input).catch((defect: unknown) => core.onDefect('a snapshot for a clone', defect));
      throw error;
    }
  }

  /** The spec, with a snapshot of the clone's own where the machine may write what is to be copied. */
  async #frozen(
    task: RunningTask,
    machine: MachineRecord,
    { spec, inTurn, instant = false }: CloneInput,
  ): Promise<VirtualMachineCloneSpec> {
    const { live } = cloneRequest(this.#core, machine, spec);
    if (inTurn && live)
      throw fault(
        'InvalidPowerState',
        { requestedState: 'poweredOff', existingState: 'poweredOn' },
        'The machine was started meanwhile; clone it again.',
      );
    if (spec.snapshot !== undefined || inTurn || machine.configuration.template) return spec;
    if (instant && machine.powerState !== 'poweredOn') throw invalidPowerState(machine, 'poweredOn');
    // Copies that are gone have left layers of their moments.
    if (instant && depthOf(machine) >= deepChain)
      await this.#snapshots
        .merge(task, machine.id)
        .catch((error: unknown) => this.#core.onDefect('layers that copies have left', error));
    const uid = await this.#snapshots.take(task, machine.id, snapshotName(task), instant);
    // A restart may have left a merge that goes on by itself.
    if (instant) await this.#mergesEnded(machine.id);
    const location = instant ? { ...spec.location, diskMoveType: 'createNewChildDiskBacking' } : spec.location;
    return { ...spec, location, snapshot: snapshotReference(machine.id, uid) };
  }

  async #mergesEnded(id: string): Promise<void> {
    for (;;) {
      const merging = this.#core.claims.holder(claimOf.merging(id));
      if (merging === undefined) return;
      await this.#core.tasks.finished(merging).catch(() => {});
    }
  }

  async #letGo(task: RunningTask, { source, spec, inTurn }: CloneInput): Promise<void> {
    if (spec.snapshot === undefined && !inTurn) await this.#snapshots.remove(task, source, snapshotName(task));
  }

  async #make(task: RunningTask, machine: MachineRecord, input: CloneInput): Promise<MachineRecord> {
    const core = this.#core;
    const { name, spec, pool, instant = false } = input;
    const request = cloneRequest(core, machine, spec);
    const { source, datastore } = request;
    const memory = instant && source.uid !== undefined ? keptMemoryOf(machine, source.uid) : undefined;
    const letGo = this.#keepSource(task, request);
    const reads = this.#sources.open(source);
    let releaseName = () => {};
    let releasePlace = () => {};
    try {
      releaseName = claimName(core, task, name);
      const place = await choosePlace(core, spec.config?.files?.vmPathName ?? datastore.format(''), name, task);
      releasePlace = place.release;
      if (place.datastore !== datastore) throw invalid('config.files.vmPathName', 'it is on another datastore');
      const vmxPath = joinPath(place.folder, place.vmxName);
      if (!place.isNew && (await exists(datastore.absolute(vmxPath))))
        throw invalid('config.files.vmPathName', 'it is there already');
      const directory = datastore.absolute(place.folder);
      const { configuration, effects, vApp } = plan(core, request, { name, spec, stem: stemOf(vmxPath) });
      let made: CreateJournal = {
        datastore: datastore.uuid,
        folder: place.folder,
        madeFolder: place.isNew || (place.folder !== '' && !(await exists(directory))),
        vmxPath,
        hasVApp: vApp !== undefined,
        made: [],
      };
      if (!made.madeFolder)
        throw invalid('config.files.vmPathName', 'a clone comes to a folder of its own, which is not there yet');
      const [{ vmx, nvram }] = await Promise.all([reads.state(), task.journal({ made })]);
      try {
        await mkdir(directory, { recursive: true });
        const named = this.#syncing.add(dirname(directory));
        // Whoever waits for it hears of it.
        named.catch(() => {});
        const facts = await makeCloneFiles(core, {
          request,
          vmxPath,
          readChain: reads.chain,
          vmx: withoutOriginal(vmx),
          nvram,
          vApp,
          customization: spec.customization,
          configuration,
          effects,
          memory,
          task,
          planned: async (files) => {
            made = { ...made, made: files };
            await task.journal({ made });
          },
        });
        await named;
        task.signal.throwIfAborted();
        return await this.#registering.add({
          task,
          datastore,
          vmxPath,
          pool,
          held: false,
          facts,
          ...(isDeployed(machine, input)
            ? { event: 'VmDeployedEvent' as const, members: { template: false, srcTemplate: argumentOf(machine) } }
            : {
                event: 'VmClonedEvent' as const,
                members: { template: machine.configuration.template, sourceVm: argumentOf(machine) },
              }),
          ...(memory === undefined
            ? {}
            : { runtime: { powerState: 'suspended', suspendTime: new Date().toISOString() } as const }),
        });
      } catch (error) {
        await undoCreate(core, made);
        throw error;
      }
    } finally {
      releasePlace();
      releaseName();
      reads.release();
      letGo();
    }
  }

  /** What is read stays as it is: the machine's own disks, or the chains of its snapshots. */
  #keepSource(task: RunningTask, { source }: CloneRequest): () => void {
    const { id } = source.machine;
    const key = source.uid === undefined ? claimOf.copying(id, task.ref.value) : claimOf.chains(id, task.ref.value);
    const merging = this.#core.claims.holder(claimOf.merging(id));
    if (merging !== undefined)
      throw fault('TaskInProgress', { task: merging }, 'Disks of the machine are being merged; wait until that ended.');
    return this.#core.claims.take([key], task.ref, () =>
      fault('TaskInProgress', { task: task.ref }, 'The task reads it already.'),
    );
  }

  #tellBegin(task: RunningTask, machine: MachineRecord, input: CloneInput): void {
    const event = isDeployed(machine, input)
      ? { type: 'VmBeingDeployedEvent' as const, members: { template: true, srcTemplate: argumentOf(machine) } }
      : { type: 'VmBeingClonedEvent' as const, members: this.#destination(machine, input) };
    this.#core.registry.commit((draft) => task.post(draft, { ...event, entity: machine.ref }));
  }

  #tellFailure(task: RunningTask, machine: MachineRecord, input: CloneInput, error: unknown): void {
    const { detail, message } = asFault(error);
    const reason = { _typeName: 'LocalizedMethodFault', fault: detail, localizedMessage: message };
    const { datastore } = machine;
    const destDatastore = { _typeName: 'DatastoreEventArgument', name: datastore.name, datastore: datastore.ref };
    const event = isDeployed(machine, input)
      ? { type: 'VmDeployFailedEvent' as const, members: { template: true, destDatastore, reason } }
      : { type: 'VmCloneFailedEvent' as const, members: { ...this.#destination(machine, input), reason } };
    this.#core.registry.commit((draft) => task.post(draft, { ...event, entity: machine.ref }));
  }

  #destination({ configuration }: MachineRecord, { name }: CloneInput) {
    const { vmFolder, names, registry } = this.#core;
    return {
      template: configuration.template,
      destName: name,
      destFolder: { _typeName: 'FolderEventArgument', name: 'vm', folder: vmFolder },
      destHost: {
        _typeName: 'HostEventArgument',
        name: String(registry.read(names.host, 'name') ?? ''),
        host: names.host,
      },
    };
  }
}

/** A machine that comes of a template is told as deployed. */
function isDeployed({ configuration }: MachineRecord, { spec }: CloneInput): boolean {
  return configuration.template && !spec.template;
}

function depthOf({ disks }: MachineRecord): number {
  return Math.max(0, ...[...disks.values()].map(({ chain }) => chain.length));
}

/** Answers what it was given. */
async function syncFolders(folders: readonly string[]): Promise<readonly string[]> {
  for (const folder of new Set(folders)) await syncFolder(folder);
  return folders;
}

/** InvalidName is no fault of this method. */
function nameOf(written: string): string {
  try {
    return machineName(written);
  } catch {
    throw fault('InvalidArgument', { invalidProperty: 'name' }, 'A name has 1 to 80 printable characters.');
  }
}

/** Of the snapshot that is there while a machine is copied which may run. */
function snapshotName(task: RunningTask): string {
  return `For a clone (${task.ref.value})`;
}

function argumentOf({ configuration, ref }: MachineRecord) {
  return { _typeName: 'VmEventArgument', name: configuration.name, vm: ref };
}
