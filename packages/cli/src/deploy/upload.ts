import { request } from 'node:https';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ConnectionOptions } from 'node:tls';
import { CliError } from '../errors.ts';

export interface Upload {
  readonly url: URL;
  /** A disk as stream-optimized VMDK, or any other file. */
  readonly disk: boolean;
  readonly content: AsyncIterable<Uint8Array>;
  readonly tls: ConnectionOptions;
  readonly signal: AbortSignal;
  readonly onBytes: (count: number) => void;
}

/** Sends one file to the address that a lease gave for it, as it comes. */
export async function upload({ url, disk, content, tls, signal, onBytes }: Upload): Promise<void> {
  const headers = disk
    ? { 'content-type': 'application/x-vnd.vmware-streamVmdk' }
    : { 'content-type': 'application/octet-stream', overwrite: 't' };
  const outgoing = request(url, { ...tls, method: disk ? 'POST' : 'PUT', headers, signal });
  const answer = new Promise<{ readonly status: number; readonly text: string }>((resolve, reject) => {
    outgoing.once('error', reject);
    outgoing.once('response', (incoming) => {
      let text = '';
      incoming.setEncoding('utf8');
      incoming.on('data', (part: string) => {
        if (text.length < 4096) text += part;
      });
      incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, text: text.trim() }));
      incoming.on('error', reject);
    });
  });
  const stopped = new AbortController();
  const sent = pipeline(Readable.from(counted(content, onBytes), { objectMode: false }), outgoing, {
    signal: stopped.signal,
  });
  sent.catch(() => {});
  // A refusal may come before everything was sent, and tells more than the broken connection after it.
  const first = await Promise.race([answer, sent.then(() => undefined)]).catch(async (error: unknown) => {
    const told = await Promise.race([
      answer.catch(() => undefined),
      new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 500)),
    ]);
    if (told !== undefined && told.status >= 400) return told;
    outgoing.destroy();
    throw error;
  });
  const { status, text } = first ?? (await answer);
  if (status >= 200 && status < 300) {
    await sent;
    return;
  }
  stopped.abort();
  outgoing.destroy();
  throw new CliError('failed', text || `The server refuses the upload with status ${status}.`);
}

async function* counted(content: AsyncIterable<Uint8Array>, onBytes: (count: number) => void) {
  for await (const part of content) {
    yield part;
    onBytes(part.length);
  }
}
