import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { pipeline } from 'node:stream/promises';
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
  session: ServerSession,
  file: DatastoreFile,
  start: number,
  signal: AbortSignal,
): Promise<{ readonly content: AsyncIterable<Buffer>; readonly size: number } | undefined> {
  const { path } = file;
  const range = start < 0 ? `bytes=${start}` : `bytes=${start}-`;
  const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
    request(urlOf(session, file), { ...session.tls, headers: { ...signInOf(session), range }, signal }, resolve)
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

interface WrittenFile {
  readonly content: AsyncIterable<Buffer>;
  /** Bytes, where they are known before. */
  readonly size: number | undefined;
  readonly overwrite: boolean;
  readonly signal: AbortSignal;
}

/** Puts a file on a datastore: whole, or not at all. Throws what the server says of one that it does not take. */
export async function writeRemote(
  session: ServerSession,
  file: DatastoreFile,
  { content, size, overwrite, signal }: WrittenFile,
): Promise<void> {
  const answered = Promise.withResolvers<IncomingMessage>();
  const headers = {
    ...signInOf(session),
    overwrite: overwrite ? 't' : 'f',
    ...(size === undefined ? {} : { 'content-length': size }),
  };
  const outgoing = request(urlOf(session, file), { ...session.tls, method: 'PUT', headers, signal });
  outgoing.once('response', answered.resolve).once('error', answered.reject);
  // A server that refuses may close before it has all: what it answered says more.
  pipeline(content, outgoing).catch(answered.reject);
  const incoming = await answered.promise;
  const said = await shortText(incoming);
  if (incoming.statusCode === 200 || incoming.statusCode === 201) return;
  throw new CliError('failed', said || `The server answers ${incoming.statusCode} for ${file.path}.`);
}

async function shortText(incoming: IncomingMessage): Promise<string> {
  let text = '';
  incoming.setEncoding('utf8');
  for await (const part of incoming as AsyncIterable<string>) text = (text + part).slice(0, 4096);
  return text.trim();
}

function urlOf({ address }: ServerSession, { datastore, datacenter, path }: DatastoreFile): URL {
  const url = new URL(`/folder/${path.split('/').map(encodeURIComponent).join('/')}`, address.url);
  url.search = String(new URLSearchParams({ dcPath: datacenter, dsName: datastore }));
  return url;
}

function signInOf({ address, userName }: ServerSession): { readonly authorization: string } {
  return { authorization: `Basic ${Buffer.from(`${userName}:${address.password}`).toString('base64')}` };
}

async function* nothing(): AsyncGenerator<Buffer> {}
