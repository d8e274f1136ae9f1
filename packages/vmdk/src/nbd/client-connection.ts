import { setTimeout as sleep } from 'node:timers/promises';
import { VmdkError } from '../errors.ts';
import type { NegotiatedExport } from './client-handshake.ts';
import { chunkDone, chunkTypes, nbdCommands, nbdErrors, nbdMagic } from './protocol.ts';
import type { Wire } from './wire.ts';

/** Requests that are with the server at once. */
const maximumInFlight = 16;
/** Longest list of block states that is taken, and longest message of an error. */
const maximumStatusBytes = 8 * 2 ** 20;
const maximumErrorBytes = 8192;

/** Time that a server that takes nothing more has for the farewell. */
const goodbyeMilliseconds = 5000;

export interface NbdRequest {
  readonly command: number;
  readonly flags?: number;
  readonly offset: number;
  readonly length: number;
  /** What a write sends. */
  readonly data?: Uint8Array;
  /** What a read fills. */
  readonly target?: Uint8Array;
}

/** Lengths and states from the offset asked for. */
export type BlockStates = readonly { readonly length: number; readonly flags: number }[];

interface Pending extends NbdRequest {
  readonly resolve: (states: ReadonlyMap<number, BlockStates>) => void;
  readonly reject: (error: Error) => void;
  readonly states: Map<number, BlockStates>;
  received: number;
  failure?: VmdkError;
}

/** A connection in its transmission phase, with several requests under way. */
export class NbdConnection {
  readonly negotiated: NegotiatedExport;
  readonly #wire: Wire;
  readonly #name: string;
  readonly #pending = new Map<number, Pending>();
  readonly #waiting: (() => void)[] = [];
  #cookie = 0;
  #underway = 0;
  #sending: Promise<void> = Promise.resolve();
  readonly #receiving: Promise<void>;
  #failure: Error | undefined;

  constructor(wire: Wire, negotiated: NegotiatedExport, name: string) {
    this.#wire = wire;
    this.#name = name;
    this.negotiated = negotiated;
    this.#receiving = this.#receive();
  }

  /** Sends a request and waits for the whole reply. Answers what a block status told, by context. */
  async request(request: NbdRequest): Promise<ReadonlyMap<number, BlockStates>> {
    await this.#slot();
    try {
      if (this.#failure !== undefined) throw this.#failure;
      const cookie = this.#cookie;
      this.#cookie = (cookie + 1) % 2 ** 32;
      const { promise, resolve, reject } = Promise.withResolvers<ReadonlyMap<number, BlockStates>>();
      this.#pending.set(cookie, { ...request, resolve, reject, states: new Map(), received: 0 });
      this.#send(request, cookie);
      return await promise;
    } finally {
      this.#underway -= 1;
      this.#waiting.shift()?.();
    }
  }

  /** Tells the server that no more comes, and waits until it has let go of the disk, five seconds at most. */
  async close(): Promise<void> {
    if (this.#failure === undefined) {
      this.#send({ command: nbdCommands.disconnect, offset: 0, length: 0 }, 0);
      const parted = this.#sending.then(() => {
        this.#wire.socket.end();
        return this.#receiving;
      });
      await Promise.race([parted, sleep(goodbyeMilliseconds, undefined, { ref: false })]);
      this.#fail(new VmdkError('nbd-closed', { file: this.#name, reason: 'it was closed here' }));
    }
    this.#wire.destroy();
  }

  async #slot(): Promise<void> {
    while (this.#underway >= maximumInFlight) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#underway += 1;
  }

  #send(request: NbdRequest, cookie: number): void {
    const header = Buffer.alloc(28);
    header.writeUInt32BE(nbdMagic.request);
    header.writeUInt16BE(request.flags ?? 0, 4);
    header.writeUInt16BE(request.command, 6);
    header.writeUInt32BE(cookie, 12);
    header.writeBigUInt64BE(BigInt(request.offset), 16);
    header.writeUInt32BE(request.length, 24);
    // One request after another goes out whole, and none before the connection takes more.
    this.#sending = this.#sending
      .then(() => this.#wire.write(header, ...(request.data === undefined ? [] : [request.data])))
      .catch((error: unknown) => this.#fail(error as Error));
  }

  async #receive(): Promise<void> {
    try {
      for (;;) {
        const magic = (await this.#wire.read(4)).readUInt32BE(0);
        if (magic === nbdMagic.simpleReply) await this.#simpleReply();
        else if (magic === nbdMagic.structuredReply && this.negotiated.structured) await this.#chunk();
        else throw this.#broken('a reply without its magic number');
      }
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  async #simpleReply(): Promise<void> {
    const header = await this.#wire.read(12);
    const error = header.readUInt32BE(0);
    const [cookie, pending] = this.#pendingOf(header.subarray(4));
    if (error !== 0) pending.failure = this.#refusal(pending, error, '');
    else if (pending.command === nbdCommands.blockStatus) throw this.#broken('a simple reply to a block status');
    else if (pending.target !== undefined) {
      if (this.negotiated.structured) throw this.#broken('a simple reply to a read');
      await this.#wire.readInto(pending.target);
      pending.received = pending.length;
    }
    this.#settle(cookie, pending);
  }

  async #chunk(): Promise<void> {
    const header = await this.#wire.read(16);
    const flags = header.readUInt16BE(0);
    const type = header.readUInt16BE(2);
    const [cookie, pending] = this.#pendingOf(header.subarray(4));
    const length = header.readUInt32BE(12);
    if (type === chunkTypes.offsetData) await this.#dataChunk(pending, length);
    else if (type === chunkTypes.offsetHole) await this.#holeChunk(pending, length);
    else if (type === chunkTypes.blockStatus) await this.#statusChunk(pending, length);
    else if (type === chunkTypes.none && length === 0) {
      if ((flags & chunkDone) === 0) throw this.#broken('an empty chunk that is not the last');
    } else if (type >= 0x8000) await this.#errorChunk(pending, type, length);
    else throw this.#broken(`a chunk of type ${type} and ${length} bytes`);
    if ((flags & chunkDone) !== 0) this.#settle(cookie, pending);
  }

  async #dataChunk(pending: Pending, length: number): Promise<void> {
    if (length < 9) throw this.#broken('a chunk of data without data');
    const offset = Number((await this.#wire.read(8)).readBigUInt64BE(0));
    await this.#wire.readInto(this.#part(pending, offset, length - 8));
  }

  async #holeChunk(pending: Pending, length: number): Promise<void> {
    if (length !== 12) throw this.#broken(`a hole of ${length} bytes of description`);
    const payload = await this.#wire.read(12);
    this.#part(pending, Number(payload.readBigUInt64BE(0)), payload.readUInt32BE(8)).fill(0);
  }

  async #statusChunk(pending: Pending, length: number): Promise<void> {
    const whole = length >= 12 && length <= maximumStatusBytes && (length - 4) % 8 === 0;
    if (!whole || pending.command !== nbdCommands.blockStatus) throw this.#broken(`${length} bytes of block status`);
    const payload = await this.#wire.read(length);
    const context = payload.readUInt32BE(0);
    if (!this.negotiated.contexts.has(context) || pending.states.has(context)) {
      throw this.#broken(`block status of context ${context}`);
    }
    const states = [];
    let total = 0;
    for (let at = 4; at < payload.length; at += 8) {
      const extent = { length: payload.readUInt32BE(at), flags: payload.readUInt32BE(at + 4) };
      if (extent.length === 0 || total >= pending.length) throw this.#broken('block status beyond what was asked');
      total += extent.length;
      states.push(extent);
    }
    pending.states.set(context, states);
  }

  async #errorChunk(pending: Pending, type: number, length: number): Promise<void> {
    const most = type === chunkTypes.errorOffset ? 14 : 6;
    if (length < 6 || length > maximumErrorBytes) throw this.#broken(`an error of ${length} bytes`);
    const payload = await this.#wire.read(length);
    const error = payload.readUInt32BE(0);
    const words = payload.readUInt16BE(4);
    if (error === 0 || (type <= chunkTypes.errorOffset && words + most > length)) {
      throw this.#broken('an error that does not say what it is');
    }
    pending.failure ??= this.#refusal(pending, error, payload.toString('utf8', 6, 6 + words));
  }

  /** Where a part of the answer to a read belongs. */
  #part(pending: Pending, offset: number, length: number): Uint8Array {
    const within = offset - pending.offset;
    pending.received += length;
    if (pending.target === undefined || within < 0 || length === 0 || within + length > pending.length) {
      throw this.#broken(`${length} bytes at ${offset}, which nobody asked for`);
    }
    if (pending.received > pending.length) throw this.#broken('the same bytes twice');
    return pending.target.subarray(within, within + length);
  }

  #pendingOf(cookie: Buffer): [number, Pending] {
    const low = cookie.readUInt32BE(4);
    const pending = cookie.readUInt32BE(0) === 0 ? this.#pending.get(low) : undefined;
    if (pending === undefined) throw this.#broken('a reply that nobody waits for');
    return [low, pending];
  }

  #settle(cookie: number, pending: Pending): void {
    this.#pending.delete(cookie);
    if (pending.failure !== undefined) pending.reject(pending.failure);
    else if (pending.target !== undefined && pending.received !== pending.length) {
      const reason = `${pending.received} of ${pending.length} bytes came`;
      pending.reject(new VmdkError('nbd-protocol', { file: this.#name, reason }));
    } else pending.resolve(pending.states);
  }

  #refusal(pending: Pending, error: number, said: string): VmdkError {
    const name = Object.entries(nbdErrors).find(([, value]) => value === error)?.[0] ?? `error ${error}`;
    const words = said.replace(/[\x00-\x1f\x7f]/g, ' ').slice(0, 300);
    return new VmdkError(error === nbdErrors.EPERM ? 'read-only' : 'io-failed', {
      file: this.#name,
      place: `byte ${pending.offset}`,
      reason: words === '' ? `the server answers ${name}` : `the server answers ${name}: ${words}`,
    });
  }

  #broken(reason: string): VmdkError {
    return new VmdkError('nbd-protocol', { file: this.#name, reason });
  }

  /** Ends the connection, and every request with it. */
  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#wire.destroy();
    for (const pending of this.#pending.values()) pending.reject(error);
    this.#pending.clear();
  }
}
