import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { deflateSync, inflateSync } from 'node:zlib';
import { type GrainSlot, GrainWorkers, type GrainWorkersOptions } from './grain-workers.ts';

const grainBytes = 65536;

const kinds: readonly (Omit<GrainWorkersOptions, 'grainBytes'> & { readonly name: string })[] = [
  { name: 'libdeflate in this thread', workers: 0, codec: 'libdeflate' },
  { name: 'zlib in this thread', workers: 0, codec: 'zlib' },
  { name: 'libdeflate in workers', workers: 2, codec: 'libdeflate' },
  { name: 'zlib in workers', workers: 2, codec: 'zlib' },
];

/** Slots past the first ones, so that workers have them. */
async function slotOf(workers: GrainWorkers): Promise<GrainSlot> {
  const first = await Promise.all([workers.acquire(), workers.acquire()]);
  for (const slot of first) slot.release();
  return workers.acquire();
}

for (const { name, ...options } of kinds) {
  test(`${name}: records are what zlib expands, zeros are left out, and come back the same`, async () => {
    const workers = new GrainWorkers({ grainBytes, ...options });
    try {
      const slot = await slotOf(workers);
      const grains = [Buffer.alloc(grainBytes, 'text '), Buffer.alloc(grainBytes), randomBytes(grainBytes)];
      slot.input.set(Buffer.concat(grains));
      const packed = await slot.deflate({ bytes: 3 * grainBytes, firstSector: 1280, level: 5 });
      assert.deepEqual(packed.grains, [0, 2]);
      const records = Buffer.from(slot.output);
      let at = 0;
      const placed = packed.grains.map((grain, index) => {
        assert.equal(records.readBigUInt64LE(at), BigInt(1280 + grain * 128));
        const bytes = records.readUInt32LE(at + 8);
        assert.deepEqual(inflateSync(records.subarray(at + 12, at + 12 + bytes)), grains[grain]);
        const place = { at: at + 12, bytes, to: index * grainBytes, wanted: grainBytes };
        at += packed.recordBytes[index] as number;
        return place;
      });
      assert.equal(at % 512, 0);
      slot.input.set(records.subarray(0, at));
      assert.deepEqual((await slot.inflate(placed)).outcomes, ['data', 'data']);
      assert.deepEqual(Buffer.from(slot.output.subarray(0, grainBytes)), grains[0]);
      assert.deepEqual(Buffer.from(slot.output.subarray(grainBytes, 2 * grainBytes)), grains[2]);
    } finally {
      await workers.close();
    }
  });

  test(`${name}: what is damaged, too long, too short or zero is told apart`, async () => {
    const workers = new GrainWorkers({ grainBytes, ...options });
    try {
      const slot = await slotOf(workers);
      const zeros = deflateSync(Buffer.alloc(grainBytes));
      const flipped = deflateSync(randomBytes(1000));
      flipped.writeUInt8(flipped.readUInt8(500) ^ 1, 500);
      const packed = [
        zeros,
        flipped,
        deflateSync(Buffer.alloc(grainBytes + 1)),
        deflateSync(Buffer.alloc(99)),
        randomBytes(40),
      ];
      let at = 0;
      const placed = packed.map((bytes, index) => {
        slot.input.set(bytes, at);
        const place = { at, bytes: bytes.length, to: index * grainBytes, wanted: grainBytes };
        at += bytes.length;
        return place;
      });
      assert.deepEqual((await slot.inflate(placed)).outcomes, ['zero', 'damaged', 'damaged', 99, 'damaged']);
    } finally {
      await workers.close();
    }
  });
}

test('a slot that waits when the workers are closed is refused', async () => {
  const workers = new GrainWorkers({ grainBytes, workers: 0 });
  await Promise.all([workers.acquire(), workers.acquire()]);
  const third = workers.acquire();
  await Promise.all([assert.rejects(third, /given up/), workers.close()]);
});

test('grains of two mebibytes fit', async () => {
  const large = 2 ** 21;
  const workers = new GrainWorkers({ grainBytes: large, workers: 0 });
  const slot = await workers.acquire();
  const data = randomBytes(large);
  slot.input.set(data);
  const { recordBytes } = await slot.deflate({ bytes: large, firstSector: 0, level: 9 });
  assert.ok((recordBytes[0] as number) > large);
  slot.input.set(slot.output.subarray(0, recordBytes[0]));
  const bytes = new DataView(slot.input.buffer, slot.input.byteOffset).getUint32(8, true);
  assert.deepEqual((await slot.inflate([{ at: 12, bytes, to: 0, wanted: large }])).outcomes, ['data']);
  assert.ok(data.equals(Buffer.from(slot.output.subarray(0, large))));
  await workers.close();
});
