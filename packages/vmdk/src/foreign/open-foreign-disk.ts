import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ForwardingDisk } from '../decorators/forwarding-disk.ts';
import type { Disk } from '../disk/disk.ts';
import { VmdkError } from '../errors.ts';
import { openNbdDisk } from '../nbd/open-nbd-disk.ts';
import { type ForeignFormat, refuseReferences } from './foreign-format.ts';
import { runTool, type ToolRun } from './qemu-tool.ts';

const startMilliseconds = 30_000;
const lookMilliseconds = 10;

export interface OpenForeignOptions {
  /** Lets the image draw on other files. Default false: `outside-folder`. */
  readonly allowReferences?: boolean;
  readonly signal?: AbortSignal;
}

/** Opens an image of another format for reading, through `qemu-storage-daemon`, which runs until it is closed. */
export async function openForeignDisk(
  path: string,
  format: ForeignFormat,
  options: OpenForeignOptions = {},
): Promise<Disk> {
  const { allowReferences = false, signal } = options;
  if (!allowReferences) await refuseReferences(path, format);
  const folder = await mkdtemp(join(tmpdir(), 'hypo-'));
  const socketPath = join(folder, 'nbd');
  const image = {
    driver: format,
    'node-name': 'disk',
    'read-only': true,
    file: { driver: 'file', filename: resolve(path), 'read-only': true },
    // Whatever the header says by the time that it is opened.
    ...(!allowReferences && (format === 'qcow2' || format === 'qcow' || format === 'qed') ? { backing: null } : {}),
  };
  const words = [
    ...['--blockdev', JSON.stringify(image)],
    ...['--nbd-server', `addr.type=unix,addr.path=${socketPath}`],
    ...['--export', 'type=nbd,id=export,node-name=disk,name=disk'],
  ];
  const daemon = runTool('qemu-storage-daemon', words, { file: path, ...(signal ? { signal } : {}) });
  try {
    await listening(daemon, socketPath, path);
    const disk = await openNbdDisk({ socketPath }, 'disk', signal ? { signal } : {});
    return new ForeignDisk(disk, path, () => end(daemon, folder));
  } catch (error) {
    await end(daemon, folder);
    throw error;
  }
}

/** A disk behind a daemon of its own. */
class ForeignDisk extends ForwardingDisk {
  override readonly path: string;
  readonly #end: () => Promise<void>;

  constructor(disk: Disk, path: string, end: () => Promise<void>) {
    super(disk);
    this.path = path;
    this.#end = end;
  }

  override async close(): Promise<void> {
    try {
      await super.close();
    } finally {
      await this.#end();
    }
  }
}

async function listening({ ended }: ToolRun, socketPath: string, file: string): Promise<void> {
  const late = performance.now() + startMilliseconds;
  const early = ended.then(() => {
    throw new VmdkError('tool-failed', { file, reason: 'qemu-storage-daemon ended at once' });
  });
  early.catch(() => undefined);
  for (;;) {
    const there = await access(socketPath).then(
      () => true,
      () => false,
    );
    if (there) return;
    if (performance.now() > late) {
      throw new VmdkError('tool-failed', { file, reason: 'qemu-storage-daemon did not start' });
    }
    await Promise.race([early, sleep(lookMilliseconds)]);
  }
}

async function end({ child, ended }: ToolRun, folder: string): Promise<void> {
  child.kill('SIGKILL');
  await ended.catch(() => undefined);
  await rm(folder, { recursive: true, force: true });
}
