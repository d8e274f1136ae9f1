import { nextTurn, turnEnd } from '../runtime/event-loop-turn.ts';

/** Steps between two looks at the clock. */
const stepsPerLook = 64;

/** Keeps long work from holding up everybody else: `if (slice.isOver()) await slice.rest();` in its loop. */
export class TimeSlice {
  #end = turnEnd();
  #steps = 0;

  isOver(): boolean {
    this.#steps += 1;
    if (this.#steps % stepsPerLook !== 0) return false;
    return performance.now() >= this.#end;
  }

  async rest(): Promise<void> {
    await nextTurn();
    this.#end = turnEnd();
  }
}
