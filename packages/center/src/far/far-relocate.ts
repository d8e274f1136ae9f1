import { randomUUID } from 'node:crypto';
import { formatDatastorePath, splitPath } from '@hypostyle/services';
import {
  type Call,
  fault,
  type ManagedObjectReference,
  type RunningTask,
  VimFault,
  type VirtualMachineConfigInfo,
  type VirtualMachineRelocateSpec,
  type VirtualMachineRuntimeInfo,
} from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import type { HostLink } from '../hosts/connection/host-link.ts';
import { type MachineDocument, referenceOf } from '../inventory/entity-document.ts';
import { requireFreeName } from '../inventory/name-scope.ts';
import type { MachinePlace } from '../machines/machine-place.ts';
import { isTemplate } from '../machines/templates.ts';
import { refuseLinks, roomsOf } from './far-disks.ts';
import { datacenterArgument, datastoreArgument, hostArgument, reasonOf } from './far-events.ts';
import type { FarPlace } from './far-files.ts';
import { type Held, MachineSending, type SendingJournal, type SentMachine } from './machine-sending.ts';
import { steadily } from './steadily.ts';
import { requireForTarget, type Target, targetOf } from './target-place.ts';

export interface FarRelocateInput {
  /** Reference value. */
  readonly machine: string;
  readonly spec: VirtualMachineRelocateSpec;
  readonly far: {
    readonly place: MachinePlace;
    /** Reference values of the host and the datastore that it comes from. */
    readonly from: string;
    readonly fromDatastore: string | undefined;
    /** Reference value of the datastore that it comes to. */
    readonly datastore: string;
    /** Both hosts have its files: it is only registered elsewhere. */
    readonly isShared: boolean;
    readonly arrival: string;
    /** Path of its `.vmx` in its datastore, as it was at first. */
    readonly path: string;
    /** Told as a migration. */
    readonly migrates: boolean;
  };
}

const never = new AbortController().signal;

/**
 * Moves of machines that are off to another host: a machine's folder is brought there and registered, which makes it
 * the same machine under the same reference; then it is taken away where it was.
 */
export class FarMoves {
  readonly #core: CenterCore;
  readonly #forwarding: Forwarding;
  readonly #sending: MachineSending;

  constructor(core: CenterCore, forwarding: Forwarding) {
    this.#core = core;
    this.#forwarding = forwarding;
    this.#sending = new MachineSending(core, forwarding);
  }

  /** Throws InvalidPowerState for a machine that runs, NotSupported and InvalidArgument for what is not done on the way. */
  check(machine: ManagedObjectReference, spec: VirtualMachineRelocateSpec): void {
    const runtime = this.#core.registry.get(machine)?.value('runtime') as VirtualMachineRuntimeInfo | undefined;
    if (runtime?.powerState === 'poweredOn')
      throw fault(
        'InvalidPowerState',
        { requestedState: 'poweredOff', existingState: 'poweredOn' },
        'A machine that runs stays on its host here: its memory is not moved to another one yet. Stop it, or suspend it.',
      );
    refuseLinks(spec);
    if (spec.service !== undefined) throw fault('NotSupported', {}, 'spec.service: only within one center.');
    if (spec.cryptoSpec !== undefined) throw fault('NotSupported', {}, 'spec.cryptoSpec: no encryption.');
    const config = this.#core.registry.get(machine)?.value('config') as VirtualMachineConfigInfo | undefined;
    const keys = (config?.hardware.device ?? []).flatMap(({ _typeName, key }) =>
      _typeName === 'VirtualDisk' ? [key] : [],
    );
    const rooms = roomsOf(spec, keys);
    if (Object.keys(rooms).length > 0 && this.#core.registry.get(machine)?.value('snapshot') !== undefined)
      throw fault('NotSupported', {}, 'A machine with snapshots comes to another host with its disks as they are.');
  }

  /** Where a machine is to come to by a spec that names another host. Throws before anything is done. */
  begin(
    call: Call,
    machine: MachineDocument,
    spec: VirtualMachineRelocateSpec,
    { migrates = false }: { readonly migrates?: boolean } = {},
  ): FarRelocateInput['far'] {
    const self = referenceOf(machine);
    const own = (this.#core.registry.get(self)?.value('datastore') ?? []) as ManagedObjectReference<'Datastore'>[];
    const { place, datastore } = this.#target(machine, spec, migrates);
    requireForTarget(this.#core, call, { place, datastore, isTemplate: isTemplate(this.#core, self) });
    this.check(self, spec);
    const isThere = (ref: ManagedObjectReference) =>
      this.#core.hosts.shared.hostsOf(ref.value).includes(place.host) && ref.value === datastore.value;
    const isShared = own.length > 0 && own.every(isThere);
    if (migrates && !isShared) throw cannotAccess(datastore.name);
    return {
      place,
      from: machine.host,
      fromDatastore: own[0]?.value,
      datastore: datastore.value,
      isShared,
      arrival: randomUUID(),
      path: this.#pathOf(machine.value),
      migrates,
    };
  }

  async run(task: RunningTask, input: FarRelocateInput, again: boolean): Promise<void> {
    const { far, machine } = input;
    try {
      if (this.#document(machine).host !== far.place.host) await this.#bring(task, input, again);
      else await this.#leave(task, input, undefined);
    } catch (error) {
      // At the end of the process nothing is over: the next one goes on.
      if (this.#core.hosts.closed) throw error;
      if (this.#core.inventory.find(machine) !== undefined) {
        if (this.#document(machine).host !== far.place.host) await this.#undo(task, input);
        await this.#mark(machine, undefined);
        const reason = reasonOf(error);
        this.#tell(task, input, far.migrates ? 'VmFailedMigrateEvent' : 'VmRelocateFailedEvent', { reason });
      }
      throw error;
    }
    await this.#changeRoom(task, input, again);
    const members = {
      template: isTemplate(this.#core, this.#ref(machine)),
      sourceHost: hostArgument(this.#core, far.from),
      sourceDatacenter: datacenterArgument(this.#core, far.from),
      ...(far.fromDatastore === undefined ? {} : { sourceDatastore: datastoreArgument(this.#core, far.fromDatastore) }),
    };
    const type = far.migrates ? 'VmMigratedEvent' : 'VmRelocatedEvent';
    this.#core.registry.commit((draft) => task.post(draft, { type, entity: this.#ref(machine), members }));
  }

  #target(machine: MachineDocument, spec: VirtualMachineRelocateSpec, migrates: boolean) {
    const datacenter = (value: string | undefined) =>
      value === undefined ? undefined : this.#core.inventory.above(value, ['Datacenter'])?.value;
    const { folder } = spec;
    const before = folder ?? (machine.parent === undefined ? undefined : { type: 'Folder', value: machine.parent });
    const target = this.#found(machine, spec, migrates);
    if (target.datastore === undefined)
      throw fault('InvalidArgument', { invalidProperty: 'spec.host' }, 'The machine is on that host.');
    // It stays in its folder where that is one of the same datacenter.
    const stays = datacenter(before?.value) === datacenter(target.place.host);
    const kept = folder === undefined && stays && before !== undefined ? { folder: before.value } : {};
    return { place: { ...target.place, ...kept }, datastore: target.datastore };
  }

  /** A migration has no word for a datastore that is not there. */
  #found(machine: MachineDocument, spec: VirtualMachineRelocateSpec, migrates: boolean): Target {
    try {
      return targetOf(this.#core, machine, spec, spec.folder);
    } catch (error) {
      if (!migrates || !(error instanceof VimFault) || error.type !== 'InvalidDatastore') throw error;
      throw cannotAccess((error.detail as { readonly name?: string }).name ?? '');
    }
  }

  async #bring(task: RunningTask, input: FarRelocateInput, again: boolean): Promise<void> {
    const { machine, far } = input;
    if (!again) this.#tell(task, input, far.migrates ? 'VmBeingMigratedEvent' : 'VmBeingRelocatedEvent', {});
    await this.#mark(machine, far.place);
    const { folder } = (task.journaled ?? {}) as SendingJournal;
    const work = async (vmx: FarPlace, held: Held | undefined) => {
      await this.#arrive(task, input, vmx, again);
      await this.#leave(task, input, held);
    };
    if (!far.isShared) {
      const journal = (at: string) => task.journal({ folder: at } satisfies SendingJournal);
      await this.#sending.bring(task, this.#sent(input), { folder, journal }, work);
      return;
    }
    const { path, place } = far;
    await work({ host: place.host, datastore: this.#nameOf(far.datastore), path }, undefined);
  }

  /** Registers the machine where its files are now; with one write it is there, and no longer where it was. */
  async #arrive(task: RunningTask, { machine, spec, far }: FarRelocateInput, vmx: FarPlace, again: boolean) {
    const { place } = far;
    const link = await this.#core.hosts.forWork(place.host, { again });
    const template = isTemplate(this.#core, this.#ref(machine));
    const pool = { _typeName: 'ManagedObjectReference', type: 'ResourcePool', value: place.pool };
    const path = formatDatastorePath(vmx);
    await this.#forwarding.step(
      task,
      link,
      ({ layout }) => layout.vmFolder,
      'RegisterVM_Task',
      (at) =>
        this.#forwarding.toHost(at, 'RegisterVM_Task', {
          path,
          asTemplate: template,
          ...(template ? {} : { pool }),
        }),
      { part: 'register', again },
    );
    const self = this.#ref(machine);
    if (spec.deviceChange !== undefined) {
      const args = { spec: { _typeName: 'VirtualMachineConfigSpec', deviceChange: spec.deviceChange } };
      await this.#forwarding.step(
        task,
        link,
        (at) => this.#at(at, self),
        'ReconfigVM_Task',
        (at) => this.#forwarding.toHost(at, 'ReconfigVM_Task', args),
        { part: 'devices', again },
      );
    }
    task.signal.throwIfAborted();
    const ready = await this.#core.hosts.ready(link, never);
    await ready.caughtUp();
    const there = this.#at(ready, self);
    await this.#core.inventory.edit((edit) => {
      const { pool: _pool, ...document } = this.#document(machine);
      const placed = { ...document, host: place.host, hostValue: there.value, alsoOn: far.from };
      edit.put({
        ...placed,
        ...(template ? {} : { pool: place.pool }),
        ...(place.folder === undefined ? {} : { parent: place.folder }),
      });
    });
    // From here on it is there: a host that is lost tells of it when it is back.
    await ready.tellAgain(there).catch(() => {});
    await ready.caughtUp().catch(() => {});
  }

  /** Takes the machine away where it was. */
  async #leave(task: RunningTask, input: FarRelocateInput, held: Held | undefined): Promise<void> {
    const { machine, far } = input;
    try {
      let holding = held;
      await steadily(this.#core, far.from, async (link) => {
        await link.caughtUp();
        const self = link.mirror.references.toHost(this.#ref(machine));
        if (self === undefined) return;
        if (holding !== undefined) await this.#sending.letGo(holding);
        else if (!far.isShared) await this.#sending.release(task, this.#sent(input));
        holding = undefined;
        const options = { part: 'leave', again: true, steady: true };
        if (far.isShared) await link.call(self, 'UnregisterVM', {});
        else await this.#forwarding.step(task, link, self, 'Destroy_Task', {}, options);
        await link.caughtUp();
      });
    } catch (error) {
      if (this.#core.hosts.closed) throw error;
      if (!(error instanceof VimFault) || error.type !== 'ManagedObjectNotFound') throw this.#remains(far.from, error);
    }
    await this.#mark(machine, undefined);
  }

  /** What the spec says of the room of disks is done where they are now. */
  async #changeRoom(task: RunningTask, { machine, spec, far }: FarRelocateInput, again: boolean): Promise<void> {
    const { transform, disk } = spec;
    const asked = disk?.filter(({ diskBackingInfo }) => diskBackingInfo !== undefined) ?? [];
    if (transform === undefined && asked.length === 0) return;
    const { link } = this.#core.hosts.route(this.#ref(machine));
    const ofRoom = { _typeName: 'VirtualMachineRelocateSpec', transform, ...(asked.length > 0 ? { disk: asked } : {}) };
    await this.#forwarding.step(
      task,
      this.#core.hosts.link(far.place.host) ?? link,
      (at) => this.#at(at, this.#ref(machine)),
      'RelocateVM_Task',
      (at) => this.#forwarding.toHost(at, 'RelocateVM_Task', { spec: ofRoom }),
      { part: 'room', again },
    );
  }

  /** Takes away what came of a move that failed; the machine is where it was. Waits for the other host. */
  async #undo(task: RunningTask, input: FarRelocateInput): Promise<void> {
    const { far, machine } = input;
    const steady = { again: true, steady: true } as const;
    try {
      await steadily(this.#core, far.place.host, async (link) => {
        await link.caughtUp();
        const there = link.mirror.references.toHost(this.#ref(machine));
        if (there !== undefined && far.isShared) await link.call(there, 'UnregisterVM', {});
        else if (there !== undefined)
          await this.#forwarding.step(task, link, there, 'Destroy_Task', {}, { part: 'undo', ...steady });
        await link.caughtUp();
        const { folder } = (task.journaled ?? {}) as SendingJournal;
        if (far.isShared || folder === undefined) return;
        await this.#sending.clear(task, link, this.#sent(input), folder);
      });
    } catch (error) {
      if (error instanceof VimFault && error.type === 'ManagedObjectNotFound') return;
      this.#core.onLog('what came of a move that failed stays', error);
    }
  }

  /** Says which other host has the machine too while it goes there; none any more, without. */
  async #mark(machine: string, place: MachinePlace | undefined): Promise<void> {
    const before = this.#core.inventory.find(machine);
    if (before?.type !== 'VirtualMachine' || before.alsoOn === place?.host) return;
    await this.#core.inventory.edit((edit) => {
      const { alsoOn: _alsoOn, ...document } = this.#document(machine);
      if (place === undefined) {
        edit.put(document);
        return;
      }
      const { folder } = place;
      if (folder !== undefined && folder !== document.parent) requireFreeName(edit, { ...document, parent: folder });
      edit.put({ ...document, alsoOn: place.host });
    });
  }

  #sent({ machine, far }: FarRelocateInput): SentMachine {
    return {
      machine,
      from: far.from,
      to: far.place.host,
      datastore: this.#nameOf(far.datastore),
      name: this.#document(machine).name,
      arrival: far.arrival,
      vmxName: splitPath(far.path).name,
      asked: { as: 'move' },
    };
  }

  #remains(from: string, error: unknown): VimFault {
    const name = this.#core.inventory.find(from)?.name ?? from;
    const reason = error instanceof Error ? error.message : String(error);
    return fault(
      'SystemError',
      { reason: 'leftover' },
      `The machine has come to its new host, and what it was on '${name}' is there still: ${reason}`,
    );
  }

  #tell(
    task: RunningTask,
    { machine, far }: FarRelocateInput,
    type: 'VmBeingRelocatedEvent' | 'VmRelocateFailedEvent' | 'VmBeingMigratedEvent' | 'VmFailedMigrateEvent',
    more: object,
  ): void {
    const members = {
      template: isTemplate(this.#core, this.#ref(machine)),
      destHost: hostArgument(this.#core, far.place.host),
      destDatacenter: datacenterArgument(this.#core, far.place.host),
      destDatastore: datastoreArgument(this.#core, far.datastore),
      ...more,
    };
    this.#core.registry.commit((draft) => task.post(draft, { type, entity: this.#ref(machine), members }));
  }

  /** The machine as a host has it. Throws ManagedObjectNotFound. */
  #at({ mirror }: HostLink, ref: ManagedObjectReference): ManagedObjectReference {
    const there = mirror.references.toHost(ref);
    if (there !== undefined) return there;
    throw fault('ManagedObjectNotFound', { obj: ref }, `The host has not ${ref.value}.`);
  }

  #pathOf(machine: string): string {
    const config = this.#core.registry.get(this.#ref(machine))?.value('config') as VirtualMachineConfigInfo | undefined;
    return config?.files?.vmPathName?.replace(/^\[[^\]]*\] ?/, '') ?? '';
  }

  #nameOf(value: string): string {
    return this.#core.inventory.find(value)?.name ?? value;
  }

  #document(machine: string): MachineDocument {
    return this.#core.inventory.get('VirtualMachine', { value: machine });
  }

  #ref(value: string): ManagedObjectReference<'VirtualMachine'> {
    return referenceOf({ type: 'VirtualMachine', value } as const);
  }
}

/** What MigrateVM_Task needs: the other host has the files that the machine is made of. */
function cannotAccess(name: string): VimFault {
  const reason = {
    _typeName: 'LocalizedMethodFault',
    fault: { _typeName: 'InvalidDatastore', name },
    localizedMessage: 'The datastore is not one of both hosts.',
  };
  return fault(
    'CannotAccessVmConfig',
    { reason: reason as never },
    'The other host has not the datastore of the machine: RelocateVM_Task brings it to one that it has.',
  );
}
