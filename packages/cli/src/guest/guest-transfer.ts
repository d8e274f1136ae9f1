import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { data, type GuestFileAttributes } from '@hypostyle/vim';
import { CliError } from '../errors.ts';
import type { GuestSession } from './guest-session.ts';

/** Puts a file into a guest. `size`: bytes that `content` has. */
export async function uploadToGuest(
  { server, machine, auth, files }: GuestSession,
  options: {
    readonly path: string;
    readonly size: number;
    readonly content: Readable;
    readonly overwrite: boolean;
    readonly attributes?: GuestFileAttributes;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { path, size, content, overwrite, signal } = options;
  const written = await server.client.call(files, 'InitiateFileTransferToGuest', {
    vm: machine.ref,
    auth,
    guestFilePath: path,
    fileAttributes: options.attributes ?? data('GuestPosixFileAttributes', {}),
    fileSize: size,
    overwrite,
  });
  const answered = Promise.withResolvers<IncomingMessage>();
  const outgoing = request(place(server, written), {
    ...server.tls,
    method: 'PUT',
    headers: { 'content-length': size },
    signal,
  });
  outgoing.once('response', answered.resolve).once('error', answered.reject);
  pipeline(content, outgoing).catch(answered.reject);
  await mustBeGood(await answered.promise);
}

/** Reads a file of a guest; answers its bytes. */
export async function downloadFromGuest(
  { server, machine, auth, files }: GuestSession,
  options: { readonly path: string; readonly to: Writable; readonly signal: AbortSignal; readonly end?: boolean },
): Promise<number> {
  const { path, to, signal, end = true } = options;
  const { url, size } = await server.client.call(files, 'InitiateFileTransferFromGuest', {
    vm: machine.ref,
    auth,
    guestFilePath: path,
  });
  const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
    request(place(server, url), { ...server.tls, signal }, resolve)
      .once('error', reject)
      .end();
  });
  await mustBeGood(incoming);
  await pipeline(incoming, to, { end });
  if (!incoming.complete) throw new CliError('failed', `${path} ended early.`);
  return Number(size);
}

/** The address as it works from here: a server writes `*` for itself, and its client knows the port that it is at. */
function place({ address }: GuestSession['server'], written: string): URL {
  return new URL(written.replace(/:\/\/\*(:\d+)?\//, `://${address.url.host}/`));
}

async function mustBeGood(incoming: IncomingMessage): Promise<void> {
  if (incoming.statusCode === 200) return;
  let text = '';
  incoming.setEncoding('utf8');
  for await (const part of incoming as AsyncIterable<string>) {
    text += part;
    if (text.length > 4096) break;
  }
  throw new CliError('failed', text.trim().slice(0, 1000) || `The server answers ${incoming.statusCode}.`);
}
