import { randomUUID } from 'node:crypto';
import {
  type EventRequest,
  fault,
  type ManagedObjectReference,
  type TaskInfo,
  Turns,
  VimFault,
  type VirtualMachineConfigInfo,
  type VirtualMachineRuntimeInfo,
} from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { type MachineDocument, referenceOf } from '../inventory/entity-document.ts';

/**
 * Machines that came with the instanceUuid of another one, such as copies of its folder. Each conflict is told by an
 * event; a machine that is off gets an instanceUuid of its own, one that runs is left alone until it is off.
 */
export class DuplicateMachines {
  readonly #core: CenterCore;
  readonly #turns = new Turns();
  /** Values of machines that wait to be off. */
  readonly #waiting = new Set<string>();
  readonly #told = new Set<string>();

  constructor(core: CenterCore) {
    this.#core = core;
    core.registry.onCommit(() => {
      for (const value of this.#waiting) {
        if (core.inventory.find(value) === undefined) this.#waiting.delete(value);
        else if (this.#powerState(value) === 'poweredOff') this.#settle(value);
      }
    });
  }

  /** Looks after a machine whose instanceUuid another one has. */
  resolve(machine: MachineDocument, of: MachineDocument): void {
    this.#later(async () => {
      // The change that it was told in is shown first.
      await this.#core.inventory.edit(() => {});
      this.#tell(machine.value, of.value);
      await this.#assign(machine.value);
    });
  }

  #settle(value: string): void {
    this.#waiting.delete(value);
    this.#later(() => this.#assign(value));
  }

  #later(work: () => Promise<void>): void {
    this.#turns.take(work).catch((error: unknown) => {
      if (!this.#core.hosts.closed) this.#core.onLog('a machine keeps the instanceUuid of another one', error);
    });
  }

  /** Gives a machine that is off another instanceUuid, where it still has one that another machine has. */
  async #assign(value: string): Promise<void> {
    const { inventory, hosts } = this.#core;
    const machine = inventory.find(value);
    if (machine?.type !== 'VirtualMachine') return;
    const others = inventory.machinesOfInstance(machine.instanceUuid).filter((other) => other.value !== value);
    if (others.length === 0) return;
    if (this.#powerState(value) !== 'poweredOff') {
      this.#waiting.add(value);
      return;
    }
    const link = hosts.link(machine.host);
    if (link === undefined) return;
    // The host may be in the middle of being taken over.
    await link.ready(AbortSignal.timeout(10_000));
    const there = link.mirror.references.toHost(referenceOf(machine));
    if (there === undefined || others.some((other) => this.#sameFiles(machine, other))) return;
    const spec = { _typeName: 'VirtualMachineConfigSpec', instanceUuid: randomUUID() };
    try {
      const task = (await link.call(there, 'ReconfigVM_Task', { spec })) as ManagedObjectReference<'Task'>;
      const info = await link.tasks.finished(task.value, () => {}, AbortSignal.timeout(60_000));
      if (info?.state !== 'success') throw failure(info);
    } catch (error) {
      if (!(error instanceof VimFault) || error.type !== 'HostNotConnected') throw error;
      this.#waiting.add(value);
    }
  }

  #tell(value: string, of: string): void {
    const { inventory } = this.#core;
    const machine = inventory.find(value);
    const other = inventory.find(of);
    if (machine?.type !== 'VirtualMachine' || other?.type !== 'VirtualMachine' || this.#told.has(`${value} ${of}`))
      return;
    // Those that are gone come back under other references.
    for (const pair of this.#told)
      if (pair.split(' ').some((one) => inventory.find(one) === undefined)) this.#told.delete(pair);
    this.#told.add(`${value} ${of}`);
    const conflictedVm = { _typeName: 'VmEventArgument', name: other.name, vm: referenceOf(other) };
    this.#post('VmInstanceUuidConflictEvent', machine, { conflictedVm, instanceUuid: machine.instanceUuid });
    const uuid = this.#config(value)?.uuid;
    if (uuid !== undefined && uuid === this.#config(of)?.uuid)
      this.#post('VmUuidConflictEvent', machine, { conflictedVm, uuid });
  }

  #post(type: EventRequest['type'], machine: MachineDocument, members: object): void {
    this.#core.events.post(undefined, { type, entity: referenceOf(machine), members: { template: false, ...members } });
  }

  /** What is written into one would be written into the other. */
  #sameFiles(one: MachineDocument, other: MachineDocument): boolean {
    const path = this.#config(one.value)?.files?.vmPathName;
    return path !== undefined && path === this.#config(other.value)?.files?.vmPathName && this.#share(one, other);
  }

  #share(one: MachineDocument, other: MachineDocument): boolean {
    const datastores = (machine: MachineDocument) =>
      ((this.#core.registry.get(referenceOf(machine))?.value('datastore') ?? []) as ManagedObjectReference[]).map(
        ({ value }) => value,
      );
    const theirs = new Set(datastores(other));
    return datastores(one).some((value) => theirs.has(value));
  }

  #config(value: string): VirtualMachineConfigInfo | undefined {
    return this.#core.registry.get({ type: 'VirtualMachine', value })?.value('config') as
      | VirtualMachineConfigInfo
      | undefined;
  }

  #powerState(value: string): string | undefined {
    const runtime = this.#core.registry.get({ type: 'VirtualMachine', value })?.value('runtime') as
      | VirtualMachineRuntimeInfo
      | undefined;
    return runtime?.connectionState === 'connected' ? runtime.powerState : undefined;
  }
}

function failure(info: TaskInfo | undefined): Error {
  return fault('SystemError', { reason: 'reconfigure' }, info?.error?.localizedMessage ?? 'The host forgot the task.');
}
