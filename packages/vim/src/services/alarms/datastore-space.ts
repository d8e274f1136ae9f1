import type { ManagedObject } from '../../runtime/managed-object.ts';

/** Counters of the catalogue that tell the room on a datastore. */
export const spaceCounters = { used: 281, provisioned: 282 } as const;

/**
 * What a condition on the space of a datastore compares: hundredths of a percent of its capacity, as the alarms of
 * vCenter have it. More than 10,000 is provisioned where it is overcommitted. Undefined for everything else, and while
 * the datastore is out of reach.
 */
export function datastoreSpace(object: ManagedObject, counterId: number): number | undefined {
  if (!isSpaceCounter(object, counterId)) return undefined;
  const { accessible, capacity, freeSpace, uncommitted } = (object.value('summary') ?? {}) as {
    readonly accessible?: boolean;
    readonly capacity?: number | bigint;
    readonly freeSpace?: number | bigint;
    readonly uncommitted?: number | bigint;
  };
  const total = Number(capacity ?? 0);
  if (accessible !== true || total <= 0) return undefined;
  const used = total - Number(freeSpace ?? 0);
  const bytes = counterId === spaceCounters.used ? used : used + Number(uncommitted ?? 0);
  return Math.floor((bytes / total) * 10_000);
}

/** Whether a condition on the counter is about the room on a datastore. */
export function isSpaceCounter({ ref }: Pick<ManagedObject, 'ref'>, counterId: number): boolean {
  return ref.type === 'Datastore' && (counterId === spaceCounters.used || counterId === spaceCounters.provisioned);
}
