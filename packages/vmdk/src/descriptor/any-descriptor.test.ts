import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { createDisk } from '../create/create-disk.ts';
import { readAnyDescriptor } from './any-descriptor.ts';

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'any-descriptor-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

const text = (comment: string) =>
  ['# Disk DescriptorFile', `# ${comment}`, 'version=1', 'CID=12345678', 'parentCID=ffffffff', 'createType="vmfs"']
    .concat('RW 8 VMFS "a-flat.vmdk"', '')
    .join('\n');

test('a descriptor is read from a file of its own, however long, and from within a sparse disk', async (t) => {
  const folder = await folderOf(t);
  for (const comment of ['short', 'x'.repeat(10_000)]) {
    const path = join(folder, `${comment.length}.vmdk`);
    await writeFile(path, text(comment));
    const { descriptor, isEmbedded } = await readAnyDescriptor(path);
    assert.deepEqual([descriptor.contentId, descriptor.extents.length, isEmbedded], [0x12345678, 1, false]);
  }
  const sparse = join(folder, 'sparse.vmdk');
  await createDisk({ path: sparse, virtualBytes: 1 << 20, kind: 'monolithicSparse' });
  const { descriptor, isEmbedded } = await readAnyDescriptor(sparse);
  assert.deepEqual([descriptor.createType, isEmbedded], ['monolithicSparse', true]);
});

test('what is no descriptor is said in words of its own, whatever the bytes are', async (t) => {
  const folder = await folderOf(t);
  const path = join(folder, 'a.vmdk');
  await assert.rejects(readAnyDescriptor(path), { code: 'descriptor-missing' });
  await writeFile(path, Buffer.alloc((1 << 20) + 1, 32));
  await assert.rejects(readAnyDescriptor(path), { code: 'descriptor-too-large' });
  const beginning = fc.constantFrom('', 'KDMV', text('mutated').slice(0, 60));
  await fc.assert(
    fc.asyncProperty(beginning, fc.uint8Array({ maxLength: 1200 }), async (start, rest) => {
      await writeFile(path, Buffer.concat([Buffer.from(start), rest]));
      await readAnyDescriptor(path).then(
        () => {},
        (error: Error) => assert.equal(error.name, 'VmdkError'),
      );
    }),
    { numRuns: 60 },
  );
});
