import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import type { ConnectionOptions } from 'node:tls';
import { CliError } from '../errors.ts';
import type { ChecksumType } from './compare-with-manifest.ts';

export interface Download {
  readonly url: URL;
  readonly tls: ConnectionOptions;
  /** Takes the content, from its beginning. */
  readonly file: FileHandle;
  readonly digest: ChecksumType;
  readonly signal: AbortSignal;
  readonly onBytes: (count: number) => void;
}

export interface Downloaded {
  /** Bytes. */
  readonly size: number;
  /** In hexadecimal. */
  readonly digest: string;
}

/** Gets one file from the address that a lease gave for it. Throws for one that is cut off or refused. */
export async function download({ url, tls, file, digest, signal, onBytes }: Download): Promise<Downloaded> {
  const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = request(url, { ...tls, method: 'GET', signal });
    outgoing.once('error', reject);
    outgoing.once('response', resolve);
    outgoing.end();
  });
  if (incoming.statusCode !== 200) {
    throw new CliError(
      'failed',
      (await shortText(incoming)) || `The server refuses the disk with status ${incoming.statusCode}.`,
    );
  }
  const hash = createHash(digest);
  let size = 0;
  for await (const part of incoming as AsyncIterable<Buffer>) {
    hash.update(part);
    await writeAll(file, part, size);
    size += part.length;
    onBytes(part.length);
  }
  if (!incoming.complete) throw new CliError('failed', `${url.pathname} ended early.`);
  return { size, digest: hash.digest('hex') };
}

async function writeAll(file: FileHandle, part: Buffer, position: number): Promise<void> {
  for (let at = 0; at < part.length; ) {
    at += (await file.write(part, at, part.length - at, position + at)).bytesWritten;
  }
}

async function shortText(incoming: IncomingMessage): Promise<string> {
  let text = '';
  incoming.setEncoding('utf8');
  for await (const part of incoming as AsyncIterable<string>) {
    text += part;
    if (text.length > 4096) break;
  }
  return text.slice(0, 4096).trim();
}
