import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkDisk } from '../check/check-disk.ts';
import { repairDisk } from '../check/repair-disk.ts';
import { createDisk } from '../create/create-disk.ts';
import { openDisk } from '../disk/open-disk.ts';
import { createChild } from '../operations/chain/create-child.ts';
import { memoryFolder, patterned } from '../testing.ts';
import { PowerRecording } from '../testing-power.ts';

const grain = 65536;
const virtualBytes = 6 * grain;

type Step =
  | { readonly kind: 'write' | 'trim'; readonly offset: number; readonly length: number; readonly value: number }
  | { readonly kind: 'flush' };

const sectors = virtualBytes / 512;
const step = fc.oneof(
  { weight: 4, arbitrary: piece('write') },
  { weight: 1, arbitrary: piece('trim') },
  { weight: 2, arbitrary: fc.constant<Step>({ kind: 'flush' }) },
);

function piece(kind: 'write' | 'trim'): fc.Arbitrary<Step> {
  return fc
    .record({
      at: fc.nat(sectors - 1),
      count: fc.integer({ min: 1, max: 200 }),
      value: fc.integer({ min: 1, max: 255 }),
    })
    .map(({ at, count, value }) => ({
      kind,
      offset: at * 512,
      length: Math.min(count, sectors - at) * 512,
      value,
    }));
}

/** What each sector may hold: what was flushed last, or what was written since. */
class Model {
  readonly #sectors: Set<string>[];
  readonly #now: Buffer;

  constructor(content: Buffer) {
    this.#now = Buffer.from(content);
    this.#sectors = Array.from({ length: content.length / 512 }, (_, index) => new Set([this.#key(content, index)]));
  }

  write(data: Buffer, offset: number): void {
    data.copy(this.#now, offset);
    for (let index = offset / 512; index < (offset + data.length) / 512; index += 1)
      this.#sectors[index]?.add(this.#key(this.#now, index));
  }

  flush(): void {
    for (const [index, allowed] of this.#sectors.entries()) {
      allowed.clear();
      allowed.add(this.#key(this.#now, index));
    }
  }

  check(content: Buffer, where: string): void {
    for (const [index, allowed] of this.#sectors.entries()) {
      assert.ok(allowed.has(this.#key(content, index)), `${where}: sector ${index} holds what was never written there`);
    }
  }

  #key(content: Buffer, index: number): string {
    return content.toString('latin1', index * 512, (index + 1) * 512);
  }
}

test('after a loss of power a sparse disk holds what was flushed, and is whole or repaired', async (t) => {
  const folder = await memoryFolder(t);
  let round = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 2, maxLength: 12 }),
      fc.boolean(),
      fc.boolean(),
      fc.nat(1000),
      fc.array(fc.boolean(), { minLength: 40, maxLength: 200 }),
      async (steps, child, zeroed, cut, coins) => {
        round += 1;
        const home = join(folder, `${round}`);
        await mkdir(home);
        const base = join(home, 'base.vmdk');
        await createDisk({
          path: base,
          kind: 'monolithicSparse',
          virtualBytes,
          ...(zeroed ? { zeroedGrains: true } : {}),
        });
        const content = patterned(virtualBytes, 30_000, [1, 2, 0]);
        const making = await openDisk(base, { writable: true });
        await making.write(0, content.subarray(0, 4 * grain));
        await making.close();
        content.fill(0, 4 * grain);
        const path = child ? join(home, 'child.vmdk') : base;
        if (child) await createChild({ path, parent: base });
        const before = await readFile(path);
        const recording = await PowerRecording.begin(home);
        const states: { readonly changes: number; readonly done: number }[] = [];
        try {
          const disk = await openDisk(path, { writable: true });
          states.push({ changes: recording.changes.length, done: 0 });
          for (const [index, one] of steps.entries()) {
            if (one.kind === 'flush') await disk.flush();
            else if (one.kind === 'trim') await disk.trim?.(one.offset, one.length);
            else await disk.write(one.offset, Buffer.alloc(one.length, one.value));
            states.push({ changes: recording.changes.length, done: index + 1 });
          }
          await disk.close();
        } finally {
          recording.end();
        }
        const first = states[0]?.changes ?? 0;
        const end = first + (cut % (recording.changes.length - first + 1));
        const model = new Model(content);
        for (const [index, one] of steps.entries()) {
          const began = states[index]?.changes ?? 0;
          const ended = states[index + 1]?.changes ?? 0;
          // A step that was begun may be there in part; a flush counts once it was answered.
          if (began > end) break;
          if (one.kind === 'flush') {
            if (ended <= end) model.flush();
          } else model.write(Buffer.alloc(one.length, one.kind === 'trim' ? 0 : one.value), one.offset);
        }
        let turn = 0;
        const kept = () => coins[turn++ % coins.length] ?? false;
        await writeFile(
          path,
          recording.mediumAfter(new Map([[basename(path), before]]), end, kept).get(basename(path)) as Buffer,
        );
        const { findings } = await checkDisk(path);
        await repairDisk(path);
        const after = await openDisk(path, { writable: true });
        model.check(await after.read(0, virtualBytes), `cut at ${end} of ${recording.changes.length}`);
        await after.close();
        const left = (await checkDisk(path)).findings.filter(({ severity }) => severity === 'error');
        assert.deepEqual(left, [], `after ${findings.map(({ code }) => code).join(' ')}`);
      },
    ),
    { numRuns: Number(process.env.HYPOSTYLE_RUNS ?? 40) },
  );
});
