import assert from 'node:assert/strict';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { HypervisorError } from '@hypostyle/contracts';
import fc from 'fast-check';
import { Spawner } from '../process/spawner.ts';
import { imageTool } from './image-tool.ts';
import { emptyQcow2, qcow2VirtualBytes } from './qcow2.ts';
import { parseVmdkSize } from './vmdk-size.ts';

const spawner = new Spawner();
const images = imageTool((command, options) => spawner.run(command, options));

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-'));
});
after(() => rm(folder, { recursive: true }));

it('writes a size that it reads back, for every size that the format holds', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 40 }), (sectors) => {
      const virtualBytes = sectors * 512;
      try {
        const { parts } = emptyQcow2({ virtualBytes });
        assert.equal(qcow2VirtualBytes(parts[0]!.bytes), virtualBytes);
      } catch (error) {
        assert.ok(error instanceof RangeError && sectors > 2 ** 32);
      }
    }),
  );
  assert.throws(
    () => emptyQcow2({ virtualBytes: 1 << 20, backing: { name: 'x'.repeat(1024), format: 'raw' } }),
    RangeError,
  );
});

it('leaves nothing of a delta that could not be made, and no file that was there is touched', async () => {
  const path = join(folder, 'delta');
  const backing = { format: 'raw' as const, path: '/x', relativePath: 'x'.repeat(2000) };
  const failed = (error: unknown) => error instanceof HypervisorError && error.code === 'image-failed';
  await assert.rejects(images.createDelta({ path, virtualBytes: 512, backing }), failed);
  await assert.rejects(stat(path));
  await writeFile(path, 'mine');
  await assert.rejects(
    images.createDelta({ path, virtualBytes: 512, backing: { ...backing, relativePath: 'x' } }),
    failed,
  );
  assert.equal((await stat(path)).size, 4);
});

it('measures a disk of several files, and one inside an archive', async () => {
  await writeFile(join(folder, 'a-s001.vmdk'), Buffer.alloc(8192, 1));
  const path = join(folder, 'a.vmdk');
  const lines = ['# Disk DescriptorFile', 'version=1', 'RW 16 FLAT "a-s001.vmdk" 0', 'RW 100 ZERO'];
  await writeFile(path, lines.join('\n'));
  const { virtualBytes, allocatedBytes } = await images.inspect({ format: 'vmdk', path });
  assert.equal(virtualBytes, 116 * 512);
  assert.ok(allocatedBytes >= 8192);
  const archive = join(folder, 'x.ova');
  await writeFile(archive, Buffer.concat([Buffer.alloc(1000), emptyQcow2({ virtualBytes: 1 << 30 }).parts[0]!.bytes]));
  const inside = await images.inspect({ format: 'qcow2', path: archive, offset: 1000, length: 200 });
  assert.equal(inside.virtualBytes, 1 << 30);
});

it('reads any bytes as a VMDK or as none', () => {
  const beginnings = [
    'KDMV',
    'COWD',
    '# Disk DescriptorFile\n',
    '# Disk DescriptorFile\nRW 999999999999999 FLAT "x" 0\n',
  ];
  fc.assert(
    fc.property(fc.constantFrom(...beginnings, ''), fc.uint8Array({ maxLength: 1024 }), (beginning, bytes) => {
      const size = parseVmdkSize(Buffer.concat([Buffer.from(beginning), bytes]));
      if (size) assert.ok(Number.isSafeInteger(size.virtualBytes));
      qcow2VirtualBytes(Buffer.from(bytes));
    }),
  );
});
