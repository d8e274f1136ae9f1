import type { DatabaseSync } from 'node:sqlite';
import type { EncodedWrite } from '../encoded-write.ts';
import type { Documents } from './documents.ts';

/** A `check` that did not hold. */
export interface Conflict {
  readonly collection: string;
  readonly key: string;
}

/** How a batch ended: applied, a conflict, or an error of the database. */
export type Outcome = { readonly conflict?: Conflict; readonly error?: unknown };

/**
 * Commits several batches in one transaction, so that they share one sync of the disk. Each is applied whole or not
 * at all. Answers one outcome for each batch, in order, when all of them are on disk.
 */
export function commitGroup(
  database: DatabaseSync,
  documents: Documents,
  batches: readonly (readonly EncodedWrite[])[],
): Outcome[] {
  try {
    database.exec('BEGIN IMMEDIATE');
    const outcomes = batches.map((batch) => applyBatch(database, documents, batch));
    database.exec('COMMIT');
    return outcomes;
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    // One batch that does not fit on the disk must not take its neighbours with it.
    if (batches.length > 1) return batches.flatMap((batch) => commitGroup(database, documents, [batch]));
    return [{ error }];
  }
}

function applyBatch(database: DatabaseSync, documents: Documents, batch: readonly EncodedWrite[]): Outcome {
  database.exec('SAVEPOINT batch');
  for (const write of batch) {
    if (write.kind === 'check' && documents.has(write.collection, write.key) !== write.exists) {
      database.exec('ROLLBACK TO batch; RELEASE batch');
      return { conflict: { collection: write.collection, key: write.key } };
    }
    documents.apply(write);
  }
  database.exec('RELEASE batch');
  return {};
}
