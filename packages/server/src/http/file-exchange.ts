import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { FileRequest, FileResponse } from '@hypostyle/services';
import { securityHeaders } from './security-headers.ts';

/** Bytes, and milliseconds, for which a body that nobody wants is still read, so that its sender sees the answer. */
const lingerBytes = 64 << 20;
const lingerTime = 10_000;

/** Answers a request of node:http by a face of files. Rejects when the answer could not be sent whole. */
export async function exchangeFile(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  answer: (request: FileRequest) => Promise<FileResponse>,
): Promise<number> {
  const gone = new AbortController();
  outgoing.once('close', () => {
    if (!outgoing.writableFinished) gone.abort();
  });
  const { status, headers, body } = await answer({
    method: incoming.method ?? 'GET',
    url: incoming.url ?? '/',
    headers: incoming.headers,
    // Not destroyed when its reader stops: the socket still has to carry the answer.
    body: incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>,
    signal: gone.signal,
  });
  if (outgoing.destroyed) {
    await endUnread(body);
    return status;
  }
  const unread = !incoming.complete;
  outgoing.writeHead(status, { ...securityHeaders, ...headers, ...(unread ? { connection: 'close' } : {}) });
  if (body === undefined || Buffer.isBuffer(body)) {
    if (!unread) {
      outgoing.end(body);
      return status;
    }
    if (body === undefined) outgoing.flushHeaders();
    else outgoing.write(body);
    await linger(incoming);
    outgoing.end();
    return status;
  }
  await pipeline(body, outgoing);
  return status;
}

async function endUnread(body: FileResponse['body']): Promise<void> {
  if (body === undefined || Buffer.isBuffer(body)) return;
  await body[Symbol.asyncIterator]().return?.();
}

/** Reads on for a while after the answer. A connection closed on a sender loses the answer on its way. */
function linger(incoming: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    let left = lingerBytes;
    const take = (chunk: Buffer) => {
      left -= chunk.length;
      if (left < 0) done();
    };
    const timer = setTimeout(() => done(), lingerTime);
    const done = () => {
      clearTimeout(timer);
      incoming.off('data', take).off('end', done).off('close', done).off('error', done).pause();
      resolve();
    };
    incoming.on('data', take).on('end', done).on('close', done).on('error', done);
  });
}
