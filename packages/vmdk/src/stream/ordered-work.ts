/**
 * Does work on the items of a source, several at once, and yields the results in the source's order. No more than
 * `concurrency` items are ahead of the consumer. When the source fails, what it gave before is still yielded.
 */
export async function* inOrder<Item, Result>(
  source: AsyncIterable<Item>,
  concurrency: number,
  work: (item: Item) => Promise<Result>,
): AsyncGenerator<Result, void, undefined> {
  const underway: Promise<Result>[] = [];
  let failure: { readonly error: unknown } | undefined;
  const items = source[Symbol.asyncIterator]();
  let ended = false;
  try {
    while (!ended) {
      try {
        const next = await items.next();
        if (next.done) {
          ended = true;
          break;
        }
        const result = work(next.value);
        // The rejection is seen when its turn comes; until then it must not count as unhandled.
        result.catch(() => undefined);
        underway.push(result);
      } catch (error) {
        ended = true;
        failure = { error };
        break;
      }
      if (underway.length >= concurrency) yield await (underway.shift() as Promise<Result>);
    }
    for (let result = underway.shift(); result; result = underway.shift()) yield await result;
    if (failure) throw failure.error;
  } finally {
    await Promise.allSettled(underway);
    if (!ended) await items.return?.();
  }
}
