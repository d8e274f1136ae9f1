import { roomIn } from '@hypostyle/services';
import type { HostCore } from '../../host-core.ts';
import { diskIdOf } from '../power/hardware.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { spaceQuestion } from '../settle/machine-question.ts';

/** Milliseconds until a machine is tried again; twice as long each time that it stands still again soon. */
const firstDelay = 1_000;
const longestDelay = 60_000;

/**
 * Machines whose guests wrote to a datastore without room. They stand still, so that no write of theirs fails, and ask;
 * they go on by themselves when there is room again. Nothing of a guest is lost by it.
 */
export class FullDisks {
  readonly #core: HostCore;
  /** Frees what can be spared on a datastore. */
  readonly #giveRoom: (datastore: MachineRecord['datastore']) => void;
  readonly #stuck = new Map<string, { readonly timer: NodeJS.Timeout }>();
  readonly #tried = new Map<string, { readonly delay: number; readonly at: number }>();
  #questions = 0;

  constructor(core: HostCore, giveRoom: (datastore: MachineRecord['datastore']) => void) {
    this.#core = core;
    this.#giveRoom = giveRoom;
  }

  /** A write that made the machine stand still. Of several disks at once, the first is asked about. */
  paused(id: string, diskId: string): void {
    const machine = this.#core.machines.find(id);
    const known = this.#stuck.get(id);
    if (machine === undefined || (known !== undefined && machine.question !== undefined)) return;
    clearInterval(known?.timer);
    const { configuration } = machine;
    const datastore = datastoreOf(machine, diskId);
    this.#questions += 1;
    const question = `space-${id}-${this.#questions}`;
    const text = `There is no more room for disk ${diskId} of '${configuration.name}' on datastore '${datastore.name}'. The machine stands still, and goes on when there is room.`;
    this.#wait(id, question, datastore);
    // A question that is there already says more.
    if (machine.question === undefined) this.#core.machines.change(id, { question: spaceQuestion(question, text) });
    this.#giveRoom(datastore);
  }

  close(): void {
    for (const { timer } of this.#stuck.values()) clearInterval(timer);
    this.#stuck.clear();
  }

  #wait(id: string, question: string, datastore: MachineRecord['datastore']): void {
    const tried = this.#tried.get(id);
    const soon = tried !== undefined && Date.now() - tried.at < 2 * longestDelay;
    const delay = soon ? Math.min(2 * tried.delay, longestDelay) : firstDelay;
    const look = () => {
      this.#look(id, { question, delay, datastore }).catch((error: unknown) => {
        this.#stuck.delete(id);
        this.#core.onDefect('a machine without room', error);
      });
    };
    this.#stuck.set(id, { timer: setInterval(look, delay).unref() });
  }

  async #look(
    id: string,
    {
      question,
      delay,
      datastore,
    }: { readonly question: string; readonly delay: number; readonly datastore: MachineRecord['datastore'] },
  ): Promise<void> {
    const machine = this.#core.machines.find(id);
    const engine = this.#core.machines.engine(id);
    // Somebody answered, or it is gone.
    if (machine === undefined || engine === undefined || engine.state !== 'paused') {
      this.#forget(id, question);
      return;
    }
    const { free, reserve } = await roomIn(datastore.directory);
    if (free < reserve / 2 || !this.#stuck.has(id)) return;
    this.#forget(id, question);
    this.#tried.set(id, { delay, at: Date.now() });
    // Another question is another reason to stand still.
    if (this.#core.machines.find(id)?.question === undefined) await engine.resume();
  }

  #forget(id: string, question: string): void {
    clearInterval(this.#stuck.get(id)?.timer);
    this.#stuck.delete(id);
    if (this.#core.machines.find(id)?.question?.id === question)
      this.#core.machines.change(id, { question: undefined });
  }
}

/** The datastore that a guest writes a disk to. */
function datastoreOf({ configuration, disks, datastore }: MachineRecord, diskId: string): MachineRecord['datastore'] {
  const disk = configuration.disks.find((one) => diskIdOf(configuration, one) === diskId);
  return datastore.locate((disk && disks.get(disk.key)?.chain[0]?.[0]) ?? '').datastore;
}
