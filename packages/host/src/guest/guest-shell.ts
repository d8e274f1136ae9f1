import { type GuestProgramEnd, maxGuestOutputBytes, type RunningMachine } from '@hypostyle/contracts';
import type { HostCore } from '../host-core.ts';
import { invalidPowerState } from '../machine/power/power-work.ts';
import type { MachineRecord } from '../machine/record/machine-record.ts';
import { asGuestFault, endFault, guestFaults } from './guest-faults.ts';
import { encodeParameter, exitCodes, type GuestOperation, launcher, operations } from './guest-scripts.ts';

/** Who acts in a guest. */
export interface GuestUser {
  readonly userName: string;
  /** Undefined where the password has been checked already: by a ticket, or at the beginning of a transfer. */
  readonly password: string | undefined;
}

export interface GuestRun {
  readonly operation: GuestOperation;
  /** In the order in which the operation takes them. */
  readonly parameters?: readonly string[];
  /** What follows the parameters. */
  readonly data?: Uint8Array;
  /** What a fault is about. */
  readonly file?: string;
  readonly timeoutMs?: number;
}

/** Most operations at a time in one guest, and most that wait for their turn. */
const atOnce = 4;
const mostWaiting = 64;
/** Milliseconds until a wrong password is said to be wrong; the next one of that guest is looked at after that. */
const wrongPasswordDelay = 1_000;
const shell = '/bin/sh';

/** Does things in guests as one of their users, by their agents. */
export class GuestShell {
  readonly #core: HostCore;
  readonly #turns = new Map<string, { running: number; readonly waiting: (() => void)[] }>();
  readonly #wrong = new Map<string, Promise<void>>();

  constructor(core: HostCore) {
    this.#core = core;
  }

  /**
   * The engine of a machine whose guest takes operations. Throws InvalidPowerState, GuestOperationsUnavailable,
   * OperationNotSupportedByGuest.
   */
  engine(machine: MachineRecord): RunningMachine {
    if (machine.powerState !== 'poweredOn') throw invalidPowerState(machine, 'poweredOn');
    const engine = this.#core.machines.engine(machine.id);
    if (engine === undefined) throw guestFaults.notReady(machine.problem ?? 'The engine cannot be reached.');
    if (!this.#core.hypervisorInfo.capabilities.guestPrograms) {
      throw guestFaults.unsupported('The hypervisor here starts no programs in guests.');
    }
    if (machine.guest?.osId === 'mswindows') {
      throw guestFaults.unsupported('Operations in Windows guests are not supported.');
    }
    return engine;
  }

  /** What the operation wrote. Throws the faults of guest operations. */
  async run(machine: MachineRecord, user: GuestUser, run: GuestRun): Promise<Buffer> {
    const end = await this.#end(machine, user, run);
    if (end.exitCode !== 0) throw endFault(end, run.file ?? '');
    return end.output;
  }

  /** The process of an operation that goes on. The password must have been checked. */
  async start(machine: MachineRecord, userName: string, run: GuestRun): Promise<number> {
    const engine = this.engine(machine);
    return this.#turn(machine.id, async () => {
      try {
        return await engine.startInGuest(program({ userName, password: undefined }, run));
      } catch (error) {
        throw asGuestFault(error);
      }
    });
  }

  async #end(machine: MachineRecord, user: GuestUser, run: GuestRun): Promise<GuestProgramEnd> {
    const engine = this.engine(machine);
    const request = program(user, run);
    const ask = async () => {
      try {
        return await engine.runInGuest(request);
      } catch (error) {
        throw asGuestFault(error);
      }
    };
    if (user.password === undefined) return this.#turn(machine.id, ask);
    // Whoever guesses passwords gets one guess a second.
    await this.#wrong.get(machine.id);
    const end = await this.#turn(machine.id, ask);
    if (end.exitCode !== exitCodes.invalidLogin) return end;
    const before = this.#wrong.get(machine.id) ?? Promise.resolve();
    const delay = before.then(() => new Promise<void>((resolve) => setTimeout(resolve, wrongPasswordDelay)));
    this.#wrong.set(machine.id, delay);
    await delay;
    if (this.#wrong.get(machine.id) === delay) this.#wrong.delete(machine.id);
    return end;
  }

  async #turn<T>(id: string, work: () => Promise<T>): Promise<T> {
    const turns = this.#turns.get(id) ?? { running: 0, waiting: [] };
    this.#turns.set(id, turns);
    if (turns.running >= atOnce) {
      if (turns.waiting.length >= mostWaiting) throw guestFaults.tooMany();
      await new Promise<void>((resolve) => turns.waiting.push(resolve));
    } else turns.running += 1;
    try {
      return await work();
    } finally {
      const next = turns.waiting.shift();
      // Its turn goes on to the next one.
      if (next !== undefined) next();
      else if (--turns.running === 0) this.#turns.delete(id);
    }
  }
}

/** Most bytes of an operation's data. */
export const maxDataBytes = maxGuestOutputBytes >> 2;

function program(user: GuestUser, { operation, parameters = [], data, timeoutMs }: GuestRun) {
  const lines = [user.userName, user.password ?? '', user.password === undefined ? 'trust' : 'check', ...parameters];
  const text = Buffer.from(lines.map(encodeParameter).join(''));
  return {
    path: shell,
    arguments: ['-c', launcher, 'hypostyle', operations[operation]],
    input: data === undefined ? text : Buffer.concat([text, data]),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  };
}
