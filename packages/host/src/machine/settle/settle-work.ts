import {
  checkSource,
  DiskDamage,
  finishDisk,
  recordOf,
  type UnfinishedDisk,
  writeSettleRecord,
} from '@hypostyle/services';
import { asFault, fault, type ManagedObjectReference, type RunningTask, VimFault } from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { machineReference, readMachine } from '../registration/registration.ts';
import { Inflations } from './inflations.ts';
import { isFull, untilRoom } from './room-wait.ts';
import { damageFault, noRoomFault } from './settle-faults.ts';
import { settlingDisks } from './settling-disks.ts';

interface SettleInput {
  readonly id: string;
}

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
  readonly #inflations: Inflations;
  readonly #merges = new Map<string, AbortController>();

  constructor(core: HostCore) {
    this.#core = core;
    this.#inflations = new Inflations(core);
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
    // As its descriptors said when the folder was read last: whatever changes a machine reads it again.
    if (![...machine.disks.values()].some(({ settling }) => settling)) return;
    for (const disk of await settlingDisks(machine)) {
      try {
        await checkSource(disk, signal);
      } catch (error) {
        if (!(error instanceof DiskDamage)) throw error;
        await this.#inflations.remember(disk, error.message);
        throw damageFault(error);
      }
    }
  }

  /** Has all of a machine's disks plain, for one who has the machine to itself. */
  async complete(id: string, signal: AbortSignal, onProgress: (percent: number) => void): Promise<void> {
    const machine = this.#core.machines.get(machineReference(id));
    if ((await settlingDisks(machine)).length === 0) return;
    const inflation = this.#inflations.begin(machine);
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
    await this.#inflations.stop(id);
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
      this.#inflations.ask(
        machine,
        `A block of disk ${diskId} cannot be read from ${source} (${detail}); which one is being looked for.`,
      );
    if (!this.#inflations.hurry(id)) this.begin(id);
    return true;
  }

  /** Checks everything again, for a machine whose question was answered so. */
  async retry(id: string): Promise<void> {
    const machine = this.#core.machines.find(id);
    if (machine === undefined) return;
    for (const disk of await settlingDisks(machine)) {
      const { damage, ...record } = await recordOf(disk);
      // Where there is no room nothing is written that is the same.
      if (damage === undefined) continue;
      await writeSettleRecord(disk.descriptorPath, record);
    }
    this.begin(id);
  }

  /** Ends the threads; what they did is kept for the next process. */
  async close(): Promise<void> {
    await this.#inflations.close();
  }

  /** A guest has no room: disks that wait to settle on its datastore give back what they took, and begin anew later. */
  giveRoom(datastore: MachineRecord['datastore']): void {
    this.#inflations.giveRoom(datastore);
  }

  async #settle(task: RunningTask, id: string): Promise<void> {
    this.#tasks.add(id);
    try {
      const machine = this.#core.machines.find(id);
      if (machine === undefined) return;
      const inflation = this.#inflations.begin(machine);
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
        if (await isFull(machine)) {
          await untilRoom(this.#core, machine, task.signal, { say });
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

  async #isUnfinished(id: string): Promise<boolean> {
    const machine = this.#core.machines.find(id);
    return machine !== undefined && (await settlingDisks(machine)).length > 0;
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

/** Rejects with the signal's reason as soon as it fires; the work goes on. */
function orAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(asFault(signal.reason));
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
