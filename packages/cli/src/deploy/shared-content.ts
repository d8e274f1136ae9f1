/**
 * Content for several readers, read once: each part goes to all of them, and the next one is asked for when all want it.
 * A failure reaches every reader; a reader that ends early holds up no other.
 */
export function shared(content: AsyncIterable<Uint8Array>, readers: number): AsyncIterableIterator<Uint8Array>[] {
  const source = content[Symbol.asyncIterator]();
  const waiting: PromiseWithResolvers<IteratorResult<Uint8Array>>[] = [];
  let reading = readers;
  const step = (): void => {
    if (reading === 0) void source.return?.().catch(() => {});
    if (reading === 0 || waiting.length < reading) return;
    const all = waiting.splice(0);
    source.next().then(
      (result) => {
        for (const one of all) one.resolve(result);
      },
      (error: unknown) => {
        for (const one of all) one.reject(error);
      },
    );
  };
  return Array.from({ length: readers }, () => {
    let over = false;
    const reader: AsyncIterableIterator<Uint8Array> = {
      next: () => {
        if (over) return Promise.resolve({ done: true, value: undefined });
        const part = Promise.withResolvers<IteratorResult<Uint8Array>>();
        waiting.push(part);
        step();
        return part.promise;
      },
      return: async () => {
        if (!over) {
          over = true;
          reading -= 1;
          step();
        }
        return { done: true, value: undefined };
      },
      [Symbol.asyncIterator]: () => reader,
    };
    return reader;
  });
}
