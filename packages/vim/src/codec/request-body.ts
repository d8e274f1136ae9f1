import { isUtf8 } from 'node:buffer';
import { setImmediate } from 'node:timers/promises';
import type { VimFault } from '../runtime/fault.ts';
import type { HttpRequest } from './http-exchange.ts';
import { invalidRequest } from './request-faults.ts';

/** Text is handed on in pieces of this many bytes, and others get their turn between them. */
const pieceBytes = 64 * 1024;

export interface BodyToRead extends Pick<HttpRequest, 'headers' | 'body'> {
  /** Largest body in bytes. */
  readonly limit: number;
}

/** Hands the body of a request on as text. Throws InvalidRequest when it is too large or not UTF-8. */
export async function readText({ headers, body, limit }: BodyToRead, take: (text: string) => void): Promise<void> {
  if (body instanceof Uint8Array && body.byteLength <= Math.min(pieceBytes, limit)) {
    if (!isUtf8(body)) throw notUtf8();
    take(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8'));
    return;
  }
  if (Number(headers['content-length'] ?? 0) > limit) throw tooLarge();
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const decode = (bytes?: Uint8Array): string => {
    try {
      return bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true });
    } catch {
      throw notUtf8();
    }
  };
  let size = 0;
  for await (const chunk of body instanceof Uint8Array ? [body] : unbroken(body)) {
    size += chunk.byteLength;
    if (size > limit) throw tooLarge();
    for (let at = 0; at < chunk.byteLength; at += pieceBytes) {
      take(decode(chunk.subarray(at, at + pieceBytes)));
      await setImmediate();
    }
  }
  take(decode());
}

/** A client that goes away in the middle is no error of ours. */
async function* unbroken(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield* body;
  } catch {
    throw invalidRequest('The request broke off.');
  }
}

function tooLarge(): VimFault {
  return invalidRequest('The request is too large.');
}

function notUtf8(): VimFault {
  return invalidRequest('The request is not UTF-8.');
}
