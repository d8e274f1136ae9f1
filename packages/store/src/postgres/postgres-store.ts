import type { Store, StoreEntry, StoreRange, StoreWrite } from '@hypostyle/contracts';
import { encodeRange, encodeWrite } from '../encoded-write.ts';
import { StoreError } from '../errors.ts';
import { BatchWriter } from './batch-writer.ts';
import { connectionSettings, type PostgresConnection } from './connection-settings.ts';
import { DocumentReader } from './document-reader.ts';
import { claimNamespace } from './ownership.ts';
import { asStoreError } from './postgres-error.ts';
import { ensureNamespace, findVersion, migrate, tablesOf } from './schema.ts';
import { Session } from './session.ts';

export interface PostgresStoreSettings {
  readonly connection: string | PostgresConnection;
  readonly namespace: string;
  readonly readOnly: boolean;
  readonly waitForOwner: number;
  readonly patience: number;
  readonly onLost: (error: StoreError) => void;
}

/** A store in one schema of a PostgreSQL database: one session writes, two read. */
export class PostgresStore implements Store {
  readonly #path: string;
  readonly #reader: DocumentReader;
  readonly #writer: BatchWriter | undefined;
  readonly #over = new AbortController();
  readonly #reads = new Set<Promise<unknown>>();
  #ended: StoreError | undefined;
  #closing: Promise<void> | undefined;

  static async open(settings: PostgresStoreSettings): Promise<PostgresStore> {
    const connection = connectionSettings(settings.connection);
    const path = `${connection.address}, namespace ${settings.namespace}`;
    const tables = tablesOf(settings.namespace, path);
    const applicationName = `hypostyle ${settings.namespace}`;
    const open = (reads: boolean) => Session.open({ connection, path, applicationName, reads });
    const parts = { path, tables, patience: settings.patience };
    const session = await open(settings.readOnly);
    try {
      if (settings.readOnly) {
        if (((await findVersion(session, tables)) ?? 0) === 0) throw new StoreError('missing', path);
        await session.end();
        return new PostgresStore(parts, () => open(true), undefined);
      }
      await ensureNamespace(session, tables);
      const prepare = () => migrate(session, tables);
      const claim = await claimNamespace(session, tables, { wait: settings.waitForOwner, prepare });
      return new PostgresStore(
        parts,
        () => open(true),
        (lost) => {
          const onLost = (error: StoreError): void => {
            lost(error);
            settings.onLost(error);
          };
          return new BatchWriter({ ...parts, session, claim, open: () => open(false), onLost });
        },
      );
    } catch (error) {
      session.destroy();
      await session.gone;
      throw asStoreError(error, path);
    }
  }

  private constructor(
    parts: Pick<ConstructorParameters<typeof DocumentReader>[0], 'path' | 'tables' | 'patience'>,
    open: () => Promise<Session>,
    write: ((lost: (error: StoreError) => void) => BatchWriter) | undefined,
  ) {
    this.#path = parts.path;
    this.#reader = new DocumentReader({ ...parts, open, signal: this.#over.signal });
    this.#writer = write?.((error) => {
      this.#ended ??= error;
      this.#over.abort();
    });
  }

  get<T = unknown>(collection: string, key: string): Promise<T | undefined> {
    return this.#read(() => this.#reader.get<T>(collection, key));
  }

  list<T = unknown>(collection: string, range: StoreRange = {}): Promise<StoreEntry<T>[]> {
    return this.#read(() => this.#reader.list<T>(collection, encodeRange(range, this.#path)));
  }

  async transact(writes: readonly StoreWrite[]): Promise<void> {
    if (this.#writer === undefined) throw new StoreError('readOnly', this.#path);
    if (this.#ended !== undefined) throw this.#ended;
    await this.#writer.transact(writes.map((write) => encodeWrite(write, this.#path)));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#ended ??= new StoreError('closed', this.#path);
    await this.#writer?.close();
    await Promise.allSettled(this.#reads);
    await this.#reader.close();
  }

  async #read<T>(ask: () => Promise<T>): Promise<T> {
    if (this.#ended !== undefined) throw this.#ended;
    const asked = ask();
    this.#reads.add(asked);
    try {
      return await asked;
    } catch (error) {
      // What a lost store still read is no more its own; why it could not is what the caller wants to know.
      throw this.#over.signal.aborted ? (this.#ended ?? error) : error;
    } finally {
      this.#reads.delete(asked);
    }
  }
}
