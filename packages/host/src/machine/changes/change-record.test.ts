import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HostError } from '../../errors.ts';
import { formatChangeId, generationName, numberOf, parseChangeId } from './change-id.ts';
import { formatChangeRecord, parseChangeRecord } from './change-record.ts';
import {
  generationsSince,
  idOf,
  mostGenerations,
  newEpoch,
  type TrackedDisk,
  withClosed,
  withMoment,
  withoutEpoch,
} from './tracked-disk.ts';

const digest = 'a'.repeat(64);

/** A disk after some snapshots, as our own steps make it. */
const tracked = fc
  .record({
    base: fc.string({ minLength: 1, maxLength: 40 }),
    id: fc.uuid({ version: 4 }),
    before: fc.nat({ max: 1000 }),
    snapshots: fc.nat({ max: 80 }),
    closed: fc.boolean(),
    over: fc.boolean(),
  })
  .map(({ base, id, before, snapshots, closed, over }): TrackedDisk => {
    const old: TrackedDisk = { base, generation: before, bytes: 512, epoch: undefined };
    let disk = newEpoch(before === 0 ? undefined : old, base, 1024, id);
    const existing = new Set(Array.from({ length: snapshots }, (_, index) => index + 1));
    for (const snapshot of existing) disk = withMoment(disk, { snapshot, generation: disk.generation + 1 }, existing);
    return over ? withoutEpoch(disk) : withClosed(disk, closed ? digest : undefined);
  });

test('every record that is written is read as it was', () => {
  fc.assert(
    fc.property(fc.uniqueArray(tracked, { maxLength: 4, selector: ({ base }) => base }), (disks) => {
      assert.deepEqual(parseChangeRecord(formatChangeRecord(disks)), disks);
    }),
    { numRuns: 60 },
  );
});

test('any bytes are a record, or changes-invalid', () => {
  const attempt = (text: string) => {
    try {
      for (const disk of parseChangeRecord(text)) {
        idOf(disk);
        const { epoch } = disk;
        if (epoch !== undefined) generationsSince(disk, { epoch: epoch.id, generation: epoch.oldest });
      }
    } catch (error) {
      assert.ok(error instanceof HostError && error.code === 'changes-invalid', String(error));
    }
  };
  fc.assert(fc.property(fc.string(), attempt), { numRuns: 50 });
  fc.assert(
    fc.property(fc.json({ maxDepth: 4 }), (json) => attempt(`{"version":1,"disks":${json}}`)),
    { numRuns: 200 },
  );
  const valid = formatChangeRecord([withClosed(newEpoch(undefined, 'web.vmdk', 1 << 20), digest)]);
  fc.assert(
    fc.property(fc.nat({ max: valid.length - 1 }), fc.string({ maxLength: 3 }), fc.nat({ max: 8 }), (at, put, cut) =>
      attempt(valid.slice(0, at) + put + valid.slice(at + cut)),
    ),
    { numRuns: 400 },
  );
  for (const member of ['{"base":"a","generation":1,"bytes":1,"epoch":{"id":"x"}}', 'null', '{"generation":1e300}'])
    assert.throws(() => parseChangeRecord(`{"version":1,"disks":[${member}]}`), { code: 'changes-invalid' });
});

test('ids are read as they are written, and nothing else is one', () => {
  fc.assert(
    fc.property(fc.uuid(), fc.integer({ min: 1, max: 1e9 }), (epoch, generation) => {
      assert.deepEqual(parseChangeId(formatChangeId({ epoch, generation })), { epoch, generation });
      assert.equal(numberOf(generationName(generation)), generation);
    }),
  );
  for (const text of ['', '*', '52de1b3c/1', '52de1b3c-0000-0000-0000-000000000000/0', 'g1', '1', 'x'.repeat(10_000)])
    assert.equal(parseChangeId(text), undefined, text.slice(0, 20));
});

test('what an id tells: the generations since it, up to now or to a snapshot, and nothing of other epochs', () => {
  const existing = new Set([1, 2]);
  let disk = newEpoch(undefined, 'web.vmdk', 1024);
  const first = idOf(disk);
  assert.ok(first);
  disk = withMoment(disk, { snapshot: 1, generation: 2 }, existing);
  disk = withMoment(disk, { snapshot: 2, generation: 3 }, existing);
  assert.deepEqual(generationsSince(disk, first), [1, 2, 3]);
  assert.deepEqual(generationsSince(disk, first, 1), [1]);
  assert.deepEqual(generationsSince(disk, { ...first, generation: 2 }, 2), [2]);
  assert.deepEqual(generationsSince(disk, { ...first, generation: 2 }, 1), []);
  assert.equal(generationsSince(disk, { ...first, generation: 3 }, 1), undefined, 'later than the snapshot');
  assert.equal(generationsSince(disk, { ...first, generation: 4 }), undefined, 'has not begun');
  assert.equal(generationsSince(disk, first, 7), undefined, 'a snapshot of another epoch');
  assert.equal(generationsSince(withoutEpoch(disk), first), undefined);
  assert.equal(generationsSince(newEpoch(disk, 'web.vmdk', 1024), first), undefined);
  assert.equal(newEpoch(disk, 'web.vmdk', 1024).generation, 4, 'numbers are never given again');
});

test('only so many generations are known: older ids expire', () => {
  let disk = newEpoch(undefined, 'web.vmdk', 1024);
  const first = idOf(disk);
  assert.ok(first);
  for (let generation = 2; generation <= mostGenerations; generation += 1)
    disk = withMoment(disk, { snapshot: generation, generation }, new Set());
  assert.equal(generationsSince(disk, first)?.length, mostGenerations);
  disk = withMoment(disk, { snapshot: 1000, generation: mostGenerations + 1 }, new Set());
  assert.equal(generationsSince(disk, first), undefined);
  assert.equal(generationsSince(disk, { ...first, generation: 2 })?.length, mostGenerations);
});
