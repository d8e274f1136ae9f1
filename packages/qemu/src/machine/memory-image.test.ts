import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { HypervisorError } from '@hypostyle/contracts';
import fc from 'fast-check';
import { encodeMemoryImageHeader, readMemoryImage } from './memory-image.ts';

const description = {
  uuid: '11111111-2222-3333-4444-555555555555',
  platform: { machineType: 'pc', cpuModel: 'base' },
  accelerator: 'tcg' as const,
  memoryKiB: 1016,
  discardFiles: [],
};

it('is read back, and a damaged one is refused', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'memory-'));
  const path = join(folder, 'image');
  const refused = (error: unknown) => error instanceof HypervisorError && error.code === 'start-failed';
  try {
    const header = encodeMemoryImageHeader(description);
    await writeFile(path, Buffer.concat([header, Buffer.from('stream')]));
    assert.deepEqual(await readMemoryImage(path), { description, streamOffset: header.length });
    await assert.rejects(readMemoryImage(join(folder, 'none')), refused);
    await fc.assert(
      fc.asyncProperty(fc.nat(header.length - 1), fc.nat(255), async (position, byte) => {
        const damaged = Buffer.from(header);
        damaged[position] = byte;
        await writeFile(path, damaged.subarray(0, byte % 2 ? undefined : position));
        await readMemoryImage(path).catch((error: unknown) => assert.ok(refused(error), String(error)));
      }),
      { numRuns: 60 },
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});
