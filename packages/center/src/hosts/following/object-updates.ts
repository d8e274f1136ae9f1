import { type ManagedObjectReference, type UpdateSet, unboxed } from '@hypostyle/vim';

/** What an update says of one object: its properties as they are now, undefined where unset. */
export interface ObjectChange {
  readonly kind: 'enter' | 'modify' | 'leave';
  readonly ref: ManagedObjectReference;
  readonly values: Readonly<Record<string, unknown>>;
}

/** The changes of an update set, in order; several of one object that follow each other stay apart. */
export function changesOf(updates: UpdateSet): ObjectChange[] {
  const changes: ObjectChange[] = [];
  for (const { objectSet = [] } of updates.filterSet ?? []) {
    for (const { kind, obj, changeSet = [] } of objectSet) {
      const values: Record<string, unknown> = {};
      for (const { name, op, val } of changeSet) {
        // Whole properties are asked for, never parts of them.
        values[name] = op === 'assign' || op === 'add' ? val && unboxed(val) : undefined;
      }
      changes.push({ kind, ref: obj, values });
    }
  }
  return changes;
}
