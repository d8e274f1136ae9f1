import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { EncodedWrite, ListRange } from '../encoded-write.ts';
import { decodeKey, encodeKey } from '../key-encoding.ts';
import type { Page } from './protocol.ts';

/** Characters of JSON in one page of a list. */
const pageLength = 128 * 1024;

/** The table of documents, statement by statement. */
export class Documents {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  get(collection: string, key: string): string | undefined {
    const row = this.#statement('SELECT json FROM document WHERE collection = ? AND key = ?').get(
      encodeKey(collection),
      encodeKey(key),
    );
    return row === undefined ? undefined : String(row.json);
  }

  has(collection: string, key: string): boolean {
    const found = this.#statement('SELECT 1 FROM document WHERE collection = ? AND key = ?').get(
      encodeKey(collection),
      encodeKey(key),
    );
    return found !== undefined;
  }

  list(collection: string, range: ListRange): Page[] {
    const { where, values } = condition(collection, range.from, range.to);
    const direction = range.reverse ? 'DESC' : 'ASC';
    const rows = this.#statement(`SELECT key, json FROM document WHERE ${where} ORDER BY key ${direction} LIMIT ?`);
    const pages: Page[] = [];
    let page: { key: string; json: string }[] = [];
    let length = 0;
    for (const row of rows.iterate(...values, range.limit ?? -1)) {
      const json = String(row.json);
      page.push({ key: decodeKey(row.key as Uint8Array), json });
      length += json.length;
      if (length < pageLength) continue;
      pages.push(page);
      page = [];
      length = 0;
    }
    if (page.length > 0) pages.push(page);
    return pages;
  }

  apply(write: EncodedWrite): void {
    switch (write.kind) {
      case 'put':
        this.#statement('INSERT INTO document VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET json = excluded.json').run(
          encodeKey(write.collection),
          encodeKey(write.key),
          write.json,
        );
        return;
      case 'delete':
        this.#statement('DELETE FROM document WHERE collection = ? AND key = ?').run(
          encodeKey(write.collection),
          encodeKey(write.key),
        );
        return;
      case 'deleteRange': {
        const { where, values } = condition(write.collection, write.from, write.to);
        this.#statement(`DELETE FROM document WHERE ${where}`).run(...values);
        return;
      }
      case 'check':
        return;
    }
  }

  #statement(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (statement === undefined) {
      statement = this.#database.prepare(text);
      this.#statements.set(text, statement);
    }
    return statement;
  }
}

function condition(collection: string, from: string | undefined, to: string | undefined) {
  let where = 'collection = ?';
  const values: Uint8Array[] = [encodeKey(collection)];
  if (from !== undefined) {
    where += ' AND key >= ?';
    values.push(encodeKey(from));
  }
  if (to !== undefined) {
    where += ' AND key < ?';
    values.push(encodeKey(to));
  }
  return { where, values };
}
