import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HostError } from '../../errors.ts';
import {
  findSnapshot,
  type SnapshotEntry,
  type SnapshotList,
  withDescendants,
  withoutSnapshots,
} from './snapshot-list.ts';
import { formatVmsd, parseVmsd } from './vmsd-file.ts';
import { formatVmsn, parseVmsn } from './vmsn-file.ts';

/** As ESXi writes it. */
const vmwares = `.encoding = "UTF-8"
snapshot.lastUID = "7"
snapshot.current = "7"
snapshot.mru0.uid = "7"
snapshot0.uid = "3"
snapshot0.filename = "web-Snapshot3.vmsn"
snapshot0.displayName = "before |22upgrade|22"
snapshot0.description = ""
snapshot0.createTimeHigh = "380537"
snapshot0.createTimeLow = "-1573741824"
snapshot0.numDisks = "1"
snapshot0.disk0.fileName = "web.vmdk"
snapshot0.disk0.node = "scsi0:0"
snapshot2.uid = "7"
snapshot2.filename = "web-Snapshot7.vmsn"
snapshot2.parent = "3"
snapshot2.displayName = "with memory"
snapshot2.type = "1"
snapshot2.numDisks = "1"
snapshot2.disk0.fileName = "web-000001.vmdk"
snapshot2.disk0.node = "scsi0:0"
snapshot.numSnapshots = "2"
something.else = "kept"
`;

test('a list of VMware is read, and what we do not know of it stays', () => {
  const { list, file } = parseVmsd(Buffer.from(vmwares), 'web.vmsd');
  assert.deepEqual([list.current, list.lastUid], [7, 7]);
  const [first, second] = list.entries;
  assert.deepEqual([first?.name, first?.parent, first?.state], ['before "upgrade"', undefined, 'poweredOff']);
  assert.equal(first?.created, '2021-10-16T15:04:51.143Z');
  assert.deepEqual(
    [second?.parent, second?.state, second?.disks],
    [3, 'poweredOn', [{ node: 'scsi0:0', fileName: 'web-000001.vmdk' }]],
  );
  const text = formatVmsd(withoutSnapshots(list, new Set([3])), file);
  assert.match(text, /^something\.else = "kept"$/m);
  const again = parseVmsd(Buffer.from(text), 'web.vmsd').list;
  assert.deepEqual(again, { entries: [{ ...second, parent: undefined }], current: 7, lastUid: 7 });
});

const entry = (uid: number, parents: readonly number[]): fc.Arbitrary<SnapshotEntry> =>
  fc.record(
    {
      uid: fc.constant(uid),
      parent: fc.constantFrom(undefined, ...parents),
      name: fc.string({ minLength: 1 }).filter((text) => text.isWellFormed() && !text.includes('\0')),
      description: fc.string({ unit: 'grapheme' }),
      created: fc
        .date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true })
        .map((date) => date.toISOString()),
      fileName: fc.constant(`web-Snapshot${uid}.vmsn`),
      state: fc.constantFrom('poweredOff', 'poweredOn', 'suspended'),
      quiesced: fc.boolean(),
      memoryFile: fc.constantFrom(undefined, `web-Snapshot${uid}.vmem`),
      disks: fc.array(fc.constant({ node: 'scsi0:1', fileName: 'web_1-000001.vmdk' }), {
        maxLength: 3,
      }),
      cloned: fc.boolean(),
    },
    { noNullPrototype: true },
  );

const lists: fc.Arbitrary<SnapshotList> = fc
  .uniqueArray(fc.integer({ min: 1, max: 40 }), { maxLength: 8 })
  .chain((found) => {
    const uids = found.sort((a, b) => a - b);
    return fc.record(
      {
        entries: fc.tuple(...uids.map((uid, index) => entry(uid, uids.slice(0, index)))) as fc.Arbitrary<
          SnapshotEntry[]
        >,
        current: fc.constantFrom(undefined, ...uids),
        lastUid: fc.integer({ min: uids.at(-1) ?? 0, max: 100 }),
      },
      { noNullPrototype: true },
    );
  });

test('every list that is written is read as it was', () => {
  fc.assert(
    fc.property(lists, (list) => {
      assert.deepEqual(parseVmsd(Buffer.from(formatVmsd(list)), 'web.vmsd').list, list);
    }),
  );
});

test('what stays of a tree goes on from the nearest that stays', () => {
  fc.assert(
    fc.property(lists, fc.nat(), (list, pick) => {
      const gone = list.entries[pick % Math.max(1, list.entries.length)];
      if (gone === undefined) return;
      const one = withoutSnapshots(list, new Set([gone.uid]));
      assert.equal(one.entries.length, list.entries.length - 1);
      for (const { uid, parent } of one.entries) {
        const before = findSnapshot(list.entries, uid);
        assert.equal(parent, before?.parent === gone.uid ? gone.parent : before?.parent);
      }
      const all = withoutSnapshots(list, withDescendants(list.entries, gone.uid));
      assert.ok(all.entries.every(({ parent }) => parent === undefined || findSnapshot(all.entries, parent)));
    }),
  );
});

test('any bytes are a list, or snapshots-invalid', () => {
  const cut = (text: string) => fc.nat({ max: text.length }).map((at) => Buffer.from(text.slice(0, at)));
  const changed = fc
    .tuple(fc.nat({ max: vmwares.length - 1 }), fc.integer({ min: 32, max: 126 }))
    .map(([at, code]) => Buffer.from(vmwares.slice(0, at) + String.fromCharCode(code) + vmwares.slice(at + 1)));
  fc.assert(
    fc.property(fc.oneof(cut(vmwares), changed, fc.uint8Array({ maxLength: 300 })), (bytes) => {
      try {
        const { list } = parseVmsd(bytes, 'web.vmsd');
        assert.ok(list.current === undefined || findSnapshot(list.entries, list.current));
      } catch (error) {
        assert.ok(error instanceof HostError && error.code === 'snapshots-invalid', String(error));
      }
    }),
    { numRuns: 300 },
  );
  const circle =
    'snapshot.numSnapshots = "2"\nsnapshot0.uid = "1"\nsnapshot0.parent = "2"\nsnapshot0.filename = "a"\nsnapshot1.uid = "2"\nsnapshot1.parent = "1"\nsnapshot1.filename = "b"';
  assert.throws(() => parseVmsd(Buffer.from(circle), 'web.vmsd'), /circle/);
});

test('a snapshot keeps what it was given, and any other bytes are refused', () => {
  const bytes = () => fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));
  fc.assert(
    fc.property(
      bytes(),
      fc.option(bytes(), { nil: undefined }),
      fc.option(bytes(), { nil: undefined }),
      (vmx, nvram, vApp) => {
        const state = { vmx, ...(nvram ? { nvram } : {}), ...(vApp ? { vApp } : {}) };
        assert.deepEqual(parseVmsn(formatVmsn(state), 'a.vmsn'), state);
      },
    ),
  );
  const whole = formatVmsn({ vmx: Buffer.from('displayName = "web"\n'), nvram: Buffer.alloc(100, 1) });
  const broken = fc.tuple(fc.nat({ max: whole.length - 1 }), fc.nat({ max: 255 }), fc.nat({ max: whole.length }));
  fc.assert(
    fc.property(broken, ([at, value, length]) => {
      const copy = Buffer.from(whole.subarray(0, length));
      if (at < copy.length) copy[at] = value;
      try {
        parseVmsn(copy, 'a.vmsn');
      } catch (error) {
        assert.ok(error instanceof HostError && error.code === 'snapshots-invalid', String(error));
      }
    }),
    { numRuns: 500 },
  );
});

test('a value among others is found as VMware lays it out: small ones, indexed ones, padding', () => {
  const vmx = Buffer.from('memSize = "64"\n');
  const small = Buffer.concat([Buffer.from([0x04, 4]), Buffer.from('type'), Buffer.alloc(4, 7)]);
  const indexed = Buffer.concat([Buffer.from([0x41, 1]), Buffer.from('x'), Buffer.alloc(4), Buffer.from([9])]);
  const head = Buffer.alloc(18);
  head.writeBigUInt64LE(BigInt(vmx.length), 0);
  head.writeBigUInt64LE(BigInt(vmx.length), 8);
  head.writeUInt16LE(5, 16);
  const config = Buffer.concat([Buffer.from([0x3f, 7]), Buffer.from('cfgFile'), head, Buffer.alloc(5, 1), vmx]);
  const group = Buffer.concat([small, indexed, config, Buffer.alloc(2)]);
  const table = Buffer.alloc(12 + 80);
  table.writeUInt32LE(0xbed3bed3, 0);
  table.writeUInt32LE(1, 8);
  table.write('Snapshot', 12);
  table.writeBigUInt64LE(BigInt(table.length), 12 + 64);
  assert.deepEqual(Buffer.from(parseVmsn(Buffer.concat([table, group]), 'a.vmsn').vmx), vmx);
});
