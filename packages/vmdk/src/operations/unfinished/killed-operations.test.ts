import assert from 'node:assert/strict';
import { cp, mkdir, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkDisk } from '../../check/check-disk.ts';
import { type CreatableKind, creatableKinds, createDisk } from '../../create/create-disk.ts';
import { openDisk } from '../../disk/open-disk.ts';
import { readRecord } from '../../disk/operation-record.ts';
import { memoryFolder, patterned } from '../../testing.ts';
import { gateFiles, mortal } from '../../testing-mortal.ts';
import { commitDisk } from '../chain/commit-disk.ts';
import { consolidateDisk } from '../chain/consolidate-disk.ts';
import { createChild } from '../chain/create-child.ts';
import { flattenDisk } from '../chain/flatten-disk.ts';
import { rebaseDisk } from '../chain/rebase-disk.ts';
import { resizeDisk } from '../size/resize-disk.ts';
import { finishOperation } from './finish-operation.ts';

const virtualBytes = 9 * 65536 + 512;

/** What each disk must hold. Disks that may be gone are not named. */
type Contents = Readonly<Record<string, Buffer>>;

interface Scenario {
  readonly name: string;
  /** Kind of the base, and of the rest of the chain; `monolithicSparse` unless told. */
  readonly base?: CreatableKind;
  readonly children?: 'monolithicSparse' | 'twoGbMaxExtentSparse';
  work(folder: string): Promise<unknown>;
  /** Disks that must be readable at every moment, by name. */
  readonly always: readonly string[];
  /** Disks in the end, and what each of them holds: the content that a disk had at the beginning. */
  readonly ends: Readonly<Record<string, string>>;
  /** Files in the end. */
  readonly files: readonly string[];
  /** The disk on which the record of the operation lies. */
  readonly record?: string;
}

async function write(path: string, changes: readonly (readonly [number, Buffer])[], content: Buffer): Promise<Buffer> {
  const disk = await openDisk(path, { writable: true });
  const result = Buffer.from(content);
  for (const [offset, data] of changes) {
    await disk.write(offset, data);
    data.copy(result, offset);
  }
  await disk.close();
  return result;
}

/** base ← middle ← top, and middle ← side. */
async function prepare(folder: string, { base: kind = 'monolithicSparse', children }: Scenario): Promise<Contents> {
  await mkdir(folder);
  const path = (name: string) => join(folder, `${name}.vmdk`);
  const layers = children === undefined ? {} : { kind: children };
  await createDisk({ path: path('base'), kind, virtualBytes });
  const base = await write(path('base'), [[0, patterned(5 * 65536, 30_000, [1, 2, 0])]], Buffer.alloc(virtualBytes));
  await createChild({ path: path('middle'), parent: path('base'), ...layers });
  const middle = await write(
    path('middle'),
    [
      [65536, patterned(65536, 4096, [2])],
      [3 * 65536, Buffer.alloc(65536)],
      [7 * 65536, patterned(100_000, 9000, [1, 0])],
    ],
    base,
  );
  await createChild({ path: path('top'), parent: path('middle'), ...layers });
  const top = await write(path('top'), [[65536 + 512, patterned(70_000, 3000, [2, 0])]], middle);
  await createChild({ path: path('side'), parent: path('middle'), ...layers });
  const side = await write(path('side'), [[virtualBytes - 512, patterned(512, 512, [1])]], middle);
  return { base, middle, top, side };
}

/** What is done in a chain whose children are of a kind. */
function ofChain(children: 'monolithicSparse' | 'twoGbMaxExtentSparse'): readonly Scenario[] {
  const extents = (...disks: readonly string[]) =>
    (children === 'monolithicSparse' ? disks : disks.flatMap((disk) => [`${disk}-s001`, disk])).map(
      (name) => `${name}.vmdk`,
    );
  const kind = { children, ...(children === 'monolithicSparse' ? {} : { base: children }) };
  const scenarios: readonly Scenario[] = [
    {
      name: 'a disk in the middle goes into its parent',
      work: (folder) => consolidateDisk({ path: join(folder, 'middle.vmdk'), into: 'parent' }),
      always: ['top', 'side'],
      ends: { base: 'middle', top: 'top', side: 'side' },
      files: extents('base', 'side', 'top'),
      record: 'middle',
    },
    {
      name: 'a disk in the middle goes into its children',
      work: (folder) => consolidateDisk({ path: join(folder, 'middle.vmdk'), into: 'child' }),
      always: ['base', 'top', 'side'],
      ends: { base: 'base', top: 'top', side: 'side' },
      files: extents('base', 'side', 'top'),
      record: 'middle',
    },
    {
      name: 'the base goes into its child',
      work: (folder) => consolidateDisk({ path: join(folder, 'base.vmdk') }),
      always: ['middle', 'top', 'side'],
      ends: { middle: 'middle', top: 'top', side: 'side' },
      files: extents('middle', 'side', 'top'),
      record: 'base',
    },
    {
      name: 'a disk gets another parent',
      work: (folder) => rebaseDisk({ path: join(folder, 'top.vmdk'), parent: join(folder, 'base.vmdk') }),
      always: ['base', 'middle', 'top', 'side'],
      ends: { base: 'base', middle: 'middle', top: 'top', side: 'side' },
      files: extents('base', 'middle', 'side', 'top'),
      record: 'top',
    },
  ];
  return scenarios.map((scenario) => ({ ...scenario, ...kind, name: `${scenario.name} (${children})` }));
}

const scenarios: readonly Scenario[] = [
  {
    name: 'a child is made',
    work: (folder) => createChild({ path: join(folder, 'new.vmdk'), parent: join(folder, 'top.vmdk') }),
    always: ['base', 'middle', 'top', 'side'],
    ends: { new: 'top' },
    files: ['base.vmdk', 'middle.vmdk', 'new.vmdk', 'side.vmdk', 'top.vmdk'],
  },
  ...(['vmfs', 'monolithicSparse', 'twoGbMaxExtentSparse'] as const).map((kind) => ({
    name: `a chain is flattened to ${kind}`,
    work: (folder: string) =>
      flattenDisk({ path: join(folder, 'top.vmdk'), target: { path: join(folder, 'new.vmdk'), kind } }),
    always: ['base', 'middle', 'top', 'side'],
    ends: { new: 'top' },
    files: [
      'base.vmdk',
      'middle.vmdk',
      ...(kind === 'vmfs' ? ['new-flat.vmdk'] : []),
      ...(kind === 'twoGbMaxExtentSparse' ? ['new-s001.vmdk'] : []),
      'new.vmdk',
      'side.vmdk',
      'top.vmdk',
    ],
  })),
  ...(['monolithicSparse', 'vmfs', 'twoGbMaxExtentSparse'] as const).map((base) => ({
    name: `a disk is committed into ${base}`,
    base,
    // Its other child is gone beforehand.
    work: async (folder: string) => {
      await rm(join(folder, 'side.vmdk'), { force: true });
      await rm(join(folder, 'top.vmdk'), { force: true });
      await commitDisk({ path: join(folder, 'middle.vmdk') });
    },
    always: [],
    ends: { base: 'middle' },
    files: [
      ...(base === 'vmfs' ? ['base-flat.vmdk'] : []),
      ...(base === 'twoGbMaxExtentSparse' ? ['base-s001.vmdk'] : []),
      'base.vmdk',
    ],
    record: 'middle',
  })),
  ...(['monolithicSparse', 'twoGbMaxExtentSparse'] as const).flatMap((children) => ofChain(children)),
];

/** Of small grains a table has 4 MiB. */
const beyondATable = 5 * 2 ** 20;

/** Grown, a disk has zeros at its end; shrunk, some less. */
for (const kind of creatableKinds) {
  for (const [name, before, after] of [
    ['grown', 3 * 65536 + 512, beyondATable],
    ['grown within its last grain', 3 * 65536 + 512, 3 * 65536 + 4096],
    ['shrunk', beyondATable, 2 * 65536 + 512],
  ] as const) {
    test(`a ${kind} disk is ${name}: killed at any step it has its old capacity or its new one`, async (t) => {
      const root = await memoryFolder(t);
      const [source, data] = [join(root, 'before'), patterned(100_000, 9000, [2, 1])];
      await mkdir(source);
      // Small grains: the directory grows too.
      const grains = kind.endsWith('Sparse') ? { grainBytes: 8192 } : {};
      await createDisk({ path: join(source, 'disk.vmdk'), kind, virtualBytes: before, ...grains });
      await write(join(source, 'disk.vmdk'), [[0, data]], Buffer.alloc(before));
      const files = (await readdir(source)).sort();
      const [old, now] = [Buffer.alloc(before), Buffer.alloc(after)];
      for (const content of [old, now]) data.copy(content);
      const end = Buffer.alloc(Math.min(300_000, after), 7);
      t.after(await gateFiles());
      for (let [steps, alive] = [0, false]; !alive; steps += 1) {
        const folder = join(root, `${steps}`);
        const path = join(folder, 'disk.vmdk');
        await cp(source, folder, { recursive: true });
        alive = await mortal(steps, () => resizeDisk({ path, virtualBytes: after }));
        const content = await contentOf(folder, 'disk');
        assert.ok(content.length === before || content.length === after, `${content.length} bytes, step ${steps}`);
        assert.ok(content.equals(content.length === before ? old : now), `killed at step ${steps}`);
        if (!alive && !(steps % 2 === 1 && (await finishOperation(path))))
          await resizeDisk({ path, virtualBytes: after });
        assert.ok(now.equals(await contentOf(folder, 'disk')), `in the end, killed at step ${steps}`);
        await expectSound(path, `killed at step ${steps}`);
        // All of it can be written, up to its last byte.
        const written = await write(path, [[after - end.length, end]], now);
        assert.ok(written.equals(await contentOf(folder, 'disk')), 'written');
        assert.deepEqual((await readdir(folder)).sort(), files);
        await rm(folder, { recursive: true });
      }
    });
  }
}

async function contentOf(folder: string, name: string): Promise<Buffer> {
  const disk = await openDisk(join(folder, `${name}.vmdk`));
  try {
    return await disk.read(0, disk.virtualBytes);
  } finally {
    await disk.close();
  }
}

for (const scenario of scenarios) {
  test(`${scenario.name}: killed at any step nothing is lost, and the next call finishes it`, async (t) => {
    const root = await memoryFolder(t);
    const contents = await prepare(join(root, 'before'), scenario);
    t.after(await gateFiles());
    let steps = 0;
    for (let alive = false; !alive; steps += 1) {
      const folder = join(root, `${steps}`);
      await cp(join(root, 'before'), folder, { recursive: true });
      alive = await mortal(steps, async () => {
        await scenario.work(folder);
      });
      const moment = `killed at step ${steps}`;
      for (const name of scenario.always) {
        assert.ok((contents[name] as Buffer).equals(await contentOf(folder, name)), `${name}, ${moment}`);
      }
      const names = await readdir(folder);
      // What has its name is whole.
      if (names.includes('new.vmdk')) assert.ok((contents.top as Buffer).equals(await contentOf(folder, 'new')));
      if (!alive) {
        await bury(folder);
        // Even steps are run again, odd ones finished by whoever finds the record.
        const found =
          scenario.record && steps % 2 === 1 && (await finishOperation(join(folder, `${scenario.record}.vmdk`)));
        if (!found) await scenario.work(folder).catch((error: unknown) => tellGone(error, moment));
      }
      for (const [name, source] of Object.entries(scenario.ends)) {
        assert.ok((contents[source] as Buffer).equals(await contentOf(folder, name)), `${name} in the end, ${moment}`);
        await expectSound(join(folder, `${name}.vmdk`), moment);
      }
      if (scenario.record) assert.equal(await readRecord(join(folder, `${scenario.record}.vmdk`)), undefined);
      assert.deepEqual((await readdir(folder)).sort(), scenario.files, moment);
      await rm(folder, { recursive: true });
    }
    assert.ok(steps > 8, `${steps} steps`);
  });
}

/** Nothing is wrong but that a grain which the last step made may be nobody's. */
async function expectSound(path: string, moment: string): Promise<void> {
  const { sound, findings } = await checkDisk(path);
  const others = findings.filter(({ code }) => code !== 'grains-leaked' && code !== 'extent-long');
  assert.deepEqual({ sound, others }, { sound: true, others: [] }, moment);
}

/** Makes what a disk in the making says about its process true: it lives no more, and since long. */
async function bury(folder: string): Promise<void> {
  for (const name of (await readdir(folder)).filter((entry) => entry.endsWith('.partial'))) {
    const owner = join(folder, name, '.owner.json');
    const names = await readdir(join(folder, name));
    if (names.includes('.owner.json')) {
      await writeFile(owner, JSON.stringify({ host: hostname(), pid: process.pid, started: 'before' }));
    }
    await utimes(join(folder, name), 0, 0);
  }
}

/** The only failure that running it again may end with: that it had been finished. */
function tellGone(error: unknown, moment: string): void {
  assert.ok(
    error instanceof Error && 'code' in error && ['exists', 'io-failed'].includes(String(error.code)),
    String(error),
  );
  assert.match(error.message, /already exists|no such file/, moment);
}
