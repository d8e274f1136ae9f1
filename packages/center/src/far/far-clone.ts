import { fileStem, formatDatastorePath } from '@hypostyle/services';
import {
  fault,
  type ManagedObjectReference,
  type RunningTask,
  VimFault,
  type VirtualDeviceConfigSpec,
  type VirtualMachineCloneSpec,
  type VirtualMachineConfigInfo,
  type VirtualMachineRuntimeInfo,
} from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import type { HostLink } from '../hosts/connection/host-link.ts';
import { freeInstanceUuid, MachineMaking, type MakingJournal } from '../machines/create-work.ts';
import type { MachinePlace } from '../machines/machine-place.ts';
import { isTemplate } from '../machines/templates.ts';
import { refuseLinks, roomsOf } from './far-disks.ts';
import { folderArgument, hostArgument, machineArgument, reasonOf } from './far-events.ts';
import { MachineSending, type SendingJournal, type SentMachine } from './machine-sending.ts';
import { steadily } from './steadily.ts';

export interface FarCloneInput {
  /** Reference value of the machine that is cloned. */
  readonly source: string;
  readonly name: string;
  readonly spec: VirtualMachineCloneSpec;
  readonly place: MachinePlace;
  readonly far: {
    /** Reference value of the host that has the machine. */
    readonly from: string;
    /** Name of the datastore that the clone comes to. */
    readonly datastore: string;
    readonly arrival: string;
    /** Room of its disks. */
    readonly rooms: Readonly<Record<string, string>>;
  };
}

type Machine = ManagedObjectReference<'VirtualMachine'>;
type Journal = MakingJournal & SendingJournal;

/** Clones of machines for other hosts: a folder is brought there, registered, and made what the spec says. */
export class FarClones {
  readonly #core: CenterCore;
  readonly #forwarding: Forwarding;
  readonly #making: MachineMaking;
  readonly #sending: MachineSending;

  constructor(core: CenterCore, forwarding: Forwarding) {
    this.#core = core;
    this.#forwarding = forwarding;
    this.#making = new MachineMaking(core);
    this.#sending = new MachineSending(core, forwarding);
  }

  /** Room that disks are to have. Throws NotSupported and InvalidArgument for what cannot be done between hosts. */
  check(source: ManagedObjectReference, spec: VirtualMachineCloneSpec): FarCloneInput['far']['rooms'] {
    refuseLinks(spec.location);
    if (spec.memory) throw fault('NotSupported', {}, 'spec.memory: a clone begins switched off here.');
    if (spec.location.service !== undefined)
      throw fault('NotSupported', {}, 'spec.location.service: only within one center.');
    if (spec.location.cryptoSpec !== undefined)
      throw fault('NotSupported', {}, 'spec.location.cryptoSpec: no encryption.');
    return roomsOf(spec.location, this.#diskKeys(source));
  }

  async run(task: RunningTask, input: FarCloneInput, isAgain: boolean): Promise<unknown> {
    const { name, spec, place } = input;
    const made = await this.#making.make(
      task,
      { name, place, plan: () => ({ by: freeInstanceUuid(this.#core, spec.config ?? {}) }), isAgain },
      ({ by, again }) => this.#clone(task, input, { instanceUuid: 'instanceUuid' in by ? by.instanceUuid : '', again }),
    );
    // When that fails the clone is there, and the task says why it does not run.
    if (spec.powerOn && !spec.template)
      await this.#step(task, made as Machine, 'PowerOnVM_Task', () => ({}), 'start', true);
    return made;
  }

  async #clone(
    task: RunningTask,
    input: FarCloneInput,
    { instanceUuid, again }: { readonly instanceUuid: string; readonly again: boolean },
  ): Promise<Machine> {
    if (!again) this.#tell(task, input, 'VmBeingClonedEvent', {});
    const journal = (task.journaled ?? {}) as Journal;
    let made: Machine | undefined;
    let sent: SentMachine | undefined;
    try {
      if (again) await this.#core.hosts.ready(await this.#core.hosts.forWork(input.far.from, { again }), task.signal);
      const snapshot = await this.#frozen(task, input, again);
      sent = this.#sent(input, instanceUuid, snapshot);
      const write = (folder: string) => task.journal({ ...journal, folder });
      made = await this.#sending.bring(task, sent, { folder: journal.folder, journal: write }, async (vmx) => {
        const path = formatDatastorePath(vmx);
        return this.#register(task, input, path, again);
      });
      await this.#finish(task, input, made, again);
      task.signal.throwIfAborted();
    } catch (error) {
      // At the end of the process nothing is over: the next one goes on.
      if (this.#core.hosts.closed) throw error;
      this.#tell(task, input, 'VmCloneFailedEvent', { reason: reasonOf(error) });
      await this.#undo(task, sent, made);
      await this.#thaw(task, input);
      throw error;
    }
    await this.#thaw(task, input);
    this.#core.registry.commit((draft) =>
      task.post(draft, {
        type: 'VmClonedEvent',
        entity: made,
        members: {
          template: isTemplate(this.#core, this.#ref(input.source)),
          sourceVm: machineArgument(this.#core, input.source),
        },
      }),
    );
    return made;
  }

  #sent({ source, name, place, far }: FarCloneInput, instanceUuid: string, snapshot: string | undefined): SentMachine {
    return {
      machine: source,
      from: far.from,
      to: place.host,
      datastore: far.datastore,
      name,
      arrival: far.arrival,
      vmxName: `${fileStem(name)}.vmx`,
      asked: {
        as: 'copy',
        name,
        instanceUuid,
        ...(snapshot === undefined ? {} : { snapshot }),
        ...far.rooms,
      },
    };
  }

  /** The snapshot to be copied, as the host calls it: the one that is asked for, or one of the clone's own while the machine runs. */
  async #frozen(task: RunningTask, { source, spec }: FarCloneInput, again: boolean): Promise<string | undefined> {
    const ref = this.#ref(source);
    const runtime = this.#core.registry.get(ref)?.value('runtime') as VirtualMachineRuntimeInfo | undefined;
    const begun = again && this.#ownSnapshot(task, source) !== undefined;
    let snapshot = spec.snapshot;
    if (snapshot === undefined && (begun || runtime?.powerState === 'poweredOn')) {
      const args = { name: snapshotName(task), description: '', memory: false, quiesce: false };
      const taken = await this.#step(task, ref, 'CreateSnapshot_Task', () => args, 'freeze', again);
      snapshot = taken as ManagedObjectReference<'VirtualMachineSnapshot'>;
    }
    if (snapshot === undefined) return undefined;
    const there = this.#core.hosts.route(ref).link.mirror.references.toHost(snapshot);
    if (there === undefined)
      throw fault('InvalidArgument', { invalidProperty: 'spec.snapshot' }, 'The machine has no such snapshot.');
    return there.value;
  }

  /** Takes the clone's own snapshot away. */
  async #thaw(task: RunningTask, { source, far }: FarCloneInput): Promise<void> {
    const snapshot = this.#ownSnapshot(task, source);
    const link = this.#core.hosts.link(far.from);
    if (snapshot === undefined || link === undefined) return;
    const self = (at: HostLink) => at.mirror.references.toHost(snapshot) ?? snapshot;
    const args = { removeChildren: false, consolidate: true };
    await this.#forwarding
      .step(task, link, self, 'RemoveSnapshot_Task', args, { part: 'thaw', again: true, steady: true })
      .catch((error: unknown) => this.#core.onLog('a snapshot for a clone stays', error));
  }

  #ownSnapshot(task: RunningTask, source: string): ManagedObjectReference | undefined {
    const info = this.#core.registry.get(this.#ref(source))?.value('snapshot') as
      | { readonly rootSnapshotList?: readonly SnapshotTree[] }
      | undefined;
    const all = (trees: readonly SnapshotTree[]): SnapshotTree[] =>
      trees.flatMap((tree) => [tree, ...all(tree.childSnapshotList ?? [])]);
    return all(info?.rootSnapshotList ?? []).find(({ name }) => name === snapshotName(task))?.snapshot;
  }

  async #register(task: RunningTask, { place }: FarCloneInput, path: string, again: boolean): Promise<Machine> {
    const link = await this.#core.hosts.forWork(place.host, { again });
    const pool = { _typeName: 'ManagedObjectReference', type: 'ResourcePool', value: place.pool };
    const made = await this.#forwarding.step(
      task,
      link,
      ({ layout }) => layout.vmFolder,
      'RegisterVM_Task',
      (at) => this.#forwarding.toHost(at, 'RegisterVM_Task', { path, asTemplate: false, pool }),
      { part: 'register', again },
    );
    if (made === undefined) throw fault('SystemError', { reason: 'lost' }, 'The clone was taken away meanwhile.');
    return made as Machine;
  }

  /** What the spec says of the clone beside what it is a copy of. */
  async #finish(task: RunningTask, { spec }: FarCloneInput, made: Machine, again: boolean): Promise<void> {
    const { name: _name, files: _files, instanceUuid: _uuid, ...config } = spec.config ?? {};
    const changes = [
      ['devices', { deviceChange: spec.location.deviceChange }],
      ['configure', config],
    ] as const;
    for (const [part, change] of changes) {
      if (Object.entries(change).every(([key, value]) => key === '_typeName' || value === undefined)) continue;
      const deviceChange = change.deviceChange?.map(ofCopy);
      const args = {
        spec: { ...change, _typeName: 'VirtualMachineConfigSpec', ...(deviceChange && { deviceChange }) },
      };
      await this.#step(
        task,
        made,
        'ReconfigVM_Task',
        (at) => this.#forwarding.toHost(at, 'ReconfigVM_Task', args),
        part,
        again,
      );
    }
    const { customization } = spec;
    if (customization !== undefined)
      await this.#step(task, made, 'CustomizeVM_Task', () => ({ spec: customization }), 'customize', again);
    if (!spec.template || isTemplate(this.#core, made)) return;
    const { link, ref } = this.#core.hosts.route(made);
    await link.call(ref, 'MarkAsTemplate', {});
    await link.caughtUp();
  }

  /** Takes away what came of a clone that failed. Waits for its host, where that is away. */
  async #undo(task: RunningTask, sent: SentMachine | undefined, made: Machine | undefined): Promise<void> {
    const { folder } = (task.journaled ?? {}) as Journal;
    if (sent === undefined || folder === undefined) return;
    const steady = { again: true, steady: true } as const;
    try {
      await steadily(this.#core, sent.to, async (link) => {
        await link.caughtUp();
        const there = made && link.mirror.references.toHost(made);
        if (there !== undefined)
          await this.#forwarding.step(task, link, there, 'Destroy_Task', {}, { part: 'undo', ...steady });
        await this.#sending.clear(task, link, sent, folder);
      });
    } catch (error) {
      if (error instanceof VimFault && error.type === 'ManagedObjectNotFound') return;
      this.#core.onLog('what came of a clone that failed stays', error);
    }
  }

  #step(
    task: RunningTask,
    self: ManagedObjectReference,
    method: string,
    args: (link: HostLink) => Readonly<Record<string, unknown>>,
    part: string,
    again: boolean,
    steady = false,
  ): Promise<unknown> {
    const { link } = this.#core.hosts.route(self);
    const there = () => this.#core.hosts.route(self).ref;
    return this.#forwarding.step(task, link, there, method, args, { part, again, steady });
  }

  #tell(
    task: RunningTask,
    { source, name, place }: FarCloneInput,
    type: 'VmBeingClonedEvent' | 'VmCloneFailedEvent',
    more: object,
  ): void {
    const folder = place.folder ?? this.#core.inventory.above(place.host, ['Datacenter'])?.vmFolder ?? '';
    const members = {
      template: isTemplate(this.#core, this.#ref(source)),
      destName: name,
      destFolder: folderArgument(this.#core, folder),
      destHost: hostArgument(this.#core, place.host),
      ...more,
    };
    this.#core.registry.commit((draft) => task.post(draft, { type, entity: this.#ref(source), members }));
  }

  #diskKeys(source: ManagedObjectReference): number[] {
    const config = this.#core.registry.get(source)?.value('config') as VirtualMachineConfigInfo | undefined;
    return (config?.hardware.device ?? []).flatMap(({ _typeName, key }) => (_typeName === 'VirtualDisk' ? [key] : []));
  }

  #ref(value: string): Machine {
    return { _typeName: 'ManagedObjectReference', type: 'VirtualMachine', value };
  }
}

interface SnapshotTree {
  readonly name: string;
  readonly snapshot: ManagedObjectReference;
  readonly childSnapshotList?: readonly SnapshotTree[];
}

/** Of the snapshot that is there while a machine is copied which may run. */
function snapshotName(task: RunningTask): string {
  return `For a clone (${task.ref.value})`;
}

/** A change of the original's device as one of its copy's: files of disks are others, and go with them. */
function ofCopy(change: VirtualDeviceConfigSpec): VirtualDeviceConfigSpec {
  if (change.device._typeName !== 'VirtualDisk') return change;
  if (change.operation === 'remove') return { ...change, fileOperation: 'destroy' };
  if (change.operation !== 'edit') return change;
  const { backing: _backing, ...device } = change.device;
  return { ...change, device: device as VirtualDeviceConfigSpec['device'] };
}
