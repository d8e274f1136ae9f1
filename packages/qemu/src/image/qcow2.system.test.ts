import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { promisify } from 'node:util';
import { Spawner } from '../process/spawner.ts';
import { imageTool } from './image-tool.ts';

const run = promisify(execFile);

const spawner = new Spawner();
const images = imageTool((command, options) => spawner.run(command, options));

it('makes deltas that qemu-img finds without fault, up to 62 TiB, and that take writes', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'qcow2-'));
  try {
    const base = join(folder, 'base-flat.vmdk');
    await writeFile(base, 'base');
    await truncate(base, 1 << 20);
    for (const virtualBytes of [0, 512, 1 << 20, (1 << 29) + 512, 62 * 2 ** 40]) {
      const path = join(folder, `${virtualBytes}.qcow2`);
      const backing = { format: 'raw' as const, path: base, relativePath: 'base-flat.vmdk' };
      await images.createDelta({ path, virtualBytes, backing });
      const check = JSON.parse((await run('qemu-img', ['check', '--output=json', path])).stdout) as Record<
        string,
        number
      >;
      assert.equal(check['check-errors'], 0);
      assert.equal(check.leaks ?? 0, 0);
      assert.equal(check.corruptions ?? 0, 0);
      const info = JSON.parse((await run('qemu-img', ['info', '--output=json', path])).stdout) as Record<
        string,
        unknown
      >;
      assert.equal(info['virtual-size'], virtualBytes);
      assert.equal(info['backing-filename'], 'base-flat.vmdk');
      assert.equal(info['backing-filename-format'], 'raw');
      assert.equal(info['full-backing-filename'], base);
      if (virtualBytes < 4096) continue;
      await run('qemu-io', [
        '-c',
        'read -P 0x62 0 1',
        '-c',
        'write -P 7 65536 70000',
        '-c',
        'read -P 7 65536 70000',
        path,
      ]);
      await run('qemu-img', ['check', path]);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});
