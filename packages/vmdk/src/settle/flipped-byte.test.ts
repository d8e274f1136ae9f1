import assert from 'node:assert/strict';
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import { VmdkError } from '../errors.ts';
import { memoryFolder, patterned, streamOf } from '../testing.ts';
import { SettleGrains, type SettleGrainsOptions } from './settle-grains.ts';

const sector = 512;

/** Of a streamOptimized disk: what a byte of it is. */
type Region = 'header' | 'descriptor' | 'overhead' | 'marker' | 'grain' | 'padding' | 'tables' | 'end';

/** What every byte of a stream is, found by its markers. */
function regionsOf(stream: Buffer): Region[] {
  const regions = new Array<Region>(stream.length).fill('overhead');
  const overhead = Number(stream.readBigUInt64LE(64)) * sector;
  regions.fill('header', 0, sector);
  const descriptor = Number(stream.readBigUInt64LE(28)) * sector;
  regions.fill('descriptor', descriptor, stream.indexOf(0, descriptor));
  for (let at = overhead; at < stream.length; ) {
    const size = stream.readUInt32LE(at + 8);
    const type = stream.readUInt32LE(at + 12);
    const sectors = Number(stream.readBigUInt64LE(at)) + 1;
    const end = Math.min(stream.length, at + (size > 0 ? Math.ceil((12 + size) / sector) : sectors) * sector);
    if (size > 0) {
      regions.fill('marker', at, at + 12).fill('grain', at + 12, at + 12 + size);
      regions.fill('padding', at + 12 + size, end);
    } else {
      regions.fill('marker', at, at + 16).fill('padding', at + 16, at + sector);
      regions.fill(type === 3 ? 'header' : type === 0 ? 'end' : 'tables', at + sector, end);
    }
    at = end;
  }
  return regions;
}

/** A flip that is not found by its own reader must leave every byte of the disk as it was. */
it('every byte of a disk without a digest is found flipped, or makes no other byte of the disk', async (test) => {
  const folder = await memoryFolder(test);
  const image = patterned(5 << 16, 1 << 16, [1, 2, 0, 1]);
  image.write('compressible and of its own', 3 << 16);
  const stream = await streamOf(image, { contentId: 0x12345678 });
  const regions = regionsOf(stream);
  const path = join(folder, 'app.ova');
  await writeFile(path, stream);
  const options: SettleGrainsOptions = {
    source: { path, offset: 0, length: stream.length, name: 'disk1.vmdk' },
    targetPath: join(folder, 'disk-flat.vmdk.partial'),
    virtualBytes: image.length,
    fill: true,
    recordPath: join(folder, 'record'),
    about: 'app.ova',
  };
  settle(options);
  assert.ok((await readFile(options.targetPath)).equals(image));
  const passed = new Map<Region, number>();
  const seen = new Map<Region, number>();
  const file = await open(path, 'r+');
  for (const [at, region] of regions.entries()) {
    const count = seen.get(region) ?? 0;
    seen.set(region, count + 1);
    // Every byte that steers, and of those that are many every so manyth.
    const many = { grain: 499, overhead: 499, padding: 97, tables: 5, descriptor: 5, end: 7, header: 1, marker: 1 }[
      region
    ];
    if (count % many !== 0) continue;
    const flipped = stream[at]! ^ (1 << (at % 8));
    await file.write(Buffer.of(flipped), 0, 1, at);
    try {
      settle(options);
      passed.set(region, (passed.get(region) ?? 0) + 1);
      assert.ok((await readFile(options.targetPath)).equals(image), `byte ${at} (${region}) made another disk`);
    } catch (error) {
      assert.ok(error instanceof VmdkError, `byte ${at} (${region}): ${error}`);
      assert.match(error.message, /disk1\.vmdk/, `byte ${at} (${region})`);
    }
    await file.write(stream, at, 1, at);
  }
  await file.close();
  // Deflate has bits that mean nothing where a block ends; all else of a grain is under its sum.
  assert.ok((passed.get('grain') ?? 0) <= 2, `${passed.get('grain')} bytes of grains`);
  test.diagnostic(`harmless: ${[...passed].map(([region, count]) => `${region} ${count}`).join(', ')}`);
});

function settle(options: SettleGrainsOptions): void {
  const grains = new SettleGrains(options.source, options);
  try {
    while (grains.step() !== undefined);
  } finally {
    grains.close();
  }
}
