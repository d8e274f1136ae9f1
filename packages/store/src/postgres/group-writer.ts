import type { EncodedWrite } from '../encoded-write.ts';
import { StoreError } from '../errors.ts';
import { afterLastKey, encodeCollection, firstKey, type SplitKey, splitKey } from './document-key.ts';
import { checkedNames, type DocumentName, type DocumentPut, effectOf, type GroupEffect } from './group-effect.ts';
import { inTransaction, type Tables } from './schema.ts';
import type { Session } from './session.ts';

/** Most documents and characters of JSON in one statement: bounds what is encoded in one go. */
const mostDocuments = 1000;
const mostCharacters = 512 * 1024;

type Batches = readonly (readonly EncodedWrite[])[];

/** The statements that write groups of batches to the tables of one namespace. */
export class GroupWriter {
  readonly #exists: string;
  readonly #deleteRanges: string;
  readonly #change: string;

  constructor({ document, owner }: Tables) {
    this.#exists = `
      SELECT name.ordinal
      FROM unnest($1::bytea[], $2::bytea[], $3::bytea[]) WITH ORDINALITY AS name (collection, head, tail, ordinal)
      WHERE EXISTS (SELECT FROM ${document} AS document
        WHERE document.collection = name.collection AND document.head = name.head AND document.tail = name.tail)`;
    // No row of a fence: the claim has ended, and the statement changes nothing.
    const fence = `fence AS (UPDATE ${owner} SET sequence = $2 WHERE epoch = $1 AND NOT ended RETURNING epoch)`;
    this.#deleteRanges = `
      WITH ${fence}, gone AS (
        DELETE FROM ${document} AS document
        USING unnest($3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[], $7::bytea[])
          AS range (collection, from_head, from_tail, to_head, to_tail)
        WHERE EXISTS (SELECT FROM fence) AND document.collection = range.collection
          AND document.head >= range.from_head AND document.head <= range.to_head
          AND (document.head, document.tail) >= (range.from_head, range.from_tail)
          AND (document.head, document.tail) < (range.to_head, range.to_tail)
      ) SELECT epoch FROM fence`;
    this.#change = `
      WITH ${fence}, gone AS (
        DELETE FROM ${document} AS document
        USING unnest($3::bytea[], $4::bytea[], $5::bytea[]) AS name (collection, head, tail)
        WHERE EXISTS (SELECT FROM fence) AND document.collection = name.collection
          AND document.head = name.head AND document.tail = name.tail
      ), kept AS (
        INSERT INTO ${document} (collection, head, tail, json)
        SELECT put.* FROM unnest($6::bytea[], $7::bytea[], $8::bytea[], $9::text[]) AS put (collection, head, tail, json)
        WHERE EXISTS (SELECT FROM fence)
        ON CONFLICT (collection, head, tail_digest) DO UPDATE SET json = excluded.json
      ) SELECT epoch FROM fence`;
  }

  /** What batches come to, read by the session that owns the namespace. Writes nothing. */
  async plan(session: Session, batches: Batches): Promise<GroupEffect> {
    const names = checkedNames(batches);
    const stored = new Set<string>();
    if (names.length > 0) {
      const found = await session.query(this.#exists, nameColumns(names), 'exists');
      for (const [ordinal] of found) {
        const name = names[Number(ordinal) - 1];
        if (name !== undefined) stored.add(identityOf(name));
      }
    }
    return effectOf(batches, (name) => stored.has(identityOf(name)));
  }

  /**
   * Commits a group, and with it its sequence, all or nothing; it is on disk when this resolves. Rejects with
   * `StoreError` `lost` when the claim has ended, with `ConnectionLost` when nobody knows, else with the server's error.
   */
  async apply(session: Session, effect: GroupEffect, epoch: string, sequence: number): Promise<void> {
    const claim = [epoch, sequence] as const;
    const chunks = chunksOf(effect.puts);
    const change = async (deletes: readonly DocumentName[], puts: readonly DocumentPut[]): Promise<void> => {
      const json = puts.map((put) => put.json);
      const values = [...claim, ...nameColumns(deletes), ...nameColumns(puts), json];
      assertFence(await session.query(this.#change, values, 'change'), session);
    };
    if (effect.ranges.length === 0 && chunks.length === 1 && effect.deletes.length <= mostDocuments) {
      // One statement is a transaction of its own: one question, one answer.
      return await change(effect.deletes, effect.puts);
    }
    await inTransaction(session, async () => {
      const ranges = effect.ranges.map(({ collection, from, to }) => ({
        collection: encodeCollection(collection),
        from: from === undefined ? firstKey : splitKey(from),
        to: to === undefined ? afterLastKey : splitKey(to),
      }));
      if (ranges.length > 0) {
        const columns = [
          ranges.map((range) => range.collection),
          ...keyColumns(ranges.map((range) => range.from)),
          ...keyColumns(ranges.map((range) => range.to)),
        ];
        assertFence(await session.query(this.#deleteRanges, [...claim, ...columns], 'delete-ranges'), session);
      }
      for (let start = 0; start < effect.deletes.length; start += mostDocuments) {
        await change(effect.deletes.slice(start, start + mostDocuments), []);
      }
      for (const chunk of chunks) await change([], chunk);
    });
  }
}

function assertFence(rows: readonly unknown[], session: Session): void {
  if (rows.length === 0) throw new StoreError('lost', session.path);
}

const identityOf = ({ collection, key }: DocumentName): string => `${collection.length}:${collection}${key}`;

function nameColumns(names: readonly DocumentName[]): Uint8Array[][] {
  return [
    names.map((name) => encodeCollection(name.collection)),
    ...keyColumns(names.map((name) => splitKey(name.key))),
  ];
}

function keyColumns(keys: readonly SplitKey[]): Uint8Array[][] {
  return [keys.map((key) => key.head), keys.map((key) => key.tail)];
}

/** At least one chunk, which may be empty. */
function chunksOf(puts: readonly DocumentPut[]): DocumentPut[][] {
  let chunk: DocumentPut[] = [];
  const chunks = [chunk];
  let characters = 0;
  for (const put of puts) {
    if (chunk.length >= mostDocuments || (chunk.length > 0 && characters + put.json.length > mostCharacters)) {
      chunk = [];
      chunks.push(chunk);
      characters = 0;
    }
    chunk.push(put);
    characters += put.json.length;
  }
  return chunks;
}
