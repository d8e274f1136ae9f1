/** Work waiting for its turn. */
export interface QueuedWork {
  /** Works of one lane go one at a time, in order; without a lane there is nothing to wait for. */
  readonly lane: string | undefined;
  /** Counts against the bound of heavy work. */
  readonly heavy: boolean;
  /** Never rejects. */
  run(): Promise<void>;
}

/** Decides when work goes: lanes in order, heavy work bounded, everything else at once. */
export class TaskQueue {
  readonly #heavyLimit: number;
  #heavyRunning = 0;
  readonly #heavyWaiting = new Set<QueuedWork>();
  /** Head of each lane is running, or waits for a heavy slot. */
  readonly #lanes = new Map<string, QueuedWork[]>();

  constructor(heavyLimit: number) {
    this.#heavyLimit = heavyLimit;
  }

  add(work: QueuedWork): void {
    if (work.lane !== undefined) {
      const lane = this.#lanes.get(work.lane);
      if (lane !== undefined) {
        lane.push(work);
        return;
      }
      this.#lanes.set(work.lane, [work]);
    }
    this.#admit(work);
  }

  /** Takes back work that has not begun; false when it has. */
  remove(work: QueuedWork): boolean {
    if (this.#heavyWaiting.delete(work)) {
      this.#advance(work.lane);
      return true;
    }
    const lane = work.lane === undefined ? undefined : this.#lanes.get(work.lane);
    const index = lane?.indexOf(work) ?? -1;
    if (lane === undefined || index < 1) return false;
    lane.splice(index, 1);
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
      this.#advance(work.lane);
      if (this.#heavyRunning >= this.#heavyLimit) return;
      for (const next of this.#heavyWaiting) {
        this.#heavyWaiting.delete(next);
        this.#launch(next);
        return;
      }
    });
  }

  /** The head of the lane is done with: its next may go. */
  #advance(name: string | undefined): void {
    const lane = name === undefined ? undefined : this.#lanes.get(name);
    if (name === undefined || lane === undefined) return;
    lane.shift();
    const next = lane[0];
    if (next === undefined) this.#lanes.delete(name);
    else this.#admit(next);
  }
}
