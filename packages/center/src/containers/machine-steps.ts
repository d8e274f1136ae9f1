import { fault, type RunningTask } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import { type MachineDocument, referenceOf } from '../inventory/entity-document.ts';
import { destroyMachine } from '../machines/destroy-machine.ts';

/** Milliseconds from the start in which a host that is there is connected again. */
const reconnectTime = 60_000;

export interface StepOptions {
  /** True after a restart: what was begun is found again. */
  readonly again: boolean;
}

/** What tasks on folders and vApps do with the machines in them. */
export class MachineSteps {
  readonly #core: CenterCore;
  readonly #forwarding: Forwarding;
  readonly #begin = performance.now();

  constructor(core: CenterCore, forwarding: Forwarding) {
    this.#core = core;
    this.#forwarding = forwarding;
  }

  powerState(machine: MachineDocument) {
    return this.#core.registry.read<'VirtualMachine', 'runtime'>(referenceOf(machine), 'runtime')?.powerState;
  }

  /** Waits for the hosts of the machines where the center has just started, and they are still on their way. */
  async reach(task: RunningTask, machines: readonly MachineDocument[]): Promise<void> {
    const left = this.#begin + reconnectTime - performance.now();
    if (left <= 0) return;
    const signal = AbortSignal.any([task.signal, AbortSignal.timeout(Math.ceil(left))]);
    const hosts = new Set(machines.map(({ host }) => host));
    // One that does not come back is told of by what is asked of it.
    await Promise.allSettled([...hosts].map((host) => this.#core.hosts.link(host)?.ready(signal)));
    task.signal.throwIfAborted();
  }

  /** Throws InvalidPowerState for a machine that is not off. */
  checkOff(machines: readonly MachineDocument[]): void {
    for (const machine of machines) {
      const existingState = this.powerState(machine);
      if (existingState === undefined || existingState === 'poweredOff') continue;
      const states = { requestedState: 'poweredOff', existingState } as const;
      throw fault('InvalidPowerState', states, `Power '${machine.name}' off first.`);
    }
  }

  /** Machines and their files, one after another. */
  async destroy(task: RunningTask, machines: readonly MachineDocument[], { again }: StepOptions): Promise<void> {
    await this.reach(task, machines);
    this.checkOff(machines);
    for (const [index, machine] of machines.entries()) {
      if (task.signal.aborted) throw task.signal.reason;
      await destroyMachine(this.#core, this.#forwarding, task, machine, { again });
      task.progress(Math.floor(((index + 1) * 95) / machines.length));
    }
  }

  /** Takes machines out of the inventory, and leaves their files. */
  async unregister(task: RunningTask, machines: readonly MachineDocument[]): Promise<void> {
    await this.reach(task, machines);
    this.checkOff(machines);
    for (const machine of machines) {
      await this.#core.hosts.forWork(machine.host);
      const { link, ref } = this.#core.hosts.route(referenceOf(machine));
      await link.call(ref, 'UnregisterVM', {}, { realUser: task.userName });
      await link.caughtUp();
    }
  }

  /** A task of the machine's host, to its end. Throws its fault, and HostNotConnected where the host is away. */
  async run(
    task: RunningTask,
    machine: MachineDocument,
    method: string,
    { again, args = {} }: StepOptions & { readonly args?: Readonly<Record<string, unknown>> },
  ): Promise<void> {
    const link = await this.#core.hosts.forWork(machine.host, { again });
    const self = () => this.#core.hosts.route(referenceOf(machine)).ref;
    await this.#forwarding.step(task, link, self, method, args, { again, part: `${machine.value}/${method}` });
  }

  /** A call that is no task. */
  async call(task: RunningTask, machine: MachineDocument, method: string): Promise<void> {
    await this.#core.hosts.forWork(machine.host);
    const { link, ref } = this.#core.hosts.route(referenceOf(machine));
    await link.call(ref, method, {}, { realUser: task.userName });
    await link.caughtUp();
  }
}
