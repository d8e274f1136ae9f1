import { createHash } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { type OvaInput, type OvaOutput, writeOva } from '../index.ts';

/** A descriptor of one machine with the files given as XML. */
export function descriptorOf(files: string, sections = ''): string {
  return `<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"><References>${files}</References>${sections}<VirtualSystem ovf:id="vm"><Info/><VirtualHardwareSection><Info/></VirtualHardwareSection></VirtualSystem></Envelope>`;
}

export async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts);
}

/** Bytes in pieces of a length, as a network gives them. */
export async function* pieces(bytes: Uint8Array, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

export function inputOf(name: string, bytes: Uint8Array): OvaInput {
  return { name, size: bytes.length, open: () => pieces(bytes, 1000) };
}

/** An OVA in memory. */
export async function ovaBytes(ova: OvaOutput): Promise<Buffer> {
  const output = new PassThrough();
  const [bytes] = await Promise.all([collect(output), writeOva(output, ova)]);
  return bytes;
}

export function sha256(bytes: string | Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
