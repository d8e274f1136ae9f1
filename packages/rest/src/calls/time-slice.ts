/** Milliseconds that long works may take together in a round of the event loop, and steps between two looks at the clock. */
const roundMilliseconds = 5;
const stepsPerLook = 32;

/** Works that wait for their turn, first come first. The event loop is one, and so is its queue. */
const waiting: (() => void)[] = [];
let roundEnd: number | undefined;

/**
 * Keeps long lists from holding up everybody else: `if (slice.isOver()) await slice.rest();` in their loop. Works that
 * begin in one round of the event loop share its time, and of those that rest one goes on in each round: many at once
 * hold up others no longer than one alone.
 */
export class TimeSlice {
  #end = endOfRound();
  #steps = 0;

  isOver(): boolean {
    this.#steps += 1;
    return this.#steps % stepsPerLook === 0 && performance.now() >= this.#end;
  }

  async rest(): Promise<void> {
    await new Promise<void>((resolve) => {
      waiting.push(resolve);
      if (waiting.length === 1) setImmediate(takeTurn);
    });
    this.#end = endOfRound();
  }
}

function endOfRound(): number {
  if (roundEnd === undefined) {
    roundEnd = performance.now() + roundMilliseconds;
    setImmediate(() => {
      roundEnd = undefined;
    });
  }
  return roundEnd;
}

function takeTurn(): void {
  roundEnd = undefined;
  waiting.shift()?.();
  if (waiting.length > 0) setImmediate(takeTurn);
}
