import { setImmediate } from 'node:timers/promises';

/** Milliseconds that a long work holds the event loop, and steps between two looks at the clock. */
const sliceMilliseconds = 5;
const stepsPerLook = 64;

/** Keeps long lists from holding up everybody else: `if (slice.isOver()) await slice.rest();` in their loop. */
export class TimeSlice {
  #end = performance.now() + sliceMilliseconds;
  #steps = 0;

  isOver(): boolean {
    this.#steps += 1;
    return this.#steps % stepsPerLook === 0 && performance.now() >= this.#end;
  }

  async rest(): Promise<void> {
    await setImmediate();
    this.#end = performance.now() + sliceMilliseconds;
  }
}
