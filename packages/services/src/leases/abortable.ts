/**
 * The same bytes, ending with the signal's reason as soon as it fires, even while the source is silent. `onBytes` is
 * told the length of each piece before it is passed on.
 */
export async function* abortable(
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
  onBytes: (count: number) => void = () => {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const iterator = source[Symbol.asyncIterator]();
  // One promise a step: racing with one that lives as long as the signal would keep every step's memory.
  let rejectStep: (reason: unknown) => void = () => {};
  const abort = () => rejectStep(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  let whole = false;
  try {
    for (;;) {
      signal.throwIfAborted();
      const step = await new Promise<IteratorResult<Uint8Array>>((resolve, reject) => {
        rejectStep = reject;
        iterator.next().then(resolve, reject);
      });
      if (step.done === true) {
        whole = true;
        return;
      }
      onBytes(step.value.byteLength);
      yield step.value;
    }
  } finally {
    signal.removeEventListener('abort', abort);
    // Not waited for: a silent source would answer only after its next piece.
    if (!whole) iterator.return?.()?.then(undefined, () => {});
  }
}
