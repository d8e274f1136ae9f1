import { StoreConflict } from '@hypostyle/contracts';
import type { EncodedWrite } from '../encoded-write.ts';
import { StoreError } from '../errors.ts';
import type { DocumentName } from './group-effect.ts';
import { GroupWriter } from './group-writer.ts';
import { type Claim, resumeClaim } from './ownership.ts';
import { asStoreError, ConnectionLost } from './postgres-error.ts';
import type { Tables } from './schema.ts';
import type { Session } from './session.ts';

export interface BatchWriterSettings {
  readonly path: string;
  readonly tables: Tables;
  /** The session that holds the lock, and its claim. */
  readonly session: Session;
  readonly claim: Claim;
  /** Opens the next session when one is lost. */
  readonly open: () => Promise<Session>;
  /** Milliseconds that a batch waits for a server that is away, before anything of it was sent. */
  readonly patience: number;
  /** Called once, when the claim has ended for good. */
  readonly onLost: (error: StoreError) => void;
}

interface Batch {
  readonly writes: readonly EncodedWrite[];
  /** Characters of JSON. */
  readonly length: number;
  readonly called: number;
  readonly answer: PromiseWithResolvers<void>;
}

/** A group whose commit was asked for, and not yet answered. */
interface SentGroup {
  readonly batches: readonly Batch[];
  readonly conflicts: readonly (DocumentName | undefined)[];
  readonly sequence: number;
}

/** Most batches and characters of JSON in one transaction: bounds how long the first of them waits. */
const mostBatches = 1024;
const mostCharacters = 512 * 1024;
const longestPause = 2000;

/**
 * Commits batches in the order of the calls, those that wait together in one transaction. The session that holds the
 * lock of the namespace is the one that writes, so that nothing is committed without it. When that session is lost,
 * the claim is taken up with another one, and the sequence of the last group in the database tells whether the group
 * that was under way is there.
 */
export class BatchWriter {
  readonly #settings: BatchWriterSettings;
  readonly #writer: GroupWriter;
  readonly #served: Promise<void>;
  #session: Session;
  #claim: Claim;
  /** The last group that is known to be on disk. */
  #sequence = 0;
  #queue: Batch[] = [];
  #sent: SentGroup | undefined;
  /** Batches at the front of the queue that are to be committed one by one. */
  #alone = 0;
  #ended: StoreError | undefined;
  #closing: number | undefined;
  #woken = Promise.withResolvers<void>();
  #pausing: PromiseWithResolvers<void> | undefined;

  constructor(settings: BatchWriterSettings) {
    this.#settings = settings;
    this.#writer = new GroupWriter(settings.tables);
    this.#session = settings.session;
    this.#claim = settings.claim;
    this.#watch(settings.session);
    this.#served = this.#serve().catch((error: unknown) => this.#end(asStoreError(error, settings.path)));
  }

  transact(writes: readonly EncodedWrite[]): Promise<void> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const length = writes.reduce((sum, write) => sum + (write.kind === 'put' ? write.json.length : 0), 0);
    const batch = { writes, length, called: performance.now(), answer: Promise.withResolvers<void>() };
    this.#queue.push(batch);
    this.#wake();
    return batch.answer.promise;
  }

  /** Finishes what was called, as far as the server answers, and gives the lock back. */
  async close(): Promise<void> {
    this.#closing ??= performance.now();
    this.#wake();
    await this.#served;
    await this.#session.end();
  }

  async #serve(): Promise<void> {
    while (this.#ended === undefined) {
      if (!this.#session.alive) await this.#resume();
      else if (this.#queue.length > 0) await this.#commit(this.#takeGroup());
      else await this.#woken.promise;
      if (this.#nobodyWaits()) return;
    }
  }

  #takeGroup(): Batch[] {
    let count = 0;
    let length = 0;
    for (const batch of this.#queue.slice(0, this.#alone > 0 ? 1 : mostBatches)) {
      length += batch.length;
      if (count > 0 && length > mostCharacters) break;
      count += 1;
    }
    this.#alone = Math.max(0, this.#alone - count);
    return this.#queue.splice(0, count);
  }

  async #commit(batches: readonly Batch[]): Promise<void> {
    const session = this.#session;
    try {
      const effect = await this.#writer.plan(
        session,
        batches.map((batch) => batch.writes),
      );
      const sequence = this.#sequence + 1;
      const { ranges, deletes, puts, conflicts } = effect;
      const sent = { batches, conflicts, sequence };
      if (ranges.length + deletes.length + puts.length > 0) {
        this.#sent = sent;
        await this.#writer.apply(session, effect, this.#claim.epoch, sequence);
        this.#sequence = sequence;
      }
      this.#settle(sent);
    } catch (error) {
      if (error instanceof ConnectionLost) {
        // What was sent stays in doubt until the claim is taken up again; what was not goes back in its place.
        if (this.#sent === undefined) this.#queue.unshift(...batches);
        return;
      }
      // The server's error undid the transaction.
      this.#sent = undefined;
      if (error instanceof StoreError && error.code === 'lost') {
        this.#queue.unshift(...batches);
        this.#end(error);
      } else if (batches.length > 1) {
        // One batch that cannot be kept must not take its neighbours with it.
        this.#queue.unshift(...batches);
        this.#alone = batches.length;
      } else batches[0]?.answer.reject(asStoreError(error, session.path));
    }
  }

  #settle({ batches, conflicts }: SentGroup): void {
    this.#sent = undefined;
    batches.forEach(({ answer }, index) => {
      const conflict = conflicts[index];
      if (conflict === undefined) answer.resolve();
      else answer.reject(new StoreConflict(conflict.collection, conflict.key));
    });
  }

  /** Tries until the claim is taken up, or lost, or nobody waits any more. */
  async #resume(): Promise<void> {
    const away = performance.now();
    let reason = 'the connection was lost';
    const expiry = setInterval(() => this.#expire(away, reason), Math.min(250, this.#settings.patience / 4 + 1));
    try {
      for (let pause = 20; ; pause = Math.min(pause * 2, longestPause)) {
        let session: Session | undefined;
        try {
          session = await this.#settings.open();
          if (await this.#takeUp(session)) return;
          session.destroy();
          reason = 'another session has its lock';
        } catch (error) {
          session?.destroy();
          const failure = asStoreError(error, this.#settings.path);
          reason = failure.detail ?? failure.message;
        }
        if (this.#ended !== undefined || this.#nobodyWaits()) return;
        await this.#pause(pause);
        if (this.#nobodyWaits()) return;
      }
    } finally {
      clearInterval(expiry);
    }
  }

  #nobodyWaits(): boolean {
    return this.#closing !== undefined && this.#queue.length === 0 && this.#sent === undefined;
  }

  /** Whether the writer can go on with this session. */
  async #takeUp(session: Session): Promise<boolean> {
    const standing = await resumeClaim(session, this.#settings.tables, this.#claim);
    if (standing.state === 'waiting') return false;
    const sent = this.#sent;
    const wasWritten = sent !== undefined && standing.sequence !== undefined && standing.sequence >= sent.sequence;
    if (sent !== undefined) {
      if (wasWritten) this.#settle(sent);
      else this.#queue.unshift(...sent.batches);
      this.#sent = undefined;
    }
    if (standing.state === 'lost' || standing.sequence < this.#sequence) {
      // A smaller sequence: the server goes on from an older copy, without what it had said was on disk.
      const detail = standing.state === 'lost' ? undefined : 'the database has gone back to an earlier state';
      this.#end(new StoreError('lost', this.#settings.path, detail));
      return false;
    }
    this.#sequence = standing.sequence;
    this.#claim = standing.claim;
    this.#session = session;
    this.#watch(session);
    return true;
  }

  /** Rejects what has waited long enough. A group in doubt waits on, unless the store is closing. */
  #expire(away: number, reason: string): void {
    const { patience, path } = this.#settings;
    const now = performance.now();
    const isOver = ({ called }: Batch): boolean => now - Math.max(called, away) >= patience;
    const over = this.#queue.filter(isOver);
    if (over.length > 0) {
      this.#queue = this.#queue.filter((batch) => !isOver(batch));
      for (const { answer } of over) answer.reject(new StoreError('unreachable', path, reason));
    }
    if (this.#sent !== undefined && this.#closing !== undefined && now - Math.max(this.#closing, away) >= patience) {
      for (const { answer } of this.#sent.batches) answer.reject(new StoreError('unknown', path, reason));
      this.#sent = undefined;
    }
    if (this.#nobodyWaits()) this.#wake();
  }

  #end(error: StoreError): void {
    this.#ended ??= error;
    for (const { answer } of this.#queue) answer.reject(error);
    const unknown = new StoreError('unknown', this.#settings.path, error.detail);
    for (const { answer } of this.#sent?.batches ?? []) answer.reject(unknown);
    this.#sent = undefined;
    this.#queue = [];
    this.#session.destroy();
    if (error.code === 'lost') this.#settings.onLost(error);
  }

  #watch(session: Session): void {
    void session.gone.then(() => this.#wake());
  }

  #wake(): void {
    const woken = this.#woken;
    this.#woken = Promise.withResolvers();
    woken.resolve();
    if (this.#nobodyWaits()) this.#pausing?.resolve();
  }

  /** Closing with nobody waiting cuts a pause short. */
  async #pause(milliseconds: number): Promise<void> {
    this.#pausing = Promise.withResolvers();
    const timer = setTimeout(this.#pausing.resolve, milliseconds);
    await this.#pausing.promise;
    clearTimeout(timer);
    this.#pausing = undefined;
  }
}
