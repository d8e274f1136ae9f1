import { createHash } from 'node:crypto';
import { OvfError, readOva } from '@hypostyle/ovf';
import type { HttpNfcLeaseSourceFile } from '@hypostyle/vim';
import { faults } from '../errors.ts';
import { headerDigest } from './pull-content.ts';
import type { LocalContent } from './transfer-target.ts';
import { httpFault, openWeb, type WebAnswer, type WebOptions } from './web-request.ts';

export interface WebContentOptions extends WebOptions {
  /** Told of every piece that came, also of what is passed over: the lease is renewed by it. */
  readonly onBytes?: (count: number) => void;
}

/**
 * The content that a source file of a pull names on the web, as a stream: a member of an archive, checked by its
 * manifest wherever that is, or the whole answer, checked by the client's `Digest` header. Its last piece comes once all
 * of it is known to be right. Throws HttpFault, SSLVerifyFault, FileNotFound and IncorrectFileType.
 */
export async function* webContent(
  file: HttpNfcLeaseSourceFile,
  options: WebContentOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const answer = await openWeb(file, options);
  try {
    checkLength(file, answer, answer.length);
    const { memberName } = file;
    const pieces = counted(answer, file, options.onBytes);
    const whole = memberName === undefined || memberName === '';
    yield* heldBack(whole ? digested(pieces, file, answer) : memberOf(pieces, memberName, answer));
  } finally {
    answer.close();
  }
}

function checkLength({ size }: HttpNfcLeaseSourceFile, { shown }: WebAnswer, actual: number | undefined): void {
  if (size === undefined || actual === undefined || Number(size) === actual) return;
  throw httpFault(200, `${shown} has ${actual} bytes, not ${size}`);
}

async function* counted(
  answer: WebAnswer,
  file: HttpNfcLeaseSourceFile,
  onBytes: (count: number) => void = () => {},
): AsyncGenerator<Uint8Array, void, undefined> {
  let received = 0;
  for await (const piece of answer.body) {
    received += piece.length;
    onBytes(piece.length);
    yield piece;
  }
  checkLength(file, answer, received);
}

async function* digested(
  pieces: AsyncIterable<Uint8Array>,
  { httpHeaders = [] }: HttpNfcLeaseSourceFile,
  { shown }: WebAnswer,
): AsyncGenerator<Uint8Array, void, undefined> {
  const digest = headerDigest(httpHeaders);
  const hash = digest === undefined ? undefined : createHash(digest.algorithm);
  for await (const piece of pieces) {
    hash?.update(piece);
    yield piece;
  }
  if (digest === undefined || hash === undefined) return;
  checkDigest(shown, digest, hash.digest('hex'));
}

function checkDigest(shown: string, { algorithm, expected }: NonNullable<LocalContent['digest']>, actual: string) {
  if (actual !== expected) throw faults.incorrectFileType(shown, `its ${algorithm} is ${actual}, not ${expected}`);
}

async function* memberOf(
  pieces: AsyncIterable<Uint8Array>,
  memberName: string,
  { shown }: WebAnswer,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    const ova = await readOva(pieces);
    try {
      let found = false;
      for await (const { name, content } of ova.files()) {
        if (name !== memberName) continue;
        found = true;
        yield* content;
        // Where no manifest has come yet it may be the last file, so that all of the archive has to pass.
        if (ova.manifest !== undefined) return;
      }
      if (!found) throw faults.notFound(`${memberName} in ${shown}`);
    } finally {
      await ova.close();
    }
  } catch (error) {
    if (!(error instanceof OvfError)) throw error;
    throw faults.incorrectFileType(`${memberName} in ${shown}`, error.message, error);
  }
}

/** The same pieces, each when the next is there, so that the last comes after the end was found good. */
async function* heldBack(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  let held: Uint8Array | undefined;
  for await (const piece of pieces) {
    if (held !== undefined) yield held;
    held = piece;
  }
  if (held !== undefined) yield held;
}
