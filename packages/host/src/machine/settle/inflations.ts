import { setTimeout as sleep } from 'node:timers/promises';
import {
  DiskDamage,
  diskFault,
  dropInflated,
  inflateDisk,
  NoRoom,
  recordOf,
  SettlePace,
  type SettlingDisk,
  writeSettleRecord,
} from '@hypostyle/services';
import { fault, type VimFault } from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { damageQuestion } from './machine-question.ts';
import { untilRoom } from './room-wait.ts';
import { settleRate } from './settle-policy.ts';
import { settlingDisks } from './settling-disks.ts';

/** The disks of one machine being inflated in this process. */
interface Inflation {
  readonly done: Promise<void>;
  readonly abort: AbortController;
  pace: SettlePace;
  /** A guest waits for a block that cannot be read: the damage is looked for as fast as can be. */
  hurried: boolean;
  readonly hurry: PromiseWithResolvers<void>;
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
/** Of the whole task's progress, what inflating is. */
const inflatingPercent = 95;

/** Disks that are being inflated in this process, by machine. */
export class Inflations {
  readonly #core: HostCore;
  readonly #byMachine = new Map<string, Inflation>();
  #questions = 0;
  #closed = false;

  constructor(core: HostCore) {
    this.#core = core;
  }

  /** Inflates the disks of a machine one after another; for all who want it, once. */
  begin(machine: MachineRecord): Inflation {
    const { id } = machine;
    const known = this.#byMachine.get(id);
    if (known !== undefined) return known;
    const started = Promise.withResolvers<void>();
    const inflation: Inflation = {
      done: started.promise.then(() => this.#inflateDisks(machine, inflation)),
      abort: new AbortController(),
      pace: new SettlePace(),
      hurried: false,
      hurry: Promise.withResolvers(),
      giveRoom: undefined,
      listeners: new Set(),
    };
    this.#byMachine.set(id, inflation);
    if (this.#closed) inflation.abort.abort();
    const forget = () => this.#byMachine.delete(id);
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
        throw diskFault(error, datastore, datastore.pathOf(disk.descriptorPath));
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
        await untilRoom(this.#core, machine, signal, {
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

  /** Ends what is under way for a machine; its files are left as they are. */
  async stop(id: string): Promise<void> {
    const inflation = this.#byMachine.get(id);
    inflation?.abort.abort(fault('RequestCanceled', {}, 'The machine is taken away.'));
    await inflation?.done.catch(() => {});
  }

  /** A guest has no room: disks that wait to settle on its datastore give back what they took, and begin anew later. */
  giveRoom(datastore: MachineRecord['datastore']): void {
    for (const [id, { giveRoom }] of this.#byMachine) {
      if (this.#core.machines.find(id)?.datastore === datastore) giveRoom?.();
    }
  }

  /** A guest waits for a block that cannot be read: what cannot be is found as fast as can be. False: none is under way. */
  hurry(id: string): boolean {
    const inflation = this.#byMachine.get(id);
    if (inflation === undefined) return false;
    inflation.hurried = true;
    inflation.hurry.resolve();
    inflation.pace.set(0);
    return true;
  }

  /** Ends the threads; what they did is kept for the next process. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { abort } of this.#byMachine.values()) abort.abort();
    await Promise.allSettled([...this.#byMachine.values()].map(({ done }) => done));
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
    await this.remember(disk, message);
    const machine = this.#core.machines.find(id);
    const engine = this.#core.machines.engine(id);
    if (machine === undefined || engine === undefined || engine.state === 'stopped') return;
    if (engine.state === 'running')
      await engine.pause().catch((error: unknown) => this.#core.onDefect('pausing', error));
    this.ask(machine, `Disk ${disk.id} of '${machine.configuration.name}' is damaged: ${message}.`);
  }

  /** Notes the damage beside the disk: nothing runs from it any more. */
  async remember(disk: SettlingDisk, damage: string): Promise<void> {
    await writeSettleRecord(disk.descriptorPath, { ...(await recordOf(disk)), damage });
  }

  /** Asks whoever minds the machine what becomes of it. */
  ask(machine: MachineRecord, text: string): void {
    this.#questions += 1;
    const question = damageQuestion(`settle-${machine.id}-${this.#questions}`, text);
    this.#core.registry.commit((draft) => {
      this.#core.machines.change(machine.id, { question }, draft);
      this.#core.events.post(draft, { type: 'VmMessageErrorEvent', entity: machine.ref, members: { message: text } });
    });
  }
}
