/** Work waiting for its turn. */
export interface QueuedWork {
  /** Works of one lane go one at a time, in order; without a lane there is nothing to wait for. */
  readonly lane: string | undefined;
  /** Goes together with those beside it in its lane that are shared too. */
  readonly shared?: boolean;
  /** Counts against the bound of heavy work. */
  readonly heavy: boolean;
  /** Never rejects. */
  run(): Promise<void>;
}

/** Works of one name: those that are running, or wait for a heavy slot, and those behind them. */
interface Lane {
  readonly going: Set<QueuedWork>;
  readonly waiting: QueuedWork[];
}

/** Decides when work goes: lanes in order, heavy work bounded, everything else at once. */
export class TaskQueue {
  readonly #heavyLimit: number;
  #heavyRunning = 0;
  readonly #heavyWaiting = new Set<QueuedWork>();
  readonly #lanes = new Map<string, Lane>();

  constructor(heavyLimit: number) {
    this.#heavyLimit = heavyLimit;
  }

  add(work: QueuedWork): void {
    if (work.lane === undefined) {
      this.#admit(work);
      return;
    }
    const lane = this.#lanes.get(work.lane) ?? { going: new Set(), waiting: [] };
    this.#lanes.set(work.lane, lane);
    lane.waiting.push(work);
    this.#advance(work.lane);
  }

  /** Takes back work that has not begun; false when it has. */
  remove(work: QueuedWork): boolean {
    if (this.#heavyWaiting.delete(work)) {
      this.#done(work);
      return true;
    }
    const { waiting = [] } = this.#lanes.get(work.lane ?? '') ?? {};
    const index = waiting.indexOf(work);
    if (index < 0) return false;
    waiting.splice(index, 1);
    // Those behind it may go with those before it.
    if (work.lane !== undefined) this.#advance(work.lane);
    return true;
  }

  #admit(work: QueuedWork): void {
    if (work.heavy && this.#heavyRunning >= this.#heavyLimit) this.#heavyWaiting.add(work);
    else this.#launch(work);
  }

  #launch(work: QueuedWork): void {
    if (work.heavy) this.#heavyRunning += 1;
    void work.run().finally(() => {
      if (work.heavy) this.#heavyRunning -= 1;
      this.#done(work);
      if (this.#heavyRunning >= this.#heavyLimit) return;
      for (const next of this.#heavyWaiting) {
        this.#heavyWaiting.delete(next);
        this.#launch(next);
        return;
      }
    });
  }

  #done(work: QueuedWork): void {
    if (work.lane === undefined) return;
    this.#lanes.get(work.lane)?.going.delete(work);
    this.#advance(work.lane);
  }

  /** Lets those of a lane go whose turn it is. */
  #advance(name: string): void {
    const lane = this.#lanes.get(name);
    if (lane === undefined) return;
    const { going, waiting } = lane;
    for (;;) {
      const [next] = waiting;
      const together = going.size === 0 || (next?.shared === true && [...going].every(({ shared }) => shared));
      if (next === undefined || !together) break;
      waiting.shift();
      going.add(next);
      this.#admit(next);
    }
    if (going.size === 0 && waiting.length === 0) this.#lanes.delete(name);
  }
}
