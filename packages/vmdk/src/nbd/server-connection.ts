import { VmdkError, vmdkErrors } from '../errors.ts';
import { isZero } from '../size.ts';
import { blockStates } from './block-states.ts';
import { Budget } from './budget.ts';
import { BufferPool } from './buffer-pool.ts';
import { isWritable, type NbdExport } from './nbd-export.ts';
import {
  chunkDone,
  chunkTypes,
  commandFlags,
  maximumRequestBytes,
  type NbdErrorName,
  nbdCommands,
  nbdErrors,
  nbdMagic,
} from './protocol.ts';
import type { Chosen } from './server-handshake.ts';
import type { Wire } from './wire.ts';

/** Bytes that are read or written at once, and those that one connection may hold in memory. */
const pieceBytes = 2 ** 20;
const budgetBytes = 8 * 2 ** 20;
/** Requests of one connection that are under way at once. */
const maximumInFlight = 64;
/** Block status: most ranges of an answer. */
const maximumStates = 8192;

interface Request {
  readonly flags: number;
  readonly command: number;
  readonly cookie: Buffer;
  readonly offset: number;
  readonly length: number;
}

/** A request that is answered with an error. */
class Refusal extends Error {
  readonly errno: NbdErrorName;

  constructor(errno: NbdErrorName, message: string) {
    super(message);
    this.errno = errno;
  }
}

/** One client in its transmission phase. Memory is bounded, whatever it asks and however slowly it takes answers. */
export class ServerConnection {
  readonly #wire: Wire;
  readonly #chosen: Chosen;
  readonly #name: string;
  readonly #budget = new Budget(budgetBytes);
  readonly #buffers = new BufferPool(budgetBytes);
  readonly #underway = new Set<Promise<void>>();
  #sending: Promise<void> = Promise.resolve();
  #gone = false;

  constructor(wire: Wire, chosen: Chosen, name: string) {
    this.#wire = wire;
    this.#chosen = chosen;
    this.#name = name;
  }

  get exported(): NbdExport {
    return this.#chosen.exported;
  }

  /** Serves requests until the client leaves; then waits for those under way. */
  async serve(): Promise<void> {
    try {
      while (!(await this.#wire.atEnd())) {
        const header = await this.#wire.read(28);
        if (header.readUInt32BE(0) !== nbdMagic.request) throw this.#broken('a request without its magic number');
        const command = header.readUInt16BE(6);
        if (command === nbdCommands.disconnect) break;
        const request = {
          flags: header.readUInt16BE(4),
          command,
          cookie: Buffer.from(header.subarray(8, 16)),
          offset: Number(header.readBigUInt64BE(16)),
          length: header.readUInt32BE(24),
        };
        while (this.#underway.size >= maximumInFlight) await Promise.race(this.#underway);
        if (command === nbdCommands.write) await this.#receive(request);
        else this.#start(request, () => this.#run(request));
      }
    } finally {
      if (this.#wire.socket.destroyed) this.#gone = true;
      await Promise.all(this.#underway);
      this.#gone = true;
    }
  }

  /** Answers a request when its work is done, or with what went wrong. */
  #start(request: Request, work: () => Promise<void>): void {
    const running: Promise<void> = work()
      .catch((error: unknown) => this.#refuse(request, error))
      .catch(() => {
        // The answer cannot be told: the client is gone.
        this.#gone = true;
        this.#wire.destroy();
      })
      .finally(() => this.#underway.delete(running));
    this.#underway.add(running);
  }

  async #run(request: Request): Promise<void> {
    const { disk } = this.exported;
    switch (request.command) {
      case nbdCommands.read:
        return this.#read(request);
      case nbdCommands.flush:
        if (request.offset !== 0 || request.length !== 0 || request.flags !== 0) throw invalid('a flush of a part');
        await disk.flush();
        return this.#done(request);
      case nbdCommands.trim:
      case nbdCommands.writeZeroes:
        return this.#zero(request);
      case nbdCommands.blockStatus:
        return this.#blockStatus(request);
      default:
        throw invalid(`command ${request.command}`);
    }
  }

  async #read(request: Request): Promise<void> {
    this.#check(request, commandFlags.dontFragment);
    if (request.length > maximumRequestBytes) throw invalid(`a read of over ${maximumRequestBytes} bytes`);
    const { structured } = this.#chosen;
    const whole = !structured || (request.flags & commandFlags.dontFragment) !== 0;
    const held = Math.min(request.length, pieceBytes);
    await this.#budget.take(held);
    const buffer = this.#buffers.take(held);
    try {
      const pieces = this.#pieces(request, structured, whole, buffer);
      if (whole && request.length > pieceBytes) await this.#exclusively(pieces);
      else await pieces();
      // After a failure somebody may still be at it.
      this.#buffers.give(buffer);
    } finally {
      this.#budget.give(held);
    }
  }

  /** Reads and sends, a piece after another. `whole`: as one reply without a seam. */
  #pieces(request: Request, structured: boolean, whole: boolean, buffer: Buffer): () => Promise<void> {
    return async () => {
      const { offset, length } = request;
      for (let done = 0; done < length; done += pieceBytes) {
        const piece = Math.min(pieceBytes, length - done);
        const last = done + piece === length;
        const data = buffer.subarray(0, piece);
        try {
          if (this.#gone) return;
          await this.exported.disk.readInto(data, offset + done);
        } catch (error) {
          // Bytes of this reply are out and no error can follow them: the connection is lost.
          if (whole && done > 0) this.#wire.destroy();
          throw error;
        }
        const alone = !whole || length <= pieceBytes;
        const send = (...parts: Uint8Array[]) => (alone ? this.#send(...parts) : this.#wire.write(...parts));
        if (!structured) await send(...(done === 0 ? [simpleReply(request.cookie, 0)] : []), data);
        else if (whole) {
          const size = { chunk: 8 + length, offset };
          await send(
            ...(done === 0 ? [offsetChunk(request.cookie, chunkTypes.offsetData, size, chunkDone)] : []),
            data,
          );
        } else if (piece >= 4096 && isZero(data)) {
          const size = { chunk: 12, offset: offset + done };
          const hole = Buffer.alloc(4);
          hole.writeUInt32BE(piece);
          await send(offsetChunk(request.cookie, chunkTypes.offsetHole, size, last ? chunkDone : 0), hole);
        } else {
          const size = { chunk: 8 + piece, offset: offset + done };
          await send(offsetChunk(request.cookie, chunkTypes.offsetData, size, last ? chunkDone : 0), data);
        }
      }
    };
  }

  /** Takes the bytes of a write off the wire, in pieces that are written while the next ones come. */
  async #receive(request: Request): Promise<void> {
    if (request.length > maximumRequestBytes) throw this.#broken(`a write of ${request.length} bytes`);
    let refusal: unknown;
    try {
      this.#checkWrite(request, commandFlags.fua);
    } catch (error) {
      refusal = error;
    }
    const writes: Promise<void>[] = [];
    let received = false;
    try {
      for (let done = 0; done < request.length; done += pieceBytes) {
        const piece = Math.min(pieceBytes, request.length - done);
        if (refusal !== undefined) {
          await this.#wire.skip(piece);
          continue;
        }
        await this.#budget.take(piece);
        const data = this.#buffers.take(piece);
        try {
          await this.#wire.readInto(data);
        } catch (error) {
          this.#budget.give(piece);
          throw error;
        }
        const write = this.exported.disk.write(request.offset + done, data).finally(() => {
          this.#buffers.give(data);
          this.#budget.give(piece);
        });
        write.catch((error: unknown) => {
          refusal ??= error;
        });
        writes.push(write);
      }
      received = true;
    } finally {
      if (!received) await Promise.allSettled(writes);
    }
    this.#start(request, async () => {
      await Promise.allSettled(writes);
      if (refusal !== undefined) throw refusal;
      if ((request.flags & commandFlags.fua) !== 0) await this.exported.disk.flush();
      await this.#done(request);
    });
  }

  async #zero(request: Request): Promise<void> {
    const { disk } = this.exported;
    const { fua, noHole } = commandFlags;
    const trimming = request.command === nbdCommands.trim;
    this.#checkWrite(request, trimming ? fua : fua | noHole);
    if (disk.trim !== undefined && (request.flags & noHole) === 0) await disk.trim(request.offset, request.length);
    else if (!trimming) await this.#writeZeros(request);
    if ((request.flags & fua) !== 0) await disk.flush();
    await this.#done(request);
  }

  async #writeZeros({ offset, length }: Request): Promise<void> {
    const held = Math.min(length, pieceBytes);
    await this.#budget.take(held);
    try {
      const zeros = Buffer.alloc(held);
      for (let done = 0; done < length && !this.#gone; done += held) {
        await this.exported.disk.write(offset + done, zeros.subarray(0, length - done));
      }
    } finally {
      this.#budget.give(held);
    }
  }

  async #blockStatus(request: Request): Promise<void> {
    const { contexts, structured } = this.#chosen;
    if (!structured || contexts.length === 0) throw invalid('block status without a context');
    this.#check(request, commandFlags.requestOne);
    const most = (request.flags & commandFlags.requestOne) === 0 ? maximumStates : 1;
    for (const [index, context] of contexts.entries()) {
      const states = await blockStates(this.exported.disk, context, request, most);
      const payload = Buffer.alloc(4 + 8 * states.length);
      payload.writeUInt32BE(context.number);
      for (const [at, { length, flags }] of states.entries()) {
        payload.writeUInt32BE(length, 4 + 8 * at);
        payload.writeUInt32BE(flags, 8 + 8 * at);
      }
      const last = index === contexts.length - 1 ? chunkDone : 0;
      await this.#send(chunk(request.cookie, chunkTypes.blockStatus, payload.length, last), payload);
    }
  }

  #done({ cookie }: Request): Promise<void> {
    return this.#send(this.#chosen.structured ? chunk(cookie, chunkTypes.none, 0, chunkDone) : simpleReply(cookie, 0));
  }

  async #refuse({ cookie }: Request, error: unknown): Promise<void> {
    const errno = nbdErrors[errnoOf(error)];
    if (!this.#chosen.structured) return this.#send(simpleReply(cookie, errno));
    const words = Buffer.from(wordsOf(error));
    const payload = Buffer.alloc(6);
    payload.writeUInt32BE(errno);
    payload.writeUInt16BE(words.length, 4);
    return this.#send(chunk(cookie, chunkTypes.error, 6 + words.length, chunkDone), payload, words);
  }

  /** Sends when nothing else has the wire to itself. */
  async #send(...parts: Uint8Array[]): Promise<void> {
    await this.#sending;
    await this.#wire.write(...parts);
  }

  /** Has the wire to itself while the work goes on. */
  async #exclusively(work: () => Promise<void>): Promise<void> {
    const before = this.#sending;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#sending = before.then(() => promise);
    await before;
    try {
      await work();
    } finally {
      resolve();
    }
  }

  #checkWrite(request: Request, flags: number): void {
    if (!isWritable(this.exported)) throw new Refusal('EPERM', 'the export is read-only');
    const { offset, length } = request;
    if (offset + length > this.exported.disk.virtualBytes) throw new Refusal('ENOSPC', 'beyond the end of the disk');
    this.#check(request, flags);
  }

  #check({ offset, length, flags }: Request, allowed: number): void {
    if ((flags & ~allowed) !== 0) throw invalid(`flags ${flags}`);
    if (length === 0) throw invalid('a length of nothing');
    if (!Number.isSafeInteger(offset) || offset + length > this.exported.disk.virtualBytes) {
      throw invalid('beyond the end of the disk');
    }
  }

  #broken(reason: string): VmdkError {
    return new VmdkError('nbd-protocol', { file: this.#name, reason });
  }
}

function invalid(words: string): Refusal {
  return new Refusal('EINVAL', words);
}

function errnoOf(error: unknown): NbdErrorName {
  if (error instanceof Refusal) return error.errno;
  const cause = error instanceof Error ? (error.cause as NodeJS.ErrnoException | undefined) : undefined;
  if (cause?.code === 'ENOSPC' || cause?.code === 'EDQUOT') return 'ENOSPC';
  return error instanceof VmdkError && error.code === 'read-only' ? 'EPERM' : 'EIO';
}

/** What a client may know: never a path of this machine. */
function wordsOf(error: unknown): string {
  if (error instanceof Refusal) return error.message;
  return error instanceof VmdkError ? `the disk ${vmdkErrors[error.code]}` : 'the disk could not be used';
}

function simpleReply(cookie: Uint8Array, errno: number): Buffer {
  const reply = Buffer.alloc(16);
  reply.writeUInt32BE(nbdMagic.simpleReply);
  reply.writeUInt32BE(errno, 4);
  reply.set(cookie, 8);
  return reply;
}

function chunk(cookie: Uint8Array, type: number, length: number, flags: number): Buffer {
  const header = Buffer.alloc(20);
  writeChunk(header, cookie, type, length, flags);
  return header;
}

function offsetChunk(
  cookie: Uint8Array,
  type: number,
  size: { readonly chunk: number; readonly offset: number },
  flags: number,
): Buffer {
  const header = Buffer.alloc(28);
  writeChunk(header, cookie, type, size.chunk, flags);
  header.writeBigUInt64BE(BigInt(size.offset), 20);
  return header;
}

function writeChunk(target: Buffer, cookie: Uint8Array, type: number, length: number, flags: number): void {
  target.writeUInt32BE(nbdMagic.structuredReply);
  target.writeUInt16BE(flags, 4);
  target.writeUInt16BE(type, 6);
  target.set(cookie, 8);
  target.writeUInt32BE(length, 16);
}
