import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { repairDisk } from '../../check/repair-disk.ts';
import { type CreatableKind, createDisk } from '../../create/create-disk.ts';
import { openDisk } from '../../disk/open-disk.ts';
import { readRecord } from '../../disk/operation-record.ts';
import { memoryFolder, patterned } from '../../testing.ts';
import { type Medium, PowerRecording } from '../../testing-power.ts';
import { thickenDisk, thinDisk } from '../allocation/change-allocation.ts';
import { commitDisk } from '../chain/commit-disk.ts';
import { consolidateDisk } from '../chain/consolidate-disk.ts';
import { createChild } from '../chain/create-child.ts';
import { rebaseDisk } from '../chain/rebase-disk.ts';
import { resizeDisk } from '../size/resize-disk.ts';
import { finishOperation } from './finish-operation.ts';

const grain = 65536;
const virtualBytes = 6 * grain;
/** A split disk gets another extent here. */
const extentBytes = 2047 * 2 ** 20;

const names = ['base', 'middle', 'top'] as const;
type Name = (typeof names)[number];
type Contents = Partial<Readonly<Record<Name, Buffer>>>;

interface Scenario {
  /** Disks of the chain: the base, what is made on it, and so on. */
  readonly chain: readonly Name[];
  readonly base?: CreatableKind;
  readonly children?: 'monolithicSparse' | 'twoGbMaxExtentSparse';
  /** Capacity of the base where it is not that of the content. */
  readonly virtualBytes?: number;
  readonly grainBytes?: number;
  /** The disk that is worked on, and whose record is to be finished. */
  readonly on: Name;
  work(path: string, folder: string): Promise<unknown>;
  /** What a disk may show besides its own content: that of the one that went into it. */
  readonly takes?: Partial<Readonly<Record<Name, Name>>>;
  /** That room is given back, or reserved, is not a write. */
  readonly unrecorded?: boolean;
}

const kinds = ['monolithicSparse', 'vmfs', 'twoGbMaxExtentSparse', 'twoGbMaxExtentFlat'] as const;
const flatKinds = ['vmfs', 'monolithicFlat', 'twoGbMaxExtentFlat'] as const;
const sparseKinds = ['monolithicSparse', 'twoGbMaxExtentSparse'] as const;

const scenarios: Readonly<Record<string, Scenario>> = {
  ...each(kinds, 'growing', (base) => ({
    base,
    // Small grains: the directory grows too.
    ...(base.endsWith('Sparse') ? { grainBytes: 8192 } : {}),
    chain: ['base'],
    on: 'base',
    work: (path) => resizeDisk({ path, virtualBytes: virtualBytes + 2 ** 22 }),
  })),
  ...each(kinds, 'shrinking', (base) => ({
    base,
    chain: ['base'],
    on: 'base',
    work: (path) => resizeDisk({ path, virtualBytes: 4 * grain }),
  })),
  'growing by an extent of a twoGbMaxExtentSparse disk': {
    base: 'twoGbMaxExtentSparse',
    virtualBytes: extentBytes - 2 * grain,
    chain: ['base'],
    on: 'base',
    work: (path) => resizeDisk({ path, virtualBytes: extentBytes + 3 * grain }),
  },
  'giving up an extent of a twoGbMaxExtentSparse disk': {
    base: 'twoGbMaxExtentSparse',
    virtualBytes: extentBytes + 3 * grain,
    chain: ['base'],
    on: 'base',
    work: (path) => resizeDisk({ path, virtualBytes: extentBytes - 2 * grain }),
  },
  ...each(kinds, 'thinning', (base) => ({
    base,
    chain: ['base'],
    on: 'base',
    work: (path) => thinDisk({ path }),
    unrecorded: true,
  })),
  ...each(flatKinds, 'reserving all room', (base) => ({
    base,
    chain: ['base'],
    on: 'base',
    work: (path) => thickenDisk({ path }),
    unrecorded: true,
  })),
  ...each(flatKinds, 'inflating with zeros', (base) => ({
    base,
    chain: ['base'],
    on: 'base',
    work: (path) => thickenDisk({ path, allocation: 'eager' }),
  })),
  ...each(kinds, 'committing into', (base) => ({
    base,
    chain: ['base', 'middle'],
    on: 'middle',
    work: (path) => commitDisk({ path }),
    takes: { base: 'middle' },
  })),
  ...each(kinds, 'consolidating into the parent', (base) => ({
    base,
    chain: ['base', 'middle', 'top'],
    on: 'middle',
    work: (path) => consolidateDisk({ path, into: 'parent' }),
    takes: { base: 'middle' },
  })),
  ...each(sparseKinds, 'consolidating into the child', (children) => ({
    children,
    chain: ['base', 'middle', 'top'],
    on: 'middle',
    work: (path) => consolidateDisk({ path, into: 'child' }),
  })),
  ...each(sparseKinds, 'putting on the base', (children) => ({
    children,
    chain: ['base', 'middle', 'top'],
    on: 'top',
    work: (path, folder) => rebaseDisk({ path, parent: join(folder, 'base.vmdk') }),
  })),
  ...each(sparseKinds, 'making independent', (children) => ({
    children,
    chain: ['base', 'middle', 'top'],
    on: 'top',
    work: (path) => rebaseDisk({ path }),
  })),
};

function each<Kind extends string>(
  all: readonly Kind[],
  name: string,
  scenario: (kind: Kind) => Scenario,
): Record<string, Scenario> {
  return Object.fromEntries(all.map((kind) => [`${name} of a ${kind} disk`, scenario(kind)]));
}

/** The chain of a scenario, and what each of its disks shows. The last two grains of the base are zeros. */
async function prepare(folder: string, { chain, base = 'monolithicSparse', ...more }: Scenario): Promise<Contents> {
  await mkdir(folder);
  const contents: Partial<Record<Name, Buffer>> = {};
  let content = patterned(virtualBytes, 30_000, [1, 2, 0]).fill(0, 4 * grain);
  for (const [index, name] of chain.entries()) {
    const path = join(folder, `${name}.vmdk`);
    const parent = chain[index - 1];
    if (parent === undefined) {
      // A descriptor of more than one sector.
      const ddb = { note: 'x'.repeat(400) };
      const grains = more.grainBytes === undefined ? {} : { grainBytes: more.grainBytes };
      await createDisk({ path, kind: base, virtualBytes: more.virtualBytes ?? virtualBytes, ddb, ...grains });
    } else {
      await createChild({ path, parent: join(folder, `${parent}.vmdk`), kind: more.children ?? 'monolithicSparse' });
      content = Buffer.from(content).fill(9 + index, index * grain, (index + 1) * grain + 512);
    }
    const disk = await openDisk(path, { writable: true });
    if (parent === undefined) await disk.write(0, content.subarray(0, 4 * grain));
    else await disk.write(index * grain, content.subarray(index * grain, (index + 1) * grain + 512));
    await disk.close();
    contents[name] = content;
  }
  return contents;
}

/** The beginning of what a disk shows; the rest must be zeros, or is not there. */
async function read(path: string): Promise<Buffer> {
  const disk = await openDisk(path);
  try {
    const found = await disk.read(0, Math.min(disk.virtualBytes, virtualBytes));
    for await (const { offset, length, state } of disk.map()) {
      if (state !== 'data' || offset + length <= virtualBytes) continue;
      const start = Math.max(offset, virtualBytes);
      const rest = await disk.read(start, Math.min(offset + length - start, 2 ** 22));
      assert.ok(
        rest.every((byte) => byte === 0),
        `zeros behind byte ${start}`,
      );
    }
    return found;
  } finally {
    await disk.close();
  }
}

/** Whether one is the other, as far as both reach, and zeros from there. */
function shows(found: Buffer, expected: Buffer): boolean {
  const common = Math.min(found.length, expected.length);
  return (
    found.subarray(0, common).equals(expected.subarray(0, common)) &&
    [...found.subarray(common), ...expected.subarray(common)].every((byte) => byte === 0)
  );
}

async function mediumOf(folder: string): Promise<Medium> {
  const medium = new Map<string, Buffer>();
  for (const name of await readdir(folder)) medium.set(name, await readFile(join(folder, name)));
  return medium;
}

for (const [name, scenario] of Object.entries(scenarios)) {
  test(`after a loss of power while ${name} the disks are old or new, and the same call finishes it`, async (t) => {
    const folder = await memoryFolder(t);
    const home = join(folder, 'home');
    const contents = await prepare(home, scenario);
    const before = await mediumOf(home);
    const recording = await PowerRecording.begin(home);
    try {
      await scenario.work(join(home, `${scenario.on}.vmdk`), home);
    } finally {
      recording.end();
    }
    if (scenario.unrecorded !== true)
      assert.deepEqual(
        recording.mediumAfter(before, recording.changes.length, () => true),
        await mediumOf(home),
      );
    await fc.assert(
      fc.asyncProperty(
        fc.nat(recording.changes.length),
        fc.boolean(),
        fc.array(fc.boolean(), { minLength: 30, maxLength: 90 }),
        async (end, repairFirst, coins) => {
          // Where it was: records name their files by absolute paths.
          await rm(home, { recursive: true });
          await mkdir(home);
          let turn = 0;
          const medium = recording.mediumAfter(before, end, () => coins[turn++ % coins.length] ?? false);
          for (const [file, bytes] of medium) await writeFile(join(home, file), bytes);
          const on = join(home, `${scenario.on}.vmdk`);
          const where = `cut at ${end} of ${recording.changes.length}`;
          const repairAll = async () => {
            const there = await readdir(home);
            for (const disk of names.filter((known) => there.includes(`${known}.vmdk`)))
              await repairDisk(join(home, `${disk}.vmdk`));
          };
          if (repairFirst) await repairAll();
          // What an unfinished operation left is dealt with by it, or by a repair before it.
          await finishOperation(on).catch(() => undefined);
          await repairAll();
          await finishOperation(on);
          assert.equal(await readRecord(on), undefined, where);
          const there = await readdir(home);
          for (const disk of scenario.chain) {
            const gone = !there.includes(`${disk}.vmdk`);
            if (gone) assert.equal(disk, scenario.on, where);
            if (gone) continue;
            const found = await read(join(home, `${disk}.vmdk`));
            const taken = scenario.takes?.[disk];
            // Once what it takes is gone it must show that.
            const wanted = taken !== undefined && !there.includes(`${taken}.vmdk`) ? taken : disk;
            const halfway = taken !== undefined && wanted === disk;
            const good = shows(found, contents[wanted] as Buffer);
            assert.ok(good || halfway, `${where}: ${disk} shows something else`);
          }
        },
      ),
      { numRuns: Number(process.env.HYPOSTYLE_RUNS ?? 15) },
    );
  });
}
