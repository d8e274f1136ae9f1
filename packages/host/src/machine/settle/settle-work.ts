import { setTimeout as sleep } from 'node:timers/promises';
import {
  checkSource,
  DiskDamage,
  diskFault,
  dropInflated,
  faults,
  finishDisk,
  inflateDisk,
  NoRoom,
  recordOf,
  roomIn,
  SettlePace,
  type SettlingDisk,
  type UnfinishedDisk,
  writeSettleRecord,
} from '@hypostyle/services';
import { asFault, fault, type ManagedObjectReference, type RunningTask, VimFault } from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { machineReference, readMachine } from '../registration/registration.ts';
import { damageQuestion } from './machine-question.ts';
import { settleRate } from './settle-policy.ts';
import { settlingDisks } from './settling-disks.ts';

interface SettleInput {
  readonly id: string;
}

/** The disks of one machine being inflated in this process. */
interface Inflation {
  readonly done: Promise<void>;
  readonly abort: AbortController;
  pace: SettlePace;
  /** A guest waits for a block that cannot be read: the damage is looked for as fast as can be. */
  hurried: boolean;
  readonly hurry: PromiseWithResolvers<void>;
  progress: number;
  /** While there is no room; called for a guest that has none, it gives away what was inflated. */
  giveRoom: (() => void) | undefined;
  readonly listeners: Set<InflationListener>;
}

interface InflationListener {
  readonly progress: (percent: number) => void;
  /** Told while there is no room on the datastore; undefined: it goes on. */
  readonly waits: (reason: VimFault | undefined) => void;
}

/** A guest that boots has the host to itself: for so long after its start, its disks settle no faster than that. */
const bootMilliseconds = 20_000;
const bootRate = 4 * 2 ** 20;
/** Milliseconds after its start until threads are made for that at all: most guests are up by then. */
const bootHead = 4_000;
/** Milliseconds between looks at whether a datastore has room again. */
const roomInterval = 1_000;
/** Of the whole task's progress, what inflating is. */
const inflatingPercent = 95;

/**
 * Disks that came in a compressed file become plain ones in the background, while their machines run from the file. It
 * is a task; cancelled, it begins again with the machine's next power-on or the next start of the service. Inflating
 * goes on beside whatever is done with the machine; the last steps have the machine to themselves.
 */
export class SettleWork {
  readonly #core: HostCore;
  readonly #start: (id: string) => Promise<ManagedObjectReference<'Task'>>;
  readonly #finish: (id: string, parent: string) => Promise<ManagedObjectReference<'Task'>>;
  /** Machines that a task settles. */
  readonly #tasks = new Set<string>();
  readonly #inflations = new Map<string, Inflation>();
  readonly #merges = new Map<string, AbortController>();
  #questions = 0;
  #closed = false;

  constructor(core: HostCore) {
    this.#core = core;
    const settle = (task: RunningTask, input: SettleInput) => this.#settle(task, input.id);
    const settleKind = core.tasks.define<SettleInput>('VirtualMachine.settleDisks', {
      cancelable: true,
      run: settle,
      resume: settle,
    });
    const finish = (task: RunningTask, input: SettleInput) => this.#finishAll(task, input.id);
    const finishKind = core.tasks.define<SettleInput>('VirtualMachine.finishSettling', { run: finish, resume: finish });
    this.#start = (id) => settleKind({}, { input: { id }, entity: machineReference(id) });
    this.#finish = (id, parentTaskKey) =>
      finishKind({}, { input: { id }, entity: machineReference(id), queueKey: id, parentTaskKey });
  }

  /** Begins to settle a machine's disks, unless none is to be or it is under way. */
  begin(id: string): void {
    if (this.#tasks.has(id)) return;
    this.#background(
      (async () => {
        const machine = this.#core.machines.find(id);
        if (machine === undefined || (await settlingDisks(machine)).length === 0 || this.#tasks.has(id)) return;
        this.#tasks.add(id);
        try {
          await this.#start(id);
        } catch (error) {
          this.#tasks.delete(id);
          throw error;
        }
      })(),
    );
  }

  /** At the start of the service, after unfinished tasks have gone on. */
  beginAll(): void {
    for (const { id, disks } of this.#core.machines.all()) {
      if ([...disks.values()].some(({ settling }) => settling)) this.begin(id);
    }
  }

  /** Throws where a disk of the machine must not be run from. For a machine that is about to be started. */
  async checkSources(machine: MachineRecord, signal?: AbortSignal): Promise<void> {
    for (const disk of await settlingDisks(machine)) {
      try {
        await checkSource(disk, signal);
      } catch (error) {
        if (!(error instanceof DiskDamage)) throw error;
        await this.#remember(disk, error.message);
        throw damageFault(error);
      }
    }
  }

  /** Has all of a machine's disks plain, for one who has the machine to itself. */
  async complete(id: string, signal: AbortSignal, onProgress: (percent: number) => void): Promise<void> {
    const machine = this.#core.machines.get(machineReference(id));
    if ((await settlingDisks(machine)).length === 0) return;
    const inflation = this.#inflate(machine);
    const stuck = new AbortController();
    // Whoever waits for plain disks is not kept until somebody makes room.
    const listener = {
      progress: onProgress,
      waits: (reason: VimFault | undefined) => {
        if (reason !== undefined) stuck.abort(reason);
      },
    };
    inflation.listeners.add(listener);
    try {
      if (inflation.giveRoom !== undefined) listener.waits(noRoomFault(machine));
      await orAborted(inflation.done, AbortSignal.any([signal, stuck.signal]));
    } catch (error) {
      throw error instanceof DiskDamage ? damageFault(error) : error;
    } finally {
      inflation.listeners.delete(listener);
    }
    await this.#finishDisks(id, signal, () => {});
  }

  /** Ends what is under way for a machine that is about to go; its files are left as they are. */
  async stop(id: string): Promise<void> {
    const inflation = this.#inflations.get(id);
    inflation?.abort.abort(fault('RequestCanceled', {}, 'The machine is taken away.'));
    await inflation?.done.catch(() => {});
  }

  /** Lets another have the machine, where merging would keep it for long: it is gone on with afterwards. */
  stepAside(id: string): void {
    this.#merges.get(id)?.abort();
  }

  /** A disk error that made the machine stand still. False: the disk is none that settles. */
  async diskPaused(id: string, diskId: string, detail: string): Promise<boolean> {
    const machine = this.#core.machines.find(id);
    const disk = machine && (await settlingDisks(machine)).find((settling) => settling.id === diskId);
    if (machine === undefined || disk === undefined) return false;
    const { source } = await recordOf(disk);
    const looking = machine.question === undefined;
    if (looking)
      this.#ask(
        machine,
        `A block of disk ${diskId} cannot be read from ${source} (${detail}); which one is being looked for.`,
      );
    const inflation = this.#inflations.get(id);
    if (inflation === undefined) this.begin(id);
    else {
      inflation.hurried = true;
      inflation.hurry.resolve();
      inflation.pace.set(0);
    }
    return true;
  }

  /** Checks everything again, for a machine whose question was answered so. */
  async retry(id: string): Promise<void> {
    const machine = this.#core.machines.find(id);
    if (machine === undefined) return;
    for (const disk of await settlingDisks(machine)) {
      const { damage: _checkedAgain, ...record } = await recordOf(disk);
      await writeSettleRecord(disk.descriptorPath, record);
    }
    this.begin(id);
  }

  /** Ends the threads; what they did is kept for the next process. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { abort } of this.#inflations.values()) abort.abort();
    await Promise.allSettled([...this.#inflations.values()].map(({ done }) => done));
  }

  async #settle(task: RunningTask, id: string): Promise<void> {
    this.#tasks.add(id);
    try {
      const machine = this.#core.machines.find(id);
      if (machine === undefined) return;
      const inflation = this.#inflate(machine);
      const cancel = () => inflation.abort.abort(task.signal.reason);
      task.signal.addEventListener('abort', cancel, { once: true });
      const say = (reason: VimFault | undefined) => task.describe(reason?.message ?? 'There is room again.');
      inflation.listeners.add({
        progress: (percent) => task.progress(percent),
        waits: say,
      });
      try {
        task.signal.throwIfAborted();
        await inflation.done;
      } finally {
        task.signal.removeEventListener('abort', cancel);
      }
      // Whoever needs the machine sooner interrupts the last steps, and is waited for in turn.
      while (await this.#isUnfinished(id)) {
        task.signal.throwIfAborted();
        const { error } = await this.#core.tasks.finished(await this.#finish(id, task.ref.value));
        if (error === undefined) continue;
        if (await this.#isFull(machine)) {
          await this.#untilRoom(machine, task.signal, { say });
          continue;
        }
        throw new VimFault(error.fault._typeName ?? 'SystemError', error.fault, error.localizedMessage ?? 'It failed.');
      }
    } catch (error) {
      throw error instanceof DiskDamage ? damageFault(error) : error;
    } finally {
      this.#tasks.delete(id);
    }
  }

  async #isFull({ datastore }: MachineRecord): Promise<boolean> {
    const { free, reserve } = await roomIn(datastore.directory);
    return free < reserve;
  }

  async #isUnfinished(id: string): Promise<boolean> {
    const machine = this.#core.machines.find(id);
    return machine !== undefined && (await settlingDisks(machine)).length > 0;
  }

  /** Inflates the disks of a machine one after another; for all who want it, once. */
  #inflate(machine: MachineRecord): Inflation {
    const { id } = machine;
    const known = this.#inflations.get(id);
    if (known !== undefined) return known;
    const started = Promise.withResolvers<void>();
    const inflation: Inflation = {
      done: started.promise.then(() => this.#inflateDisks(machine, inflation)),
      abort: new AbortController(),
      pace: new SettlePace(),
      hurried: false,
      hurry: Promise.withResolvers(),
      progress: 0,
      giveRoom: undefined,
      listeners: new Set(),
    };
    this.#inflations.set(id, inflation);
    if (this.#closed) inflation.abort.abort();
    const forget = () => this.#inflations.delete(id);
    inflation.done.then(forget, forget);
    started.resolve();
    return inflation;
  }

  async #inflateDisks(machine: MachineRecord, inflation: Inflation): Promise<void> {
    const { id } = machine;
    const disks = await settlingDisks(machine);
    const total = disks.reduce((sum, { places }) => sum + places.length, 0);
    const { signal } = inflation.abort;
    await this.#letBoot(id, inflation);
    let before = 0;
    for (const disk of disks) {
      signal.throwIfAborted();
      inflation.pace = new SettlePace(this.#rate(id, inflation));
      const onProgress = (doneBytes: number) => {
        inflation.pace.set(this.#rate(id, inflation));
        const percent = Math.floor(((before + doneBytes) / total) * inflatingPercent);
        for (const listener of inflation.listeners) listener.progress(percent);
      };
      try {
        await this.#inflateDisk(machine, disk, inflation, onProgress);
      } catch (error) {
        if (error instanceof DiskDamage) await this.#damaged(id, disk, error);
        if (error instanceof DiskDamage || signal.aborted) throw error;
        const { datastore } = machine;
        throw diskFault(error, datastore, disk.descriptorPath.slice(datastore.directory.length + 1));
      }
      before += disk.places.length;
    }
  }

  /** Stops while there is no room, so that guests have what is left, and goes on from there when there is. */
  async #inflateDisk(
    machine: MachineRecord,
    disk: SettlingDisk,
    inflation: Inflation,
    onProgress: (doneBytes: number) => void,
  ): Promise<void> {
    const { signal } = inflation.abort;
    for (;;) {
      try {
        return await inflateDisk(disk, { pace: inflation.pace, signal, onProgress });
      } catch (error) {
        if (!(error instanceof NoRoom)) throw error;
        signal.throwIfAborted();
        await this.#untilRoom(machine, signal, {
          say: (reason) => {
            for (const listener of inflation.listeners) listener.waits(reason);
          },
          onWanted: (give) => {
            inflation.giveRoom = give;
          },
          give: () => dropInflated(disk),
        });
        inflation.giveRoom = undefined;
      }
    }
  }

  async #untilRoom(
    machine: MachineRecord,
    signal: AbortSignal,
    waiting: {
      readonly say: (reason: VimFault | undefined) => void;
      /** Told how to have room given back meanwhile. */
      readonly onWanted?: (give: () => void) => void;
      readonly give?: () => Promise<void>;
    },
  ): Promise<void> {
    const reason = noRoomFault(machine);
    waiting.say(reason);
    this.#core.events.post(undefined, {
      type: 'GeneralVmErrorEvent',
      entity: machine.ref,
      members: { message: `${reason.message} Its disks go on settling when there is.` },
    });
    let wanted = false;
    waiting.onWanted?.(() => {
      wanted = true;
    });
    for (;;) {
      await sleep(roomInterval, undefined, { signal, ref: false });
      // Here, where nothing is being written to what goes.
      if (wanted) await waiting.give?.();
      wanted = false;
      const { free, reserve } = await roomIn(machine.datastore.directory);
      // Not at the first free block: it would stop again at once.
      if (free >= 2 * reserve) break;
    }
    waiting.say(undefined);
  }

  /** A guest has no room: disks that wait to settle on its datastore give back what they took, and begin anew later. */
  giveRoom(datastore: MachineRecord['datastore']): void {
    for (const [id, { giveRoom }] of this.#inflations) {
      if (this.#core.machines.find(id)?.datastore === datastore) giveRoom?.();
    }
  }

  /** Waits until a guest that was just started has had the host to itself for a while. */
  async #letBoot(id: string, { hurried, hurry, abort: { signal } }: Inflation): Promise<void> {
    const left = (this.#core.machines.engine(id)?.startedAt ?? 0) + bootHead - Date.now();
    if (left <= 0 || hurried) return;
    const over = new AbortController();
    const waited = sleep(Math.min(left, bootHead), undefined, { signal: AbortSignal.any([signal, over.signal]) });
    await Promise.race([waited.catch(() => {}), hurry.promise]);
    over.abort();
  }

  #rate(id: string, { hurried }: Inflation): number {
    if (hurried) return 0;
    const extra = this.#core.machines.find(id)?.configuration.extra ?? [];
    const rate = settleRate(this.#core.options, extra);
    const startedAt = this.#core.machines.engine(id)?.startedAt ?? 0;
    if (Date.now() - startedAt > bootMilliseconds) return rate;
    return rate === 0 ? bootRate : Math.min(rate, bootRate);
  }

  /** The machine stands still until somebody says what becomes of it. */
  async #damaged(id: string, disk: SettlingDisk, { message }: DiskDamage): Promise<void> {
    await this.#remember(disk, message);
    const machine = this.#core.machines.find(id);
    const engine = this.#core.machines.engine(id);
    if (machine === undefined || engine === undefined || engine.state === 'stopped') return;
    if (engine.state === 'running')
      await engine.pause().catch((error: unknown) => this.#core.onDefect('pausing', error));
    this.#ask(machine, `Disk ${disk.id} of '${machine.configuration.name}' is damaged: ${message}.`);
  }

  async #remember(disk: SettlingDisk, damage: string): Promise<void> {
    await writeSettleRecord(disk.descriptorPath, { ...(await recordOf(disk)), damage });
  }

  #ask(machine: MachineRecord, text: string): void {
    this.#questions += 1;
    const question = damageQuestion(`settle-${machine.id}-${this.#questions}`, text);
    this.#core.registry.commit((draft) => {
      this.#core.machines.change(machine.id, { question }, draft);
      this.#core.events.post(draft, { type: 'VmMessageErrorEvent', entity: machine.ref, members: { message: text } });
    });
  }

  /** The last steps, in the machine's turn. */
  async #finishAll(task: RunningTask, id: string): Promise<void> {
    if (this.#core.machines.find(id) === undefined) return;
    // What an earlier process had begun is brought to its end: its guest may stand still for it.
    const begun = (task.journaled as readonly UnfinishedDisk[] | undefined) ?? [];
    await this.#finishDisks(
      id,
      task.signal,
      (percent) => task.progress(percent),
      (disks) => task.journal(disks),
      begun,
    );
  }

  async #finishDisks(
    id: string,
    signal: AbortSignal,
    onProgress: (percent: number) => void,
    journal: (disks: readonly UnfinishedDisk[]) => Promise<void> = async () => {},
    begun: readonly UnfinishedDisk[] = [],
  ): Promise<void> {
    const machine = this.#core.machines.get(machineReference(id));
    const aside = new AbortController();
    this.#merges.set(id, aside);
    try {
      const found = await settlingDisks(machine);
      const ready: UnfinishedDisk[] = [...begun];
      for (const disk of found) {
        const inflated = disk.places.flatName !== undefined || (await recordOf(disk)).inflated === true;
        if (!inflated) throw fault('InvalidState', {}, `The disk ${disk.id} is not inflated yet.`);
        const { id: diskId, descriptorPath, files, above } = disk;
        if (!ready.some((other) => other.descriptorPath === descriptorPath))
          ready.push({ id: diskId, descriptorPath, files, ...(above === undefined ? {} : { above }) });
      }
      await journal(ready);
      for (const [index, disk] of ready.entries()) {
        await finishDisk(disk, {
          engine: () => this.#core.machines.engine(id),
          images: this.#core.hypervisor.images,
          signal: AbortSignal.any([signal, aside.signal]),
          onProgress: (fraction) => onProgress(Math.floor(((index + fraction) / ready.length) * 100)),
        });
      }
    } catch (error) {
      if (!aside.signal.aborted || signal.aborted) throw error;
    } finally {
      this.#merges.delete(id);
      const { datastore, vmxPath } = machine;
      const now = await readMachine(this.#core, datastore, vmxPath).catch(() => undefined);
      if (now !== undefined && this.#core.machines.find(id) !== undefined)
        this.#core.machines.change(id, { disks: now.disks, files: now.files });
    }
  }

  #background(work: Promise<void>): void {
    work.catch((error: unknown) => this.#core.onDefect('settling of disks', error));
  }
}

function noRoomFault({ datastore, configuration }: MachineRecord): VimFault {
  return faults.noSpace(`the disks of '${configuration.name}'`, datastore.name);
}

function damageFault(error: DiskDamage): VimFault {
  return fault('InvalidDiskFormat', {}, `${error.message}. Deploy the machine again from a good copy.`, {
    cause: error,
  });
}

/** Rejects with the signal's reason as soon as it fires; the work goes on. */
function orAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(asFault(signal.reason));
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
