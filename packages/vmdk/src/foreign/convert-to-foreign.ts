import { mkdtemp, open, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConvertResult, convertDisk } from '../convert/convert-disk.ts';
import { type ConvertSource, isDisk } from '../convert/convert-source.ts';
import type { ConvertProgress } from '../convert/copy-disk.ts';
import { StagedFiles } from '../convert/staged-files.ts';
import type { Disk } from '../disk/disk.ts';
import { nbdUri } from '../nbd/address.ts';
import { NbdServer } from '../nbd/nbd-server.ts';
import type { ForeignFormat } from './foreign-format.ts';
import { openRawDisk } from './open-raw-disk.ts';
import { runTool } from './qemu-tool.ts';

export interface ConvertToForeignOptions {
  readonly source: ConvertSource;
  readonly target: { readonly path: string; readonly format: ForeignFormat; readonly overwrite?: boolean };
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: ConvertProgress) => void;
}

/**
 * Makes an image of another format with the bytes of a disk: `qemu-img` writes it, and reads the disk over NBD. Names and
 * leftovers as with `convertDisk`. A disk that comes as a stream is put into a raw file beside the target first.
 */
export async function convertToForeign(options: ConvertToForeignOptions): Promise<ConvertResult> {
  const { source, target, signal } = options;
  signal?.throwIfAborted();
  const staged = await StagedFiles.open(target.path, { overwrite: target.overwrite ?? false });
  try {
    await (isDisk(source) ? write(source, staged, options) : writeFromFile(staged, options));
    signal?.throwIfAborted();
    const storedBytes = await durable(staged.path);
    const files = await staged.place();
    return { virtualBytes: source.virtualBytes, storedBytes, files };
  } catch (error) {
    await staged.discard();
    throw error;
  }
}

async function writeFromFile(staged: StagedFiles, options: ConvertToForeignOptions): Promise<void> {
  const { source, signal } = options;
  const path = `${staged.path}.raw`;
  await convertDisk({ source, target: { path, kind: 'raw' }, ...(signal ? { signal } : {}) });
  const disk = await openRawDisk(path);
  try {
    await write(disk, staged, options);
  } finally {
    await disk.close();
    await rm(path, { force: true });
  }
}

async function write(disk: Disk, staged: StagedFiles, options: ConvertToForeignOptions): Promise<void> {
  const { target, signal, onProgress } = options;
  const totalBytes = disk.virtualBytes;
  const folder = await mkdtemp(join(tmpdir(), 'hypo-'));
  const socketPath = join(folder, 'nbd');
  let failure: unknown;
  const server = new NbdServer({
    exports: { find: () => ({ disk }) },
    onFailure: (error) => {
      failure ??= error;
    },
  });
  try {
    await server.listenUnix(socketPath);
    const words = ['convert', '-p', '-t', 'writeback', '-f', 'raw', '-O', target.format];
    const { ended } = runTool('qemu-img', [...words, nbdUri({ socketPath }, 'disk'), staged.path], {
      file: target.path,
      ...(signal ? { signal } : {}),
      // `    (42.00/100%)` over and over.
      onOutput: (text) => {
        const percent = text.match(/(\d+\.\d+)\/100%/g)?.at(-1);
        if (percent)
          onProgress?.({ doneBytes: Math.floor((totalBytes * Number.parseFloat(percent)) / 100), totalBytes });
      },
    });
    await ended;
  } catch (error) {
    // The disk's own failure says more than that of a client that did not get its bytes.
    throw signal?.aborted ? error : (failure ?? error);
  } finally {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function durable(path: string): Promise<number> {
  const handle = await open(path, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
  return (await stat(path)).blocks * 512;
}
