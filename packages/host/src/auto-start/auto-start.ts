import { readFile } from 'node:fs/promises';
import { HypervisorError } from '@hypostyle/contracts';
import { type Clock, type HostAutoStartManagerConfig, type TaskOrigin, VimFault } from '@hypostyle/vim';
import type { HostCore } from '../host-core.ts';
import { references } from '../inventory/references.ts';
import type { PowerWork } from '../machine/power/power-work.ts';
import {
  type AutoStartSettings,
  changedAutoStart,
  initialAutoStart,
  shownAutoStart,
  startTurns,
  stopTurns,
  type Turn,
} from './auto-start-settings.ts';

const collection = 'host';
const settingsKey = 'auto-start';
const runKey = 'auto-start-run';

/** How far machines were started with one start of the computer. */
interface StartRun {
  /** Which start of the computer. */
  readonly computerStart: string;
  /** Machines whose turn has come: they are not started again. */
  readonly begun: readonly string[];
  readonly over: boolean;
}

/** Longest wait that a timer can do, in milliseconds. */
const longestTimer = 2 ** 31 - 1;

/** Machines that start with their host, and are stopped together, one after another. */
export class AutoStart {
  readonly #core: HostCore;
  readonly #power: PowerWork;
  readonly #clock: Clock;
  #settings: AutoStartSettings;
  /** Ends the row that is under way. */
  #row = new AbortController();

  private constructor(core: HostCore, power: PowerWork, clock: Clock, settings: AutoStartSettings) {
    this.#core = core;
    this.#power = power;
    this.#clock = clock;
    this.#settings = settings;
  }

  static async open(core: HostCore, power: PowerWork, clock: Clock): Promise<AutoStart> {
    const kept = await core.store.get<AutoStartSettings>(collection, settingsKey);
    return new AutoStart(core, power, clock, kept ?? initialAutoStart);
  }

  config(): HostAutoStartManagerConfig {
    return shownAutoStart(this.#settings, (machine) => this.#core.machines.find(machine) !== undefined);
  }

  /** Durable when it resolves. Throws InvalidArgument. */
  async reconfigure(spec: HostAutoStartManagerConfig): Promise<void> {
    const settings = changedAutoStart(this.#settings, spec, (id) => this.#core.machines.find(id) !== undefined);
    this.#settings = settings;
    await this.#keep(settingsKey, settings);
    this.#core.registry.commit((draft) => {
      draft.touch(references.autoStartManager, 'config');
      draft.touch(references.host, 'config');
    });
  }

  /**
   * Starts machines with the computer: at the first start of the service since then, and where the service was ended in
   * the middle of that, the ones that are left. Later starts of the service find machines as people left them.
   */
  async withComputer(computerStart: string): Promise<void> {
    const kept = await this.#core.store.get<StartRun>(collection, runKey);
    const before = kept?.computerStart === computerStart ? kept : { computerStart, begun: [], over: false };
    if (before.over) return;
    const left = startTurns(this.#settings).filter(({ machine }) => !before.begun.includes(machine));
    let run = before;
    const ended = await this.#inTurn(left, {}, async ({ machine }) => {
      if (run.begun.includes(machine)) return;
      run = { ...run, begun: [...run.begun, machine] };
      await this.#keep(runKey, run);
    });
    if (ended) await this.#keep(runKey, { computerStart, begun: [], over: true });
  }

  /** Starts what starts with the host, in order; the answer does not wait for it. */
  powerOn(origin: TaskOrigin): void {
    this.#begin(startTurns(this.#settings), origin);
  }

  /** Stops what is stopped with the host, in order; the answer does not wait for it. */
  powerOff(origin: TaskOrigin): void {
    this.#begin(stopTurns(this.#settings), origin);
  }

  /** Nothing more begins. */
  close(): void {
    this.#row.abort();
  }

  #begin(turns: readonly Turn[], origin: TaskOrigin): void {
    this.#inTurn(turns, origin).catch((error: unknown) => this.#core.onDefect('auto-start', error));
  }

  /** True when the last machine had its turn; false when another row, or the end of the service, came before. */
  async #inTurn(
    turns: readonly Turn[],
    origin: TaskOrigin,
    begun: (turn: Turn) => Promise<void> = async () => {},
  ): Promise<boolean> {
    this.#row.abort();
    this.#row = new AbortController();
    const { signal } = this.#row;
    for (const [index, turn] of turns.entries()) {
      if (signal.aborted) return false;
      const acted = await this.#act(turn, origin, () => begun(turn));
      if (acted && index < turns.length - 1) await this.#wait(turn, signal);
    }
    return !signal.aborted;
  }

  /**
   * True when there was something to do. What fails is told by its task, or by an event, and others have their turn.
   * `begun` is told once a restart goes on with it, or has nothing to go on with.
   */
  async #act({ machine: id, action }: Turn, origin: TaskOrigin, begun: () => Promise<void>): Promise<boolean> {
    const machine = this.#core.machines.find(id);
    const isOn = machine?.powerState === 'poweredOn';
    if (machine === undefined || machine.configuration.template || isOn === (action === 'powerOn')) {
      await begun();
      return false;
    }
    try {
      const task = action === 'guestShutdown' ? undefined : await this.#power.begin(origin, machine, action);
      await begun();
      if (task === undefined) await this.#core.machines.engine(id)?.requestShutdown();
      else await this.#core.tasks.finished(task);
      return true;
    } catch (error) {
      if (!(error instanceof VimFault) && !(error instanceof HypervisorError)) throw error;
      await begun();
      const what = action === 'powerOn' ? 'started with its host' : 'stopped with its host';
      const message = `'${machine.configuration.name}' was not ${what}: ${error.message}`;
      this.#core.events.post(undefined, { type: 'GeneralVmWarningEvent', entity: machine.ref, members: { message } });
      return false;
    }
  }

  /** Until the next one's turn. */
  async #wait({ machine, action, delay, endsByHeartbeat }: Turn, signal: AbortSignal): Promise<void> {
    const { machines, registry } = this.#core;
    const { promise, resolve } = Promise.withResolvers<void>();
    const isOver = () => {
      const found = machines.find(machine);
      if (found === undefined) return true;
      return action === 'powerOn' ? endsByHeartbeat && found.agentConnected : found.powerState !== 'poweredOn';
    };
    const look = () => {
      if (isOver()) resolve();
    };
    const stops = [this.#clock.after(Math.min(delay * 1000, longestTimer), () => resolve()), registry.onCommit(look)];
    const give = () => resolve();
    signal.addEventListener('abort', give, { once: true });
    if (signal.aborted) resolve();
    look();
    await promise;
    signal.removeEventListener('abort', give);
    for (const stop of stops) stop();
  }

  async #keep(key: string, value: unknown): Promise<void> {
    await this.#core.store.transact([{ put: { collection, key, value } }]);
  }
}

/** Which start of this computer, or of the container that this is, it is: another one after each. */
export async function readComputerStart(): Promise<string> {
  const [boot, first] = await Promise.all(
    ['/proc/sys/kernel/random/boot_id', '/proc/1/stat'].map((path) => readFile(path, 'utf8')),
  );
  // Field 22 is when the first process began; its name, in parentheses, may have spaces.
  const began = first?.slice(first.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  return `${boot?.trim()}/${began}`;
}
