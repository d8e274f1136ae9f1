import { bundleType, type FileRequest, type FileResponse, totalOf } from '@hypostyle/services';
import { fault, VimFault } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { ticketOf } from '../files/file-ticket.ts';
import type { HostLink } from '../hosts/connection/host-link.ts';

/** A file or folder of a host's datastore. */
export interface FarPlace {
  /** Read as a disk with all that it lies on: another one, or the same elsewhere. */
  readonly disk?: 'copy' | 'move';
  /** Reference value of the host. */
  readonly host: string;
  /** Name of the datastore. */
  readonly datastore: string;
  readonly path: string;
}

/** Where bytes come from: an address of a host's own, good by itself, or a file of a datastore. */
export type FarSource = FarPlace | { readonly host: string; readonly address: string };

export interface SendOptions {
  /** A file takes the place of one that is there. Default: FileAlreadyExists. */
  readonly overwrite?: boolean;
  readonly signal: AbortSignal;
  readonly onBytes: (count: number) => void;
  /** Told what all of it will take, before the first byte of it. */
  readonly onTotal?: (bytes: number) => void;
}

type Asked = Pick<FileRequest, 'method'> & Partial<Pick<FileRequest, 'headers' | 'body' | 'signal'>>;

/** Milliseconds between looks whether both hosts are still there. */
const lookInterval = 2_000;
const longestText = 2 ** 20;

/** Files of hosts, read, written and sent from one to another by the center, which reaches both. */
export class FarFiles {
  readonly #core: CenterCore;

  constructor(core: CenterCore) {
    this.#core = core;
  }

  /**
   * Sends a file or folder from one host to another as a bundle: it is there whole, with the digests that it had, or not
   * at all. Throws HostNotConnected where one of them is lost on the way, and the faults of files.
   */
  async send(
    from: FarSource,
    to: FarPlace,
    { overwrite = false, signal, onBytes, onTotal }: SendOptions,
  ): Promise<void> {
    const lost = new AbortController();
    const ends = AbortSignal.any([signal, lost.signal]);
    const watch = setInterval(() => {
      for (const { host } of [from, to])
        if (this.#core.hosts.link(host)?.connected !== true) lost.abort(away(this.#core, host));
    }, lookInterval).unref();
    let given: unknown;
    try {
      const answer = await this.#ask(from, { method: 'GET', headers: { accept: bundleType }, signal: ends });
      if (answer.status !== 200) throw await faultOf(answer);
      const pieces = piecesOf(answer);
      const body = counted(onTotal === undefined ? pieces : withTotal(pieces, onTotal), onBytes, (error) => {
        given = error;
      });
      const headers = { 'content-type': bundleType, overwrite: overwrite ? 't' : 'f' };
      const done = await this.#ask(to, { method: 'PUT', headers, body, signal: ends });
      if (done.status === 201) {
        await textOf(done);
        return;
      }
      const refused = await faultOf(done, 'FileAlreadyExists');
      // What broke off at its source is told as that, and not as half of something.
      throw given === undefined ? refused : brokenOff(this.#core, from.host, given);
    } catch (error) {
      signal.throwIfAborted();
      lost.signal.throwIfAborted();
      if (error instanceof VimFault) throw error;
      throw brokenOff(this.#core, given === undefined ? to.host : from.host, error);
    } finally {
      clearInterval(watch);
    }
  }

  /** Whether there is a file or folder. */
  async exists(place: FarPlace, signal: AbortSignal): Promise<boolean> {
    const answer = await this.#ask(place, { method: 'HEAD', signal });
    if (answer.status !== 200 && answer.status !== 404) throw await faultOf(answer);
    return answer.status === 200;
  }

  /** A text of at most 1 MiB; undefined where there is none. */
  async read(place: FarPlace, signal: AbortSignal): Promise<string | undefined> {
    const answer = await this.#ask(place, { method: 'GET', signal });
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw await faultOf(answer);
    return textOf(answer);
  }

  async #ask(at: FarSource, { method, headers = {}, body = nothing(), signal }: Asked): Promise<FileResponse> {
    const link = this.#core.hosts.connected(at.host);
    const { address } = this.#core.inventory.get('HostSystem', { value: at.host });
    const given = { method, body, signal: signal ?? new AbortController().signal };
    if ('address' in at) return this.#core.hosts.connector.exchange(address, { ...given, url: at.address, headers });
    const url = urlOf(at, link);
    const cookie = `vmware_cgi_ticket=${await ticketOf(link, method, url)}`;
    return this.#core.hosts.connector.exchange(address, { ...given, url, headers: { ...headers, cookie } });
  }
}

function urlOf({ datastore, path, disk }: FarPlace, link: HostLink): string {
  const names = path.split('/').map(encodeURIComponent).join('/');
  const query = new URLSearchParams({ dcPath: link.layout.datacenter.value, dsName: datastore });
  if (disk !== undefined) query.set('disk', disk);
  return `/folder/${names}?${query}`;
}

function away({ inventory }: CenterCore, host: string): VimFault {
  const name = inventory.find(host)?.name ?? host;
  return fault('HostNotConnected', {}, `The host '${name}' was lost while files were sent.`);
}

function brokenOff(core: CenterCore, host: string, error: unknown): VimFault {
  const name = core.inventory.find(host)?.name ?? host;
  const reason = error instanceof Error ? error.message : String(error);
  return fault('HostNotConnected', {}, `Files on their way broke off at the host '${name}': ${reason}`);
}

async function* nothing(): AsyncGenerator<Uint8Array, void, undefined> {}

async function* piecesOf({ body }: FileResponse): AsyncGenerator<Uint8Array, void, undefined> {
  if (body === undefined) return;
  if (Buffer.isBuffer(body)) yield body;
  else yield* body;
}

async function* counted(
  pieces: AsyncIterable<Uint8Array>,
  onBytes: (count: number) => void,
  onError: (error: unknown) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    for await (const piece of pieces) {
      onBytes(piece.length);
      yield piece;
    }
  } catch (error) {
    onError(error);
    throw error;
  }
}

/** Looks at what a bundle says first. */
async function* withTotal(pieces: AsyncIterable<Uint8Array>, onTotal: (bytes: number) => void) {
  let start: Uint8Array | undefined = new Uint8Array();
  for await (const piece of pieces) {
    if (start !== undefined) {
      start = Buffer.concat([start, piece]);
      const total = totalOf(start);
      if (total !== undefined) onTotal(total);
      if (total !== undefined || start.length > 4_096) start = undefined;
    }
    yield piece;
  }
}

async function textOf(answer: FileResponse): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const piece of piecesOf(answer)) {
    length += piece.length;
    if (length > longestText) break;
    parts.push(piece);
  }
  return Buffer.concat(parts).toString('utf8');
}

const faultTypes: Readonly<Record<number, 'FileNotFound' | 'FileLocked' | 'NoDiskSpace'>> = {
  404: 'FileNotFound',
  423: 'FileLocked',
  507: 'NoDiskSpace',
};

/** A host's refusal in the specification's words. */
async function faultOf(
  answer: FileResponse,
  conflict: 'FileAlreadyExists' | 'FileFault' = 'FileFault',
): Promise<VimFault> {
  const reason = (await textOf(answer)).trim() || `The host answers ${answer.status}.`;
  const type = answer.status === 409 ? conflict : (faultTypes[answer.status] ?? 'FileFault');
  const file = /\[[^\]]*\] ?\S*/.exec(reason)?.[0] ?? '';
  return fault(type as 'FileFault', type === 'NoDiskSpace' ? ({ file, datastore: '' } as never) : { file }, reason);
}
