import type { EncodedWrite } from '../encoded-write.ts';

export interface DocumentName {
  readonly collection: string;
  readonly key: string;
}

export interface DocumentRange {
  readonly collection: string;
  readonly from: string | undefined;
  readonly to: string | undefined;
}

export interface DocumentPut extends DocumentName {
  readonly json: string;
}

/** What a group of batches comes to: first the ranges go, then the documents, then the puts are written. */
export interface GroupEffect {
  /** For each batch: the `check` that did not hold, or undefined when it is part of the effect. */
  readonly conflicts: readonly (DocumentName | undefined)[];
  readonly ranges: readonly DocumentRange[];
  readonly deletes: readonly DocumentName[];
  readonly puts: readonly DocumentPut[];
}

/** Every document that a group checks, each once. */
export function checkedNames(batches: readonly (readonly EncodedWrite[])[]): DocumentName[] {
  const checked = new Map<string, Set<string>>();
  for (const write of batches.flat()) {
    if (write.kind !== 'check') continue;
    const keys = checked.get(write.collection) ?? new Set();
    checked.set(write.collection, keys.add(write.key));
  }
  return [...checked].flatMap(([collection, keys]) => [...keys].map((key) => ({ collection, key })));
}

/**
 * Works out what batches do one after the other, for a store that nobody else writes: the last write of a document
 * is what stays, and a batch whose check does not hold leaves nothing. `stored` tells which documents are there
 * before the first; it is asked only for `checkedNames`.
 */
export function effectOf(
  batches: readonly (readonly EncodedWrite[])[],
  stored: (name: DocumentName) => boolean,
): GroupEffect {
  const group = new Changes();
  const conflicts = batches.map((batch) => {
    const changes = new Changes();
    for (const write of batch) {
      if (write.kind === 'check') {
        const exists = changes.has(write) ?? group.has(write) ?? stored(write);
        if (exists !== write.exists) return { collection: write.collection, key: write.key };
      } else changes.add(write);
    }
    group.addAll(changes);
    return undefined;
  });
  return { conflicts, ...group.toEffect() };
}

/** Writes laid over each other: ranges that are gone, and over them documents put (JSON) or gone (undefined). */
class Changes {
  readonly #ranges: DocumentRange[] = [];
  readonly #documents = new Map<string, Map<string, string | undefined>>();

  /** Whether the document is there after these writes; undefined when they do not tell. */
  has({ collection, key }: DocumentName): boolean | undefined {
    const documents = this.#documents.get(collection);
    if (documents?.has(key)) return documents.get(key) !== undefined;
    return this.#ranges.some((range) => range.collection === collection && covers(range, key)) ? false : undefined;
  }

  add(write: Exclude<EncodedWrite, { kind: 'check' }>): void {
    if (write.kind === 'deleteRange') this.#deleteRange(write);
    else this.#set(write.collection, write.key, write.kind === 'put' ? write.json : undefined);
  }

  addAll(later: Changes): void {
    for (const range of later.#ranges) this.#deleteRange(range);
    for (const [collection, documents] of later.#documents) {
      for (const [key, json] of documents) this.#set(collection, key, json);
    }
  }

  toEffect(): Omit<GroupEffect, 'conflicts'> {
    const deletes: DocumentName[] = [];
    const puts: DocumentPut[] = [];
    for (const [collection, documents] of this.#documents) {
      for (const [key, json] of documents) {
        if (json === undefined) deletes.push({ collection, key });
        else puts.push({ collection, key, json });
      }
    }
    return { ranges: this.#ranges, deletes, puts };
  }

  #set(collection: string, key: string, json: string | undefined): void {
    let documents = this.#documents.get(collection);
    if (documents === undefined) {
      documents = new Map();
      this.#documents.set(collection, documents);
    }
    documents.set(key, json);
  }

  #deleteRange({ collection, from, to }: DocumentRange): void {
    const range = { collection, from, to };
    this.#ranges.push(range);
    const documents = this.#documents.get(collection);
    for (const key of documents?.keys() ?? []) if (covers(range, key)) documents?.delete(key);
  }
}

function covers({ from, to }: DocumentRange, key: string): boolean {
  return (from === undefined || key >= from) && (to === undefined || key < to);
}
