/**
 * Reading disks over NBD, side by side with `qemu-nbd` and `nbdkit`, in turns, on an image of a root file system:
 *
 *     node bench/nbd.ts [--size MIB] [--rounds N] [--folder FOLDER] [--json]
 *
 * 1024 MiB and three rounds by default; medians. The client is `nbdcopy`, which throws away what it reads; the file
 * system's cache is warm. nbdkit has no plugin that reads VMDK, and is given the flat extent.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { convertDisk, listNbdExports, openRawDisk } from '@hypostyle/vmdk';
import { rootFileSystem } from './disk/image.ts';

const { values } = parseArgs({
  options: {
    size: { type: 'string', default: '1024' },
    rounds: { type: 'string', default: '3' },
    folder: { type: 'string', default: tmpdir() },
    json: { type: 'boolean', default: false },
  },
});
const run = promisify(execFile);
const hypo = fileURLToPath(new URL('../packages/cli/bin/hypo.mjs', import.meta.url));
const mebibyte = 2 ** 20;
const virtualBytes = Number(values.size) * mebibyte;
const folder = await mkdtemp(join(values.folder, 'bench-nbd-'));
const at = (name: string) => join(folder, name);

type Server = (socket: string) => readonly string[];

interface Contest {
  readonly name: string;
  readonly ours: Server;
  readonly others: Readonly<Record<string, Server>>;
}

const serve =
  (disk: string): Server =>
  (socket) => [process.execPath, hypo, 'disk', 'serve', at(disk), '--socket', socket];
const qemuNbd =
  (disk: string): Server =>
  (socket) => ['qemu-nbd', '--read-only', '--persistent', '--shared=8', '-f', 'vmdk', '-k', socket, at(disk)];

const contests: readonly Contest[] = [
  {
    name: 'flat',
    ours: serve('flat.vmdk'),
    others: {
      'qemu-nbd': qemuNbd('flat.vmdk'),
      nbdkit: (socket) => ['nbdkit', '-f', '-r', '-U', socket, 'file', at('flat-flat.vmdk')],
    },
  },
  { name: 'streamOptimized', ours: serve('stream.vmdk'), others: { 'qemu-nbd': qemuNbd('stream.vmdk') } },
];

interface Read {
  readonly seconds: number;
  /** Peak memory of the server. */
  readonly mebibytes: number;
}

/** Starts a server, reads all of its disk, and ends it. */
async function read(server: Server): Promise<Read> {
  const socketPath = at('socket');
  const [program = '', ...args] = server(socketPath);
  const child = spawn(program, args, { stdio: 'ignore' });
  const exited = once(child, 'exit');
  try {
    while (!(await answers(socketPath))) {
      if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode}`);
      await sleep(20);
    }
    const start = performance.now();
    await run('nbdcopy', [`nbd+unix:///?socket=${socketPath}`, 'null:']);
    const seconds = (performance.now() - start) / 1000;
    const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
    return { seconds, mebibytes: Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024 };
  } finally {
    child.kill('SIGTERM');
    await exited;
    await rm(socketPath, { force: true });
  }
}

async function answers(socketPath: string): Promise<boolean> {
  return listNbdExports({ socketPath }).then(
    () => true,
    (error: unknown) => (error as { code?: string }).code !== 'nbd-unreachable',
  );
}

function median(reads: readonly Read[]): Read {
  return [...reads].sort((one, other) => one.seconds - other.seconds)[reads.length >> 1] as Read;
}

try {
  await rootFileSystem(at('disk.raw'), virtualBytes, at('files'));
  for (const [name, kind] of [
    ['flat.vmdk', 'monolithicFlat'],
    ['stream.vmdk', 'streamOptimized'],
  ] as const) {
    const source = await openRawDisk(at('disk.raw'));
    await convertDisk({ source, target: { path: at(name), kind } });
    await source.close();
  }
  const results = [];
  for (const { name, ours, others } of contests) {
    const reads = new Map<string, Read[]>();
    for (let round = 0; round < Number(values.rounds); round += 1) {
      for (const [who, server] of Object.entries({ hypostyle: ours, ...others })) {
        reads.set(who, [...(reads.get(who) ?? []), await read(server)]);
      }
    }
    const own = median(reads.get('hypostyle') ?? []);
    for (const against of Object.keys(others)) {
      const theirs = median(reads.get(against) ?? []);
      const result = { name, against, ratio: theirs.seconds / own.seconds, ours: own, theirs };
      results.push(result);
      if (values.json) continue;
      const speed = ({ seconds, mebibytes }: Read) =>
        `${Math.round(virtualBytes / mebibyte / seconds)} MiB/s with ${Math.round(mebibytes)} MiB`;
      console.log(`${name}: hypostyle ${speed(own)}, ${against} ${speed(theirs)}, ratio ${result.ratio.toFixed(2)}`);
    }
  }
  if (values.json) console.log(JSON.stringify({ virtualBytes, results }));
} finally {
  await rm(folder, { recursive: true, force: true });
}
