import { createHash, randomBytes } from 'node:crypto';
import { announcedLength, type FileRequest, type FileResponse, plainResponse, splitUrl } from '@hypostyle/services';
import { asFault } from '@hypostyle/vim';
import type { MachineRecord } from '../machine/record/machine-record.ts';
import type { GuestAccess } from './guest-access.ts';
import { guestFaults } from './guest-faults.ts';
import { type GuestUser, maxDataBytes } from './guest-shell.ts';

interface Transfer {
  readonly machine: string;
  readonly userName: string;
  readonly path: string;
  readonly size: number;
}

interface Upload extends Transfer {
  readonly overwrite: '' | 'overwrite';
  /** As the operation takes them. */
  readonly attributes: readonly string[];
  /** Who the change is said to be of. */
  readonly acting: string;
}

interface Waiting {
  readonly transfer: ({ readonly kind: 'download' } & Transfer) | ({ readonly kind: 'upload' } & Upload);
  readonly bootTime: string | undefined;
  readonly until: number;
}

/** Milliseconds within which a transfer is to begin. */
const lifetime = 10 * 60_000;
const mostWaiting = 1_000;
const blockBytes = 65_536;
const blocksAtOnce = maxDataBytes / blockBytes;

/** Files on their way from and to guests, at URLs that are good once. */
export class GuestTransfers {
  readonly #access: GuestAccess;
  readonly #port: () => number;
  readonly #waiting = new Map<string, Waiting>();
  #last = 0;

  constructor(access: GuestAccess, port: () => number) {
    this.#access = access;
    this.#port = port;
  }

  download(transfer: Transfer): string {
    return this.#issue({ kind: 'download', ...transfer });
  }

  upload(transfer: Upload): string {
    return this.#issue({ kind: 'upload', ...transfer });
  }

  /** Answers `/guestFile?id=…&token=…`: GET reads a file of a guest, PUT and POST write one. Never rejects. */
  async handle(request: FileRequest): Promise<FileResponse> {
    const token = splitUrl(request.url)?.query.get('token') ?? '';
    const key = hashOf(token);
    const waiting = this.#waiting.get(key);
    const machine = waiting === undefined ? undefined : this.#access.machine(waiting.transfer.machine);
    if (waiting === undefined || machine === undefined || waiting.until < Date.now()) {
      return plainResponse(404, 'There is no such transfer: it is over, or it was not begun in time.');
    }
    const { transfer } = waiting;
    const allowed = transfer.kind === 'download' ? ['GET', 'HEAD'] : ['PUT', 'POST'];
    if (!allowed.includes(request.method)) {
      return plainResponse(405, `Use ${allowed.join(' or ')}.`, { allow: allowed.join(', ') });
    }
    const headers = { 'content-type': 'application/octet-stream', 'content-length': `${transfer.size}` };
    if (request.method === 'HEAD') return { status: 200, headers };
    this.#waiting.delete(key);
    // Another run of the machine is another guest.
    if (machine.bootTime !== waiting.bootTime) return plainResponse(404, 'The guest was started again meanwhile.');
    try {
      if (transfer.kind === 'download') {
        return { status: 200, headers, body: this.#read(machine, transfer, request.signal) };
      }
      await this.#receive(machine, transfer, request);
      return { status: 200, headers: { 'content-length': '0' } };
    } catch (error) {
      const { type, message } = asFault(error);
      return plainResponse(type === 'InvalidArgument' ? 400 : 500, message);
    }
  }

  #issue(transfer: Waiting['transfer']): string {
    const now = Date.now();
    for (const [key, { until }] of this.#waiting) {
      if (until > now && this.#waiting.size < mostWaiting) break;
      this.#waiting.delete(key);
    }
    const token = randomBytes(32).toString('hex');
    const bootTime = this.#access.machine(transfer.machine)?.bootTime;
    this.#waiting.set(hashOf(token), { transfer, bootTime, until: now + lifetime });
    this.#last += 1;
    return `https://*:${this.#port()}/guestFile?id=${this.#last}&token=${token}`;
  }

  async *#read(machine: MachineRecord, transfer: Transfer, signal: AbortSignal): AsyncGenerator<Buffer> {
    const user = trusted(transfer);
    for (let at = 0; at < transfer.size; ) {
      signal.throwIfAborted();
      const bytes = await this.#access.shell.run(machine, user, {
        operation: 'readBlocks',
        parameters: [transfer.path, `${at / blockBytes}`, `${blocksAtOnce}`],
        file: transfer.path,
      });
      // A file that grows is sent as it was announced; one that shrinks cannot be.
      const wanted = bytes.subarray(0, transfer.size - at);
      at += wanted.length;
      if (wanted.length % blockBytes !== 0 && at < transfer.size) throw guestFaults.notAccessible(transfer.path);
      if (wanted.length === 0) throw guestFaults.notAccessible(transfer.path);
      yield wanted;
    }
  }

  async #receive(machine: MachineRecord, transfer: Upload, request: FileRequest): Promise<void> {
    const { path, size, overwrite, attributes, acting } = transfer;
    const wrongSize = () => guestFaults.argument('fileSize', `The file was said to have ${size} bytes.`);
    const announced = announcedLength(request);
    if (announced !== undefined && announced !== size) throw wrongSize();
    const user = trusted(transfer);
    const folder = path.slice(0, path.lastIndexOf('/') + 1);
    const temporary = `${folder === '' ? './' : folder}.hypostyle-${randomBytes(8).toString('hex')}`;
    const { shell } = this.#access;
    await shell.run(machine, user, { operation: 'beginUpload', parameters: [temporary], file: path });
    try {
      let received = 0;
      for await (const data of chunks(request.body, maxDataBytes)) {
        received += data.length;
        if (received > size) throw wrongSize();
        request.signal.throwIfAborted();
        await shell.run(machine, user, { operation: 'appendUpload', parameters: [temporary], data, file: path });
      }
      if (received !== size) throw wrongSize();
      const parameters = [temporary, path, overwrite, ...attributes];
      await shell.run(machine, user, { operation: 'finishUpload', parameters, file: path });
    } catch (error) {
      await shell.run(machine, user, { operation: 'abandonUpload', parameters: [temporary] }).catch(() => {});
      throw error;
    }
    this.#access.say(machine, acting, `${user.userName} in the guest wrote ${path}`);
  }
}

function trusted({ userName }: Transfer): GuestUser {
  return { userName, password: undefined };
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('base64');
}

/** The same bytes in pieces of `most`, the last one perhaps shorter. */
async function* chunks(body: AsyncIterable<Uint8Array>, most: number): AsyncGenerator<Buffer> {
  let parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body) {
    for (let at = 0; at < part.length; ) {
      const piece = part.subarray(at, at + most - bytes);
      parts.push(piece);
      bytes += piece.length;
      at += piece.length;
      if (bytes === most) {
        yield Buffer.concat(parts, bytes);
        parts = [];
        bytes = 0;
      }
    }
  }
  if (bytes > 0) yield Buffer.concat(parts, bytes);
}
