import { type ByteRange, parseRange } from './byte-range.ts';
import { type FileRequest, type FileResponse, header, plainResponse } from './http-exchange.ts';
import type { ServedFile } from './served-file.ts';

/** Answers a GET or HEAD of a file: conditions, one range, a stream. Closes the file, at the latest with the stream. */
export async function fileResponse(request: FileRequest, file: ServedFile, contentType: string): Promise<FileResponse> {
  let streamed = false;
  try {
    const headers: Record<string, string> = { 'accept-ranges': 'bytes', 'content-type': contentType };
    if (file.etag !== undefined) headers.etag = file.etag;
    if (file.modified !== undefined) headers['last-modified'] = file.modified.toUTCString();
    if (!preconditionHolds(request, file)) return plainResponse(412, 'The file has changed.', headers);
    if (isUnchanged(request, file)) return { status: 304, headers };
    const asked = rangeHolds(request, file) ? parseRange(header(request, 'range'), file.size) : undefined;
    if (asked === 'unsatisfiable') {
      return plainResponse(416, 'The file is shorter.', { 'content-range': `bytes */${file.size}` });
    }
    const status = asked === undefined ? 200 : 206;
    headers['content-length'] = String(asked === undefined ? file.size : asked.last - asked.first + 1);
    if (asked !== undefined) headers['content-range'] = contentRange(asked, file.size);
    if (request.method === 'HEAD') return { status, headers };
    streamed = true;
    return { status, headers, body: closing(file, asked, request.signal) };
  } finally {
    if (!streamed) await file.close();
  }
}

function contentRange({ first, last }: ByteRange, size: number): string {
  return `bytes ${first}-${last}/${size}`;
}

/** Closes the file also when it is never read: returning from a generator before its start runs no `finally`. */
function closing(file: ServedFile, range: ByteRange | undefined, signal: AbortSignal): AsyncIterable<Uint8Array> {
  const source = file.stream(range, signal)[Symbol.asyncIterator]();
  const onAbort = () => {
    file.close().catch(() => {});
  };
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  const iterator: AsyncIterator<Uint8Array> = {
    next() {
      // From here on the stream itself closes.
      signal.removeEventListener('abort', onAbort);
      return source.next();
    },
    async return() {
      signal.removeEventListener('abort', onAbort);
      await source.return?.();
      await file.close();
      return { done: true, value: undefined };
    },
  };
  return { [Symbol.asyncIterator]: () => iterator };
}

function matchesTag(list: string, etag: string | undefined): boolean {
  if (list.trim() === '*') return true;
  return etag !== undefined && list.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);
}

function preconditionHolds(request: FileRequest, file: ServedFile): boolean {
  const match = header(request, 'if-match');
  if (match !== undefined) return matchesTag(match, file.etag);
  const since = Date.parse(header(request, 'if-unmodified-since') ?? '');
  return Number.isNaN(since) || file.modified === undefined || wholeSeconds(file.modified) <= since;
}

function isUnchanged(request: FileRequest, file: ServedFile): boolean {
  const noneMatch = header(request, 'if-none-match');
  if (noneMatch !== undefined) return matchesTag(noneMatch, file.etag);
  const since = Date.parse(header(request, 'if-modified-since') ?? '');
  return !Number.isNaN(since) && file.modified !== undefined && wholeSeconds(file.modified) <= since;
}

/** If-Range: only a strong tag, or exactly the date, lets the range through. */
function rangeHolds(request: FileRequest, file: ServedFile): boolean {
  const condition = header(request, 'if-range');
  if (condition === undefined) return true;
  if (condition.startsWith('"')) return condition === file.etag;
  return file.modified !== undefined && Date.parse(condition) === wholeSeconds(file.modified);
}

/** HTTP dates have no fractions. */
function wholeSeconds(date: Date): number {
  return Math.floor(date.getTime() / 1000) * 1000;
}
