/**
 * Conversion of disks, side by side with `qemu-img`, `cp` and `sha256sum`, in turns, on an image of a root file system:
 *
 *     node bench/disk.ts [--size MIB] [--rounds N] [--only PART,PART…] [--folder FOLDER] [--json]
 *
 * 2048 MiB and three rounds by default; medians. Each run is a process of its own, so that start and memory count. An
 * image of 20 GiB needs 40 GiB of room.
 */
import { execFileSync } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { convertDisk, openRawDisk } from '@hypostyle/vmdk';
import { packAppliance } from './disk/appliance.ts';
import { type Run, runContestant } from './disk/contestant.ts';
import { type Contest, contests } from './disk/contests.ts';
import { rootFileSystem } from './disk/image.ts';

const { values } = parseArgs({
  options: {
    size: { type: 'string', default: '2048' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
    folder: { type: 'string', default: tmpdir() },
    json: { type: 'boolean', default: false },
  },
});
const mebibyte = 2 ** 20;
const virtualBytes = Number(values.size) * mebibyte;

interface Result {
  readonly name: string;
  readonly against: string;
  /** Absent where it is not judged. */
  readonly aim?: number;
  readonly ratio: number;
  readonly seconds: readonly [ours: number, theirs: number];
  /** Bytes that the outcome takes on disk. */
  readonly storedBytes: readonly [ours: number, theirs: number];
  readonly peakMebibytes: readonly [ours: number, theirs: number];
  /** Longest time that ours kept its event loop from other work, in processor time. */
  readonly longestMilliseconds: number;
}

const folder = await mkdtemp(join(values.folder, 'bench-disk-'));
const cacheFolder = join(folder, 'compiled');
try {
  const fileBytes = await prepare();
  const results: Result[] = [];
  for (const contest of contests(folder)) {
    if (!values.only.split(',').some((part) => contest.name.includes(part))) continue;
    const outcomes = await compete(contest);
    for (const { name, against, ratio } of outcomes) console.error(`${name}, against ${against}: ${ratio.toFixed(2)}x`);
    results.push(...outcomes);
  }
  if (values.json) console.log(JSON.stringify({ virtualBytes, fileBytes, results }));
  else print(fileBytes, results);
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function prepare(): Promise<number> {
  const at = (name: string) => join(folder, name);
  const bytes = await rootFileSystem(at('disk.raw'), virtualBytes, at('files'));
  for (const [name, kind] of [
    ['stream.vmdk', 'streamOptimized'],
    ['sparse.vmdk', 'monolithicSparse'],
  ] as const) {
    const source = await openRawDisk(at('disk.raw'));
    await convertDisk({ source, target: { path: at(name), kind } });
    await source.close();
  }
  await packAppliance(at('stream.vmdk'), virtualBytes, at('appliance.ova'));
  // Ours write beside the page cache: nobody is to be the first who reads what lies on the medium alone.
  for (const name of ['disk.raw', 'stream.vmdk', 'sparse.vmdk', 'appliance.ova']) {
    for await (const _ of createReadStream(at(name), { highWaterMark: mebibyte }));
  }
  return bytes;
}

/** Runs all in turns, so that none gets the warmer cache or the quieter machine. */
async function compete(contest: Contest): Promise<Result[]> {
  const ours: Run[] = [];
  const ways = { ...contest.others, ...contest.beside };
  const others = new Map<string, Run[]>(Object.keys(ways).map((name) => [name, []]));
  const stored = new Map<string, number>();
  for (let round = 0; round < Number(values.rounds); round += 1) {
    for (const [name, words] of Object.entries(ways)) {
      others.get(name)?.push(await runContestant(words, cacheFolder));
      await settle(name, contest.makes?.theirs, contest.formats?.theirs, round);
    }
    ours.push(await runContestant(contest.ours, cacheFolder));
    await settle('', contest.makes?.ours, contest.formats?.ours, round);
  }
  return [...others].map(([against, theirs]) => {
    const seconds = [median(ours.map(secondsOf)), median(theirs.map(secondsOf))] as const;
    return {
      name: contest.name,
      against,
      ...(against in contest.others ? { aim: contest.aim } : {}),
      ratio: seconds[1] / seconds[0],
      seconds,
      storedBytes: [stored.get('') ?? 0, stored.get(against) ?? 0],
      peakMebibytes: [peakOf(ours), peakOf(theirs)],
      longestMilliseconds: Math.max(...ours.map(longestOf)),
    };
  });

  /** Measures what was made, compares it once with the image, and removes it. */
  async function settle(name: string, file?: string, format?: string, round = 0): Promise<void> {
    if (!file || !format) return;
    stored.set(name, (await stat(file)).blocks * 512);
    const image = join(folder, 'disk.raw');
    if (round === 0) execFileSync('qemu-img', ['compare', '-f', 'raw', '-F', format, image, file]);
    await rm(file);
  }
}

function secondsOf({ seconds }: Run): number {
  return seconds;
}

function longestOf({ output }: Run): number {
  return (JSON.parse(output) as { readonly longestMilliseconds: number }).longestMilliseconds;
}

function peakOf(runs: readonly Run[]): number {
  return Math.max(...runs.map(({ peakBytes }) => peakBytes)) / mebibyte;
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((left, right) => left - right)[Math.floor(numbers.length / 2)] as number;
}

function print(fileBytes: number, results: readonly Result[]): void {
  console.log(`image of ${values.size} MiB with ${(fileBytes / mebibyte).toFixed(0)} MiB of files`);
  const mib = (bytes: number) => (bytes === 0 ? '' : (bytes / mebibyte).toFixed(0));
  const rows = results.map(
    ({ name, against, ratio, aim, seconds, storedBytes, peakMebibytes, longestMilliseconds }) => [
      name,
      against,
      `${ratio.toFixed(2)}x`,
      aim === undefined || ratio >= aim ? '' : `aim ${aim}`,
      `${seconds.map((time) => time.toFixed(2)).join(' / ')} s`,
      storedBytes[0] === 0 ? '' : `${storedBytes.map(mib).join(' / ')} MiB`,
      `${peakMebibytes.map((peak) => peak.toFixed(0)).join(' / ')} MiB`,
      `${longestMilliseconds.toFixed(0)} ms`,
    ],
  );
  const all = [['', 'against', 'ratio', '', 'time', 'stored', 'peak memory', 'longest work'], ...rows];
  const widths = all[0]?.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0))) ?? [];
  for (const row of all)
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    );
}
