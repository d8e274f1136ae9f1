/** Works that wait for their turn, first come first. The event loop is one, and so is its queue. */
const waiting: (() => void)[] = [];

/**
 * Resolves when a long work may go on. One does in each round of the event loop: many at once hold up everybody else no
 * longer than one alone, which `setImmediate` would not do, since it runs all that wait in the same round.
 */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    if (waiting.length === 1) setImmediate(takeTurn);
  });
}

/** Milliseconds that long works may take together in a round of the event loop. */
const roundMilliseconds = 5;
let roundEnd: number | undefined;

/**
 * Until when long work may go on, by `performance.now`: works that begin in the same round of the event loop, such as
 * requests that came together, share its time.
 */
export function turnEnd(): number {
  if (roundEnd === undefined) {
    roundEnd = performance.now() + roundMilliseconds;
    setImmediate(() => {
      roundEnd = undefined;
    });
  }
  return roundEnd;
}

let requests = 0;

/**
 * Undefined when a request that has just come may be answered at once, else resolves when it may: requests that come
 * together are answered in the order in which they came, in as many rounds of the event loop as they need.
 */
export function requestTurn(): Promise<void> | undefined {
  if (requests === 0 && performance.now() < turnEnd()) return undefined;
  requests += 1;
  return new Promise((resolve) => {
    const tryNow = () => {
      if (performance.now() >= turnEnd()) {
        setImmediate(tryNow);
        return;
      }
      requests -= 1;
      resolve();
    };
    setImmediate(tryNow);
  });
}

function takeTurn(): void {
  roundEnd = undefined;
  waiting.shift()?.();
  if (waiting.length > 0) setImmediate(takeTurn);
}
