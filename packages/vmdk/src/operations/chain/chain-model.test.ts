import assert from 'node:assert/strict';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkDisk } from '../../check/check-disk.ts';
import { creatableKinds, createDisk } from '../../create/create-disk.ts';
import { openDisk } from '../../disk/open-disk.ts';
import { memoryFolder, patterned } from '../../testing.ts';
import { compareDisks } from '../compare-disks.ts';
import { diskFiles } from '../files/disk-files.ts';
import { resizeDisk } from '../size/resize-disk.ts';
import { commitDisk } from './commit-disk.ts';
import { consolidateDisk } from './consolidate-disk.ts';
import { createChild } from './create-child.ts';
import { flattenDisk } from './flatten-disk.ts';
import { rebaseDisk } from './rebase-disk.ts';

interface Link {
  readonly path: string;
  /** What the disk with its parents holds. */
  content: Buffer;
}

type Command =
  | { readonly do: 'write'; readonly at: number; readonly length: number; readonly kind: 0 | 1 | 2 }
  | { readonly do: 'trim'; readonly at: number; readonly length: number }
  | { readonly do: 'child'; readonly grainBytes: number; readonly zeroedGrains: boolean; readonly split: boolean }
  | { readonly do: 'resize'; readonly sectors: number }
  | { readonly do: 'commit' | 'revert' }
  | { readonly do: 'consolidate'; readonly which: number; readonly into: 'child' | 'parent' }
  | { readonly do: 'rebase'; readonly which: number; readonly to: number }
  | { readonly do: 'flatten'; readonly kind: (typeof creatableKinds)[number] };

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      at: fc.nat(),
      length: fc.integer({ min: 1, max: 150_000 }),
      kind: fc.constantFrom(0 as const, 1 as const, 2 as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('trim' as const),
      at: fc.nat({ max: 2 ** 20 }),
      length: fc.nat({ max: 300_000 }).map((bytes) => (bytes % 300_000) + 1),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('child' as const),
      grainBytes: fc.constantFrom(8192, 65536),
      zeroedGrains: fc.boolean(),
      split: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('commit' as const, 'commit' as const, 'revert' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('consolidate' as const),
      which: fc.nat(),
      into: fc.constantFrom('child' as const, 'parent' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('resize' as const), sectors: fc.integer({ min: 1, max: 1500 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('rebase' as const), which: fc.nat(), to: fc.nat() }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('flatten' as const), kind: fc.constantFrom(...creatableKinds) }),
  },
);

/** A chain of disks beside what each of them must hold. */
class Chain {
  readonly links: Link[] = [];
  readonly folder: string;
  #names = 0;

  constructor(folder: string) {
    this.folder = folder;
  }

  get top(): Link {
    return this.links.at(-1) as Link;
  }

  newPath(): string {
    this.#names += 1;
    return join(this.folder, `disk-${this.#names}.vmdk`);
  }

  async run(step: Command): Promise<void> {
    switch (step.do) {
      case 'write':
        return this.#write(step);
      case 'trim':
        return this.#trim(step);
      case 'resize':
        return this.#resize(step.sectors * 512);
      case 'child':
        return this.#child(step);
      case 'commit':
        if (this.links.length < 2) return;
        assert.equal(await commitDisk({ path: this.top.path }), this.links.at(-2)?.path);
        this.links.splice(-2, 2, { path: (this.links.at(-2) as Link).path, content: this.top.content });
        return;
      case 'revert': {
        const parent = this.links.at(-2);
        if (!parent) return;
        for (const file of await diskFiles(this.top.path)) await rm(file);
        await createChild({ path: this.top.path, parent: parent.path });
        this.top.content = Buffer.from(parent.content);
        return;
      }
      case 'consolidate':
        return this.#consolidate(step.which % this.links.length, step.into);
      case 'rebase':
        return this.#rebase(step.which % this.links.length, step.to);
      case 'flatten':
        return this.#flatten(step.kind);
    }
  }

  async #write({ at, length, kind }: { at: number; length: number; kind: 0 | 1 | 2 }): Promise<void> {
    const { content, path } = this.top;
    const offset = at % content.length;
    const data = patterned(Math.min(length, content.length - offset), 7000, [kind, 0, kind]);
    const disk = await openDisk(path, { writable: true });
    await disk.write(offset, data);
    await disk.close();
    data.copy(content, offset);
  }

  async #trim({ at, length }: { at: number; length: number }): Promise<void> {
    const { content, path } = this.top;
    const offset = at % content.length;
    const end = Math.min(content.length, offset + length);
    const disk = await openDisk(path, { writable: true });
    await disk.trim?.(offset, end - offset);
    await disk.close();
    content.fill(0, offset, end);
  }

  async #resize(virtualBytes: number): Promise<void> {
    const { content, path } = this.top;
    const parent = this.links.at(-2);
    if (parent)
      await assert.rejects(resizeDisk({ path: parent.path, virtualBytes: 2 ** 30 }), { code: 'has-children' });
    const cutOff = content.subarray(virtualBytes).findIndex((byte) => byte !== 0);
    if (parent && virtualBytes < parent.content.length) {
      await assert.rejects(resizeDisk({ path, virtualBytes }), { code: 'size-invalid' });
    } else if (cutOff >= 0) {
      await assert.rejects(resizeDisk({ path, virtualBytes }), {
        code: 'not-empty',
        message: new RegExp(`byte ${virtualBytes + cutOff}\\)`),
      });
    } else {
      await resizeDisk({ path, virtualBytes });
      this.top.content = Buffer.concat([content], virtualBytes);
    }
  }

  async #child(step: { grainBytes: number; zeroedGrains: boolean; split: boolean }): Promise<void> {
    if (this.links.length >= 7) return;
    const path = this.newPath();
    await createChild({
      path,
      parent: this.top.path,
      grainBytes: step.grainBytes,
      zeroedGrains: step.zeroedGrains,
      kind: step.split ? 'twoGbMaxExtentSparse' : 'monolithicSparse',
      hint: step.zeroedGrains ? 'absolute' : 'relative',
    });
    this.links.push({ path, content: Buffer.from(this.top.content) });
  }

  async #consolidate(which: number, into: 'child' | 'parent'): Promise<void> {
    const last = which === this.links.length - 1;
    const path = this.links[which]?.path as string;
    if (last) {
      await assert.rejects(consolidateDisk({ path, into }), { code: 'no-children' });
    } else if (which === 0 && into === 'parent') {
      await assert.rejects(consolidateDisk({ path, into }), { code: 'parent-missing' });
    } else {
      await consolidateDisk({ path, into });
      const [gone] = this.links.splice(which, 1);
      const parent = this.links[which - 1];
      if (into === 'parent' && parent && gone) parent.content = gone.content;
    }
  }

  /** Gives a disk an ancestor further down, or none, as its parent; those between are no use any more. */
  async #rebase(which: number, to: number): Promise<void> {
    if (which === 0) return;
    const target = (to % (which + 1)) - 1;
    const parent = this.links[target];
    await rebaseDisk({ path: (this.links[which] as Link).path, ...(parent ? { parent: parent.path } : {}) });
    const between = this.links.splice(target + 1, which - target - 1);
    for (const { path } of between) for (const file of await diskFiles(path)) await rm(file);
  }

  async #flatten(kind: (typeof creatableKinds)[number]): Promise<void> {
    const path = this.newPath();
    await flattenDisk({ path: this.top.path, target: { path, kind } });
    const [copy, source] = [await openDisk(path), await openDisk(this.top.path)];
    assert.ok(this.top.content.equals(await copy.read(0, copy.virtualBytes)));
    assert.deepEqual(await compareDisks(copy, source), {
      identical: true,
      virtualBytes: [copy.virtualBytes, source.virtualBytes],
      differences: [],
      truncated: false,
    });
    await Promise.all([copy.close(), source.close()]);
    for (const file of await diskFiles(path)) await rm(file);
  }

  /** Every disk of the chain holds what it must, and the folder nothing but them. */
  async check(): Promise<void> {
    for (const { path, content } of this.links) {
      const disk = await openDisk(path);
      assert.equal(disk.virtualBytes, content.length);
      const found = await disk.read(0, content.length);
      const at = found.findIndex((byte, index) => byte !== content[index]);
      assert.equal(at, -1, `${path} differs at ${at}`);
      await disk.close();
    }
    const { sound, findings } = await checkDisk(this.top.path);
    // Room that was trimmed is a hole in the file, and a table that was outgrown stays where it was.
    const others = findings.filter(({ code }) => code !== 'grains-leaked' && code !== 'extent-long');
    assert.deepEqual({ sound, others }, { sound: true, others: [] });
    const files = await Promise.all(this.links.map(({ path }) => diskFiles(path)));
    const expected = files.flat().map((file) => file.slice(this.folder.length + 1));
    assert.deepEqual((await readdir(this.folder)).sort(), expected.sort());
  }
}

test('chains hold what a plain buffer holds, whatever is done to them', async (t) => {
  const root = await memoryFolder(t);
  let run = 0;
  const base = fc.record({ sectors: fc.integer({ min: 1, max: 900 }), kind: fc.constantFrom(...creatableKinds) });
  await fc.assert(
    fc.asyncProperty(base, fc.array(command, { maxLength: 14, size: 'max' }), async ({ sectors, kind }, commands) => {
      run += 1;
      const chain = new Chain(join(root, String(run)));
      await mkdir(chain.folder);
      const path = chain.newPath();
      await createDisk({ path, kind, virtualBytes: sectors * 512 });
      chain.links.push({ path, content: Buffer.alloc(sectors * 512) });
      // Something to hide and to inherit; a zero here would hide mistakes.
      await chain.run({ do: 'write', at: 0, length: sectors * 300, kind: 2 });
      for (const step of commands) {
        await chain.run(step);
        await chain.check();
      }
      await rm(chain.folder, { recursive: true });
    }),
    { numRuns: Number(process.env.HYPOSTYLE_RUNS ?? 40) },
  );
});
