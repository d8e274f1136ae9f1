import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import type { ServerSession } from '../connection/server-session.ts';
import { CliError } from '../errors.ts';

/** A file on a datastore. */
export interface DatastoreFile {
  readonly datastore: string;
  readonly datacenter: string;
  /** Relative to the datastore. */
  readonly path: string;
}

/** Reads `[datastore] path`. */
export function parseDatastorePath(text: string): { readonly datastore: string; readonly path: string } {
  const match = /^\[([^\]]+)\] ?(.*)$/s.exec(text);
  if (match === null) throw new CliError('failed', `'${text}' is no path on a datastore.`);
  return { datastore: match[1] ?? '', path: match[2] ?? '' };
}

/**
 * The bytes of a file from an offset on; undefined where it is not there. `start` negative: that many at the end.
 * Answers also how long the file is.
 */
export async function readRemote(
  { address, userName, tls }: ServerSession,
  { datastore, datacenter, path }: DatastoreFile,
  start: number,
  signal: AbortSignal,
): Promise<{ readonly content: AsyncIterable<Buffer>; readonly size: number } | undefined> {
  const url = new URL(`/folder/${path.split('/').map(encodeURIComponent).join('/')}`, address.url);
  url.search = String(new URLSearchParams({ dcPath: datacenter, dsName: datastore }));
  const range = start < 0 ? `bytes=${start}` : `bytes=${start}-`;
  const authorization = `Basic ${Buffer.from(`${userName}:${address.password}`).toString('base64')}`;
  const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
    request(url, { ...tls, headers: { authorization, range }, signal }, resolve)
      .on('error', reject)
      .end();
  });
  const total = Number(
    /\/(\d+)$/.exec(incoming.headers['content-range'] ?? '')?.[1] ?? incoming.headers['content-length'] ?? 0,
  );
  switch (incoming.statusCode) {
    case 200:
    case 206:
      if (/^text\/html/.test(incoming.headers['content-type'] ?? '')) {
        // The list of a folder, not a file.
        incoming.resume();
        return undefined;
      }
      return { content: incoming, size: total };
    case 404:
      incoming.resume();
      return undefined;
    case 416:
      // There is nothing after the offset.
      incoming.resume();
      return { content: nothing(), size: total };
    default:
      incoming.resume();
      throw new CliError('failed', `The server answers ${incoming.statusCode} for ${path}.`);
  }
}

async function* nothing(): AsyncGenerator<Buffer> {}
