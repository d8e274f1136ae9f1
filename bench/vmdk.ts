/**
 * Side by side with `qemu-img convert`: writing and reading a streamOptimized disk.
 * `node bench/vmdk.ts [MiB]`, 256 MiB by default, a third of it holes; medians of three rounds in turns.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, open, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createFlatDisk, inflateToFlat, openDisk, writeStreamOptimized } from '@hypostyle/vmdk';

const mebibyte = 2 ** 20;
const rounds = 3;
const size = Number(process.argv[2] ?? 256) * mebibyte;
const folder = await mkdtemp(join(process.env.BENCH_FOLDER ?? tmpdir(), 'bench-vmdk-'));
const at = (name: string) => join(folder, name);

/** Like a guest's disk: runs of text-like, binary and empty megabytes. */
async function fill(path: string): Promise<void> {
  const words = Array.from({ length: 4096 }, () => randomBytes(3).toString('hex'));
  const handle = await open(path, 'r+');
  for (let offset = 0, turn = 0; offset < size; offset += mebibyte, turn += 1) {
    if (turn % 3 === 2) continue;
    const data = Buffer.alloc(mebibyte);
    const random = randomBytes(mebibyte / 4);
    for (let place = 0, index = 0; place < mebibyte; index += 2) {
      const word = words[random.readUInt16LE(index % (random.length - 1)) % words.length] as string;
      place +=
        turn % 3 === 0
          ? data.write(word, place, 'latin1')
          : random.copy(data, place, index % 1024, (index % 1024) + 4) + 4;
    }
    await handle.write(data, 0, data.length, offset);
  }
  await handle.close();
}

async function timed(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

function report(what: string, ours: number, theirs: number): void {
  const speed = (seconds: number) => `${(size / mebibyte / seconds).toFixed(0)} MiB/s`;
  console.log(`${what}: hypostyle ${speed(ours)}, qemu-img ${speed(theirs)}, ratio ${(theirs / ours).toFixed(2)}`);
}

interface Contest {
  readonly what: string;
  readonly ours: () => unknown;
  readonly theirs: () => unknown;
}

/** Runs both in turns, so that neither gets the warmer cache, and reports the median of each. */
async function compete(contest: Contest): Promise<void> {
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    theirs.push(await timed(contest.theirs));
    ours.push(await timed(contest.ours));
  }
  report(contest.what, median(ours), median(theirs));
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] as number;
}

const qemuImg = 'qemu-img';
const convert = (...options: string[]) => execFileSync(qemuImg, ['convert', ...options]);

try {
  await createFlatDisk({ path: at('disk.vmdk'), virtualBytes: size, createType: 'monolithicFlat' });
  await fill(at('disk-flat.vmdk'));
  const disk = await openDisk(at('disk.vmdk'));
  await compete({
    what: 'write streamOptimized',
    ours: () => pipeline(Readable.from(writeStreamOptimized(disk)), createWriteStream(at('ours.vmdk'))),
    theirs: () =>
      convert('-f', 'raw', '-O', 'vmdk', '-o', 'subformat=streamOptimized', at('disk-flat.vmdk'), at('qemu.vmdk')),
  });
  await disk.close();
  const sizes = await Promise.all(['ours.vmdk', 'qemu.vmdk'].map(async (name) => (await stat(at(name))).size));
  console.log(`  bytes: ${sizes.join(' and ')}`);

  // Ours is durable when it is done; `-t writeback` asks the same of qemu-img.
  const theirs = () => convert('-t', 'writeback', '-f', 'vmdk', '-O', 'raw', at('ours.vmdk'), at('qemu.raw'));
  await compete({
    what: 'read streamOptimized as a stream',
    ours: () =>
      inflateToFlat(createReadStream(at('ours.vmdk'), { highWaterMark: mebibyte }), at('ours.raw'), {
        capacityBytes: size,
      }),
    theirs,
  });
  await compete({
    what: 'read streamOptimized as a file',
    ours: async () => {
      const seekable = await openDisk(at('ours.vmdk'));
      await inflateToFlat(seekable, at('seek.raw'), { capacityBytes: size });
      await seekable.close();
    },
    theirs,
  });
  for (const name of ['ours.raw', 'seek.raw']) {
    execFileSync(qemuImg, ['compare', '-f', 'raw', '-F', 'raw', at('disk-flat.vmdk'), at(name)]);
  }
  console.log(`memory: ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MiB at most`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
