import { isUtf8 } from 'node:buffer';
import type { HttpRequest } from '@hypostyle/vim';
import { AutomationError } from '../errors.ts';

/** Largest body in bytes. The largest honest one, a machine with all its devices, has some 20 kB. */
export const bodyLimit = 1 << 20;
/** Nesting that no documented body comes near. */
const deepest = 32;

/** The body as JSON; undefined when there is none. Fails with `invalid_request`. */
export async function readJson({ body, headers }: Pick<HttpRequest, 'body' | 'headers'>): Promise<unknown> {
  const bytes = await readBytes(body, Number(headers['content-length'] ?? 0));
  if (bytes.byteLength === 0) return undefined;
  if (!isUtf8(bytes)) throw malformed('The body is not UTF-8.');
  const text = bytes.toString('utf8');
  if (text.trim() === '') return undefined;
  checkDepth(text);
  try {
    return JSON.parse(text);
  } catch {
    throw malformed('The body is not JSON.');
  }
}

export async function readBytes(body: HttpRequest['body'], announced: number, limit = bodyLimit): Promise<Buffer> {
  if (announced > limit) throw malformed('The body is too large.');
  if (body instanceof Uint8Array) {
    if (body.byteLength > limit) throw malformed('The body is too large.');
    return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of unbroken(body)) {
    size += chunk.byteLength;
    if (size > limit) throw malformed('The body is too large.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** A client that goes away in the middle is no error of ours. */
async function* unbroken(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield* body;
  } catch {
    throw malformed('The request broke off.');
  }
}

/** Counts brackets outside of strings, so that no deep value is ever made. */
function checkDepth(text: string): void {
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (quoted) {
      if (code === 0x5c) at += 1;
      else if (code === 0x22) quoted = false;
    } else if (code === 0x22) quoted = true;
    else if (code === 0x7b || code === 0x5b) {
      depth += 1;
      if (depth > deepest) throw malformed('The body is nested too deep.');
    } else if (code === 0x7d || code === 0x5d) depth -= 1;
  }
}

function malformed(message: string): AutomationError {
  return new AutomationError('invalid_request', message);
}
