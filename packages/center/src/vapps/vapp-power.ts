import { setTimeout as delay } from 'node:timers/promises';
import { type Call, fault, type ManagedObjectReference, type RunningTask, VimFault } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { MachineSteps } from '../containers/machine-steps.ts';
import { type MachineDocument, type PoolDocument, referenceOf } from '../inventory/entity-document.ts';
import { poolAt } from '../pools/pool-tree.ts';
import { entitiesOf, membersOf, type VAppEntity } from './vapp-entities.ts';

type Task = Promise<ManagedObjectReference<'Task'>>;
type Input = Record<string, never>;
export type VAppState = 'started' | 'stopped' | 'starting' | 'stopping';

/** How a machine is stopped. */
type Stop = 'powerOff' | 'suspend' | 'said';

interface Run {
  readonly task: RunningTask;
  /** True after a restart: what was begun is found again. */
  readonly again: boolean;
}

/** Starts and stops vApps: their machines on their hosts, in the order that their configuration says. */
export class VAppPower {
  readonly #core: CenterCore;
  readonly #steps: MachineSteps;
  /** vApps that are on their way. */
  readonly #moving = new Map<string, VAppState>();
  readonly #start: (call: Call, request: { input: Input; queueKey: string; cancelable: boolean }) => Task;
  readonly #stop: (call: Call, request: { input: { force: boolean }; queueKey: string; cancelable: boolean }) => Task;
  readonly #suspend: (call: Call, request: { input: Input; queueKey: string; cancelable: boolean }) => Task;

  constructor(core: CenterCore, steps: MachineSteps) {
    this.#core = core;
    this.#steps = steps;
    const { tasks } = core;
    const onItsWay = async (run: Run, state: VAppState, work: (vApp: PoolDocument) => Promise<void>) => {
      const vApp = poolAt(core.inventory, run.task.entity?.value ?? '');
      await steps.reach(run.task, this.#machines(vApp));
      const all = this.#withBelow(vApp);
      for (const { value } of all) this.#moving.set(value, state);
      this.#touch(all);
      try {
        await work(vApp);
      } finally {
        for (const { value } of all) this.#moving.delete(value);
        this.#touch(all);
      }
    };
    const start = (task: RunningTask, again: boolean) =>
      onItsWay({ task, again }, 'starting', (vApp) => this.#startMembers({ task, again }, vApp));
    this.#start = tasks.define<Input>('VirtualApp.powerOn', {
      method: 'PowerOnVApp_Task',
      run: (task) => start(task, false),
      resume: (task) => start(task, true),
    });
    const stop = (task: RunningTask, how: Stop, again: boolean) =>
      onItsWay({ task, again }, 'stopping', (vApp) => this.#stopMembers({ task, again }, vApp, how));
    const howTo = ({ force }: { readonly force: boolean }) => (force ? 'powerOff' : 'said');
    this.#stop = tasks.define<{ force: boolean }>('VirtualApp.powerOff', {
      method: 'PowerOffVApp_Task',
      run: (task, input) => stop(task, howTo(input), false),
      resume: (task, input) => stop(task, howTo(input), true),
    });
    this.#suspend = tasks.define<Input>('VirtualApp.suspend', {
      method: 'SuspendVApp_Task',
      run: (task) => stop(task, 'suspend', false),
      resume: (task) => stop(task, 'suspend', true),
    });
  }

  /** Started as soon as one of its machines is. */
  state(vApp: PoolDocument): VAppState {
    const moving = this.#moving.get(vApp.value);
    if (moving !== undefined) return moving;
    return this.#machines(vApp).some((machine) => this.#steps.powerState(machine) === 'poweredOn')
      ? 'started'
      : 'stopped';
  }

  isSuspended(vApp: PoolDocument): boolean {
    const states = new Set(this.#machines(vApp).map((machine) => this.#steps.powerState(machine)));
    return states.has('suspended') && !states.has('poweredOn');
  }

  powerOn(call: Call): Task {
    const vApp = this.#resting(call);
    if (vApp.parent !== undefined && this.#core.inventory.find(vApp.parent)?.type === 'VirtualApp')
      throw fault('InvalidState', {}, `'${vApp.name}' is part of another vApp; it starts with that.`);
    if (this.state(vApp) === 'started' && this.#all(vApp, 'poweredOn')) throw invalidPower('poweredOn', 'poweredOn');
    return this.#start(call, { input: {}, queueKey: vApp.value, cancelable: true });
  }

  powerOff(call: Call, force: boolean): Task {
    const vApp = this.#resting(call);
    if (this.state(vApp) === 'stopped' && !this.isSuspended(vApp)) throw invalidPower('poweredOff', 'poweredOff');
    return this.#stop(call, { input: { force }, queueKey: vApp.value, cancelable: true });
  }

  suspend(call: Call): Task {
    const vApp = this.#resting(call);
    if (this.state(vApp) === 'stopped')
      throw invalidPower('suspended', this.isSuspended(vApp) ? 'suspended' : 'poweredOff');
    return this.#suspend(call, { input: {}, queueKey: vApp.value, cancelable: true });
  }

  #resting(call: Call): PoolDocument {
    const vApp = poolAt(this.#core.inventory, call.self.ref.value);
    if (!this.#moving.has(vApp.value)) return vApp;
    throw fault('TaskInProgress', { task: this.#taskOf(vApp) }, `'${vApp.name}' is ${this.#moving.get(vApp.value)}.`);
  }

  #taskOf(vApp: PoolDocument): ManagedObjectReference<'Task'> {
    for (const { ref } of this.#core.registry.all('Task')) {
      const info = this.#core.registry.read<'Task', 'info'>(ref as ManagedObjectReference<'Task'>, 'info');
      if (info?.entity?.value === vApp.value && info.completeTime === undefined)
        return ref as ManagedObjectReference<'Task'>;
    }
    return { _typeName: 'ManagedObjectReference', type: 'Task', value: '' };
  }

  /** Members of one order start together; the next wait for the longest delay of those, or for their guests. */
  async #startMembers(run: Run, vApp: PoolDocument): Promise<void> {
    const groups = inOrder(entitiesOf(this.#core.inventory, vApp));
    for (const [index, group] of groups.entries()) {
      const started = await together(group, async (entity) =>
        entity.startAction === 'powerOn' ? await this.#startOne(run, entity.key) : false,
      );
      if (index === groups.length - 1 || !started.some(Boolean)) continue;
      await together(
        group.filter((_, at) => started[at]),
        (entity) => this.#pause(run.task, entity),
      );
    }
  }

  /** Answers whether there was anything to start. */
  async #startOne(run: Run, key: ManagedObjectReference): Promise<boolean> {
    const document = this.#core.inventory.find(key.value);
    if (document?.type === 'VirtualApp') {
      const before = this.state(document);
      await this.#startMembers(run, document);
      return before !== 'started';
    }
    if (document?.type !== 'VirtualMachine' || this.#steps.powerState(document) === 'poweredOn') return false;
    await this.#steps.run(run.task, document, 'PowerOnVM_Task', { again: run.again });
    return true;
  }

  /** Seconds as said; less where the guest says before that it is up. */
  async #pause(task: RunningTask, { key, startDelay, waitingForGuest }: VAppEntity): Promise<void> {
    const until = AbortSignal.timeout(startDelay * 1_000);
    const isUp = () =>
      this.#core.registry.read({ type: 'VirtualMachine', value: key.value }, 'guest')?.guestState === 'running';
    if (waitingForGuest && key.type === 'VirtualMachine')
      await this.#until(isUp, AbortSignal.any([until, task.signal]));
    else await delay(startDelay * 1_000, undefined, { signal: task.signal }).catch(() => {});
    task.signal.throwIfAborted();
  }

  /** The last to start is the first to stop. */
  async #stopMembers(run: Run, vApp: PoolDocument, how: Stop): Promise<void> {
    for (const group of inOrder(entitiesOf(this.#core.inventory, vApp)).toReversed()) {
      run.task.signal.throwIfAborted();
      await together(group, (entity) => this.#stopOne(run, entity, how));
    }
  }

  async #stopOne(run: Run, entity: VAppEntity, how: Stop): Promise<void> {
    const document = this.#core.inventory.find(entity.key.value);
    if (document?.type === 'VirtualApp') return this.#stopMembers(run, document, how);
    if (document?.type !== 'VirtualMachine') return;
    const state = this.#steps.powerState(document);
    const action = how === 'said' ? entity.stopAction : how;
    if (action === 'none' || state === 'poweredOff' || (action === 'suspend' && state === 'suspended')) return;
    const { task, again } = run;
    if (action === 'suspend') return this.#steps.run(task, document, 'SuspendVM_Task', { again });
    if (action === 'guestShutdown' && state === 'poweredOn' && (await this.#shutDown(task, document, entity))) return;
    await this.#steps.run(task, document, 'PowerOffVM_Task', { again });
  }

  /** False where the guest does not do it in time, or cannot be asked. */
  async #shutDown(task: RunningTask, machine: MachineDocument, { stopDelay }: VAppEntity): Promise<boolean> {
    const isOff = () => this.#steps.powerState(machine) === 'poweredOff';
    try {
      await this.#steps.call(task, machine, 'ShutdownGuest');
    } catch (error) {
      if (!(error instanceof VimFault) || error.type === 'HostNotConnected') throw error;
      return false;
    }
    await this.#until(isOff, AbortSignal.any([AbortSignal.timeout(stopDelay * 1_000), task.signal]));
    task.signal.throwIfAborted();
    return isOff();
  }

  /** Waits until it is so, or the signal fires. */
  #until(so: () => boolean, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!so() && !signal.aborted) return;
        stop();
        signal.removeEventListener('abort', look);
        resolve();
      };
      const stop = this.#core.registry.onCommit(look);
      signal.addEventListener('abort', look);
      look();
    });
  }

  #machines(vApp: PoolDocument): MachineDocument[] {
    return membersOf(this.#core.inventory, vApp).flatMap(({ value }) => {
      const document = this.#core.inventory.find(value);
      if (document?.type === 'VirtualApp') return this.#machines(document);
      return document?.type === 'VirtualMachine' ? [document] : [];
    });
  }

  #all(vApp: PoolDocument, state: string): boolean {
    return this.#machines(vApp).every((machine) => this.#steps.powerState(machine) === state);
  }

  #withBelow(vApp: PoolDocument): PoolDocument[] {
    const below = membersOf(this.#core.inventory, vApp).flatMap(({ value }) => {
      const document = this.#core.inventory.find(value);
      return document?.type === 'VirtualApp' ? this.#withBelow(document) : [];
    });
    return [vApp, ...below];
  }

  #touch(vApps: readonly PoolDocument[]): void {
    this.#core.registry.commit((draft) => {
      for (const vApp of vApps) if (draft.has(referenceOf(vApp))) draft.touch(referenceOf(vApp), 'summary');
    });
  }
}

/** Groups of those that go together, first to start first. */
function inOrder(entities: readonly VAppEntity[]): VAppEntity[][] {
  const groups = Map.groupBy(entities, ({ startOrder }) => startOrder);
  return [...groups].sort(([a], [b]) => a - b).map(([, group]) => group);
}

/** All at once; fails with the first failure, once all are over. */
async function together<T, R>(all: readonly T[], work: (one: T) => Promise<R>): Promise<R[]> {
  const ends = await Promise.allSettled(all.map(work));
  return ends.map((end) => {
    if (end.status === 'rejected') throw end.reason;
    return end.value;
  });
}

function invalidPower(requestedState: string, existingState: string) {
  return fault(
    'InvalidPowerState',
    { requestedState: requestedState as 'poweredOn', existingState: existingState as 'poweredOn' },
    `The vApp is ${existingState} already.`,
  );
}
