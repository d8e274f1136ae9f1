import { asFault, type Clock, type HttpNfcLeaseManifestEntry, type VimFault } from '@hypostyle/vim';
import { faults } from '../errors.ts';
import { abortable } from './abortable.ts';
import { type ChecksumType, TransferDigest } from './transfer-digest.ts';

import type { LeasedDisk, ReceiveOptions, TransferTarget } from './transfer-target.ts';

export type LeaseState = 'initializing' | 'ready' | 'done' | 'error';

/** What the owner of a lease does at its end; either `onComplete` alone ends it, or `onAbort` does. */
export interface LeaseOwner {
  /** The client's own word, 0 to 100. */
  onProgress?(percent: number): void;
  /** Everything is in. When it rejects, `onAbort` follows with that fault. */
  onComplete(): Promise<void>;
  /** Undo: no transfer runs any more. `fault` says why. */
  onAbort(fault: VimFault): Promise<void>;
}

export interface TransferLeaseOptions {
  readonly clock: Clock;
  readonly timeoutSeconds: number;
  /** It is over when the clients of its disks have left. Default: false. */
  readonly endsWithClients?: boolean;
  readonly owner: LeaseOwner;
  /** Called after every change of state, error or progress. */
  readonly onChange: (lease: TransferLease) => void;
  /** Told of an `onAbort` that failed. */
  readonly onDefect: (error: unknown) => void;
}

/** Who gives a disk of a lease to its clients. */
export interface DiskUsers {
  /** Takes the disk away from them, before it is closed. */
  release(disk: LeasedDisk): Promise<void>;
  /** Whether there are any. */
  isUsed(disk: LeasedDisk): boolean;
}

interface OpenedDisk {
  readonly opened: Promise<LeasedDisk>;
  readonly users: DiskUsers;
  disk?: LeasedDisk;
}

interface TargetRecord {
  readonly target: TransferTarget;
  upload: 'idle' | 'running' | 'failed' | 'finished';
  checksumType: ChecksumType;
  manifest?: HttpNfcLeaseManifestEntry;
}

/**
 * State machine of HttpNfcLease: initializing → ready → done or error. It times out when neither a Progress nor a byte
 * of a transfer came for `timeoutSeconds`. Complete and Abort may be called again, and wait for transfers under way.
 */
export class TransferLease {
  readonly #options: TransferLeaseOptions;
  readonly #records = new Map<string, TargetRecord>();
  readonly #transfers = new Set<Promise<unknown>>();
  readonly #disks = new Map<string, OpenedDisk>();
  readonly #stop = new AbortController();
  readonly #ended = Promise.withResolvers<void>();
  #state: LeaseState = 'initializing';
  #error: VimFault | undefined;
  /** Why it shall end, once somebody said so. */
  #reason: VimFault | undefined;
  #ending: Promise<void> | undefined;
  #completing = false;
  #percent = 0;
  #renewedAt = 0;
  #cancelTimer: () => void = () => {};

  constructor(options: TransferLeaseOptions) {
    this.#options = options;
  }

  get state(): LeaseState {
    return this.#state;
  }

  /** The fault of state `error`. */
  get error(): VimFault | undefined {
    return this.#error;
  }

  get transferProgress(): number {
    return this.#percent;
  }

  get targets(): readonly TransferTarget[] {
    return [...this.#records.values()].map(({ target }) => target);
  }

  /** Fires when the lease is being aborted. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Resolves when it is done or in error, cleaned up. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Makes it ready, unless it was aborted meanwhile. */
  start(targets: readonly TransferTarget[]): void {
    if (this.#state !== 'initializing' || this.#ending !== undefined) return;
    for (const target of targets) {
      if (this.#records.has(target.fileName)) throw new Error(`two targets of a lease are named ${target.fileName}`);
      this.#records.set(target.fileName, { target, upload: 'idle', checksumType: 'sha1' });
    }
    this.#state = 'ready';
    this.#renew();
    this.#armTimer(this.#timeout);
    this.#options.onChange(this);
  }

  /** Takes the client's word. One that comes while the lease ends, or after, is late and says nothing. */
  progress(percent: number): void {
    if (this.#error !== undefined) throw this.#error;
    if (!Number.isInteger(percent) || percent < 0 || percent > 100) {
      throw faults.invalidArgument('percent', `A lease's progress is 0 to 100, not ${percent}.`);
    }
    if (this.#state !== 'ready' || this.#ending !== undefined) return;
    this.#renew();
    this.#options.owner.onProgress?.(percent);
    if (percent === this.#percent) return;
    this.#percent = percent;
    this.#options.onChange(this);
  }

  /** Resolves when done; throws the lease's fault where it failed, InvalidState where files are missing. */
  async complete(): Promise<void> {
    if (this.#ending === undefined) {
      if (this.#state === 'initializing') throw faults.invalidState('The lease is not ready yet.');
      this.#ending = this.#finish();
    }
    await this.#ending;
    if (this.#error !== undefined) throw this.#error;
  }

  /** Resolves when cleaned up; throws InvalidState where the lease is, or just became, done. */
  async abort(reason: VimFault = faults.canceled('The lease was aborted.')): Promise<void> {
    if (!this.#completing) this.#interrupt(reason);
    this.#ending ??= this.#fail();
    await this.#ending;
    if (this.#state === 'done') throw faults.invalidState('The lease is complete and cannot be aborted.');
  }

  /** Takes an upload. One at a time a target, and none once one succeeded. */
  receive(
    fileName: string,
    body: AsyncIterable<Uint8Array>,
    { contentLength, signal }: { readonly contentLength?: number | undefined; readonly signal: AbortSignal },
  ): Promise<void> {
    return this.take(fileName, signal, async (target, options) => {
      if (target.receive === undefined) throw faults.notSupported(`${fileName} cannot be uploaded.`);
      const announced = contentLength === undefined ? {} : { contentLength };
      await target.receive(abortable(body, options.signal, options.onBytes), { ...options, ...announced });
    });
  }

  /** Has `work` bring the content of a target, as an upload would. */
  async take(
    fileName: string,
    signal: AbortSignal,
    work: (target: TransferTarget, options: ReceiveOptions) => Promise<void>,
  ): Promise<void> {
    const record = this.#record(fileName);
    if (record.upload === 'running') throw faults.locked(fileName);
    if (record.upload === 'finished') throw faults.exists(fileName);
    record.upload = 'running';
    const ends = AbortSignal.any([signal, this.#stop.signal]);
    const onBytes = () => this.#renew();
    onBytes();
    const transfer = (async () => {
      try {
        await work(record.target, { signal: ends, onBytes });
        // A target that ends well in spite of the abort has lost all the same.
        ends.throwIfAborted();
        record.upload = 'finished';
      } finally {
        if (record.upload === 'running') record.upload = 'failed';
        onBytes();
      }
    })();
    await this.waitFor(transfer);
  }

  /** A download; its digest goes into the manifest when it was read to the end. */
  provide(fileName: string, signal: AbortSignal): AsyncIterable<Uint8Array> {
    const record = this.#record(fileName);
    if (record.target.provide === undefined) throw faults.notSupported(`${fileName} cannot be downloaded.`);
    const ends = AbortSignal.any([signal, this.#stop.signal]);
    return this.#download(record, record.target.provide({ signal: ends }), ends);
  }

  /** The disk of a target, opened once and open until the lease ends. */
  disk(fileName: string, users: DiskUsers): Promise<LeasedDisk> {
    const { target } = this.#record(fileName);
    if (target.openDisk === undefined) throw faults.notSupported(`${fileName} cannot be read at random.`);
    this.#renew();
    const known = this.#disks.get(fileName);
    if (known !== undefined) return known.opened;
    const opened = target.openDisk();
    const entry: OpenedDisk = { opened, users };
    this.#disks.set(fileName, entry);
    opened.then(
      (disk) => {
        entry.disk = disk;
      },
      () => this.#disks.delete(fileName),
    );
    return opened;
  }

  /** It ends with its clients, had some, and has none at the moment. */
  get isUnused(): boolean {
    if (!this.endsWithClients || this.#state !== 'ready' || this.#disks.size === 0) return false;
    return [...this.#disks.values()].every(({ disk, users }) => disk !== undefined && !users.isUsed(disk));
  }

  get endsWithClients(): boolean {
    return this.#options.endsWithClients ?? false;
  }

  /** Somebody works with it: it does not time out yet. */
  renew(): void {
    this.#renew();
  }

  /** Digests of what was downloaded whole. */
  manifest(): HttpNfcLeaseManifestEntry[] {
    return [...this.#records.values()].flatMap(({ manifest }) => (manifest === undefined ? [] : [manifest]));
  }

  /** Chooses the second digest of a download that has not begun; by the target's `key`. */
  setChecksumType(key: string, type: ChecksumType): void {
    this.#checkReady();
    const record = [...this.#records.values()].find(({ target }) => target.key === key);
    if (record === undefined)
      throw faults.invalidArgument('deviceUrlsToChecksumTypes', `The lease has no device ${key}.`);
    record.checksumType = type;
  }

  /** Has Complete and Abort wait until `transfer` settles. */
  async waitFor<T>(transfer: Promise<T>): Promise<T> {
    this.#transfers.add(transfer);
    try {
      return await transfer;
    } finally {
      this.#transfers.delete(transfer);
    }
  }

  has(fileName: string): boolean {
    return this.#records.has(fileName);
  }

  get #timeout(): number {
    return this.#options.timeoutSeconds * 1000;
  }

  async *#download(record: TargetRecord, source: AsyncIterable<Uint8Array>, signal: AbortSignal) {
    const { promise, resolve } = Promise.withResolvers<void>();
    const settled = this.waitFor(promise);
    const { target, checksumType } = record;
    const digest = new TransferDigest(checksumType);
    try {
      this.#renew();
      for await (const piece of abortable(source, signal, () => this.#renew())) {
        digest.update(piece);
        yield piece;
        this.#renew();
      }
      record.manifest = {
        _typeName: 'HttpNfcLeaseManifestEntry',
        key: target.key,
        disk: target.disk,
        ...digest.result(),
        ...(target.capacityBytes === undefined ? {} : { capacity: target.capacityBytes }),
      };
    } finally {
      resolve();
      await settled;
    }
  }

  #record(fileName: string): TargetRecord {
    this.#checkReady();
    const record = this.#records.get(fileName);
    if (record === undefined) throw faults.notFound(fileName);
    return record;
  }

  #checkReady(): void {
    if (this.#error !== undefined) throw this.#error;
    if (this.#state !== 'ready' || this.#ending !== undefined) {
      throw faults.invalidState(`The lease is ${this.#state === 'ready' ? 'ending' : this.#state}.`);
    }
  }

  #interrupt(reason: VimFault): void {
    if (this.#state === 'done' || this.#state === 'error') return;
    this.#reason ??= reason;
    this.#stop.abort(this.#reason);
  }

  async #finish(): Promise<void> {
    await this.#closeDisks();
    await Promise.allSettled(this.#transfers);
    const missing = [...this.#records.values()].filter(
      ({ target, upload }) =>
        target.receive !== undefined && upload !== 'finished' && !(target.optional === true && upload === 'idle'),
    );
    if (this.#reason === undefined && missing.length > 0) {
      const names = missing.map(({ target }) => target.fileName).join(', ');
      this.#interrupt(faults.invalidState(`The lease was completed without ${names}.`));
    }
    if (this.#reason !== undefined) return this.#fail();
    this.#completing = true;
    this.#cancelTimer();
    try {
      await this.#options.owner.onComplete();
    } catch (error) {
      this.#interrupt(asFault(error));
      return this.#fail();
    }
    this.#percent = 100;
    this.#end('done');
  }

  async #fail(): Promise<void> {
    this.#cancelTimer();
    await this.#closeDisks();
    await Promise.allSettled(this.#transfers);
    const reason = this.#reason ?? faults.canceled('The lease was aborted.');
    try {
      await this.#options.owner.onAbort(reason);
    } catch (error) {
      this.#options.onDefect(error);
    }
    this.#error = reason;
    this.#end('error');
  }

  /** What a client wrote is in the disk when it is closed; where that fails, the lease does. */
  async #closeDisks(): Promise<void> {
    for (const { opened, users } of [...this.#disks.values()]) {
      const disk = await opened.catch(() => undefined);
      if (disk === undefined) continue;
      try {
        await users.release(disk);
        await disk.close();
      } catch (error) {
        this.#options.onDefect(error);
        if (disk.writable) this.#interrupt(asFault(error));
      }
    }
    this.#disks.clear();
  }

  #end(state: 'done' | 'error'): void {
    this.#state = state;
    this.#cancelTimer();
    this.#options.onChange(this);
    this.#ended.resolve();
  }

  #renew(): void {
    this.#renewedAt = this.#options.clock.now();
  }

  /** Looks again when it would have timed out: renewing sets no timer, since it happens at every piece. */
  #armTimer(milliseconds: number): void {
    this.#cancelTimer = this.#options.clock.after(milliseconds, () => {
      const left = this.#renewedAt + this.#timeout - this.#options.clock.now();
      if (left > 0) {
        this.#armTimer(left);
        return;
      }
      this.abort(faults.timedOut(`Nothing came for ${this.#options.timeoutSeconds} seconds.`)).catch((error: unknown) =>
        this.#options.onDefect(error),
      );
    });
  }
}
