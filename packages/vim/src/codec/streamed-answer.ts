import { nextTurn } from '../runtime/event-loop-turn.ts';
import type { ChunkedText } from './chunked-text.ts';
import type { HttpHeaders, HttpResponder } from './http-exchange.ts';

/** An answer being encoded: `steps` appends to `output` and yields when it is time to send. */
export interface EncodingAnswer {
  readonly status: number;
  readonly headers: HttpHeaders;
  readonly steps: Generator<void, void, void>;
  readonly output: ChunkedText;
  /** The first byte is about to go: no fault can follow it. */
  readonly onOpen: () => void;
}

/**
 * Sends an answer while it is being encoded, in slices of a few milliseconds. What `steps` throws before the first byte
 * is thrown on, and nothing was sent; after it the answer is broken off and the error thrown as well.
 */
export async function sendStreamed(
  { status, headers, steps, output, onOpen }: EncodingAnswer,
  respond: HttpResponder,
  signal: AbortSignal,
): Promise<void> {
  let step = steps.next();
  if (step.done === true) {
    const whole = output.takeWhole();
    if (whole !== undefined) {
      onOpen();
      respond.send(status, headers, whole);
      return;
    }
  }
  // Nothing goes out before a chunk is full: until then an error is still a fault.
  while (step.done !== true && !output.ready) {
    await nextTurn();
    output.beginSlice();
    step = steps.next();
  }
  onOpen();
  const sink = respond.open(status, headers);
  try {
    for (;;) {
      if (output.ready || step.done === true) {
        for (const chunk of output.take()) {
          if (!sink.write(chunk)) await sink.drain();
        }
      }
      if (step.done === true) break;
      // Always, even when there was room: draining alone never lets other requests in.
      await nextTurn();
      if (signal.aborted) {
        steps.return();
        sink.abort();
        return;
      }
      output.beginSlice();
      step = steps.next();
    }
    sink.end();
  } catch (error) {
    sink.abort();
    throw error;
  }
}
