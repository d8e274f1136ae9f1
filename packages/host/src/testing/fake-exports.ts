import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BlockLayer, DiskExport } from '@hypostyle/contracts';
import { changeMapOf, type Disk, type NbdExport, NbdServer } from '@hypostyle/vmdk';
import { blockBytes, readFakeBlock, writeFakeBlock } from './fake-disks.ts';
import { fakeChangedBlocks } from './fake-generations.ts';

export interface FakeExportOptions {
  readonly generations?: readonly string[];
  readonly writable?: boolean;
  /** An engine has the disk. */
  readonly open?: boolean;
}

/** Disks of the fakes over NBD, as real clients read them. */
export class FakeExports {
  readonly #exports = new Map<string, NbdExport>();
  #server: Promise<{ readonly server: NbdServer; readonly folder: string }> | undefined;
  #made = 0;

  /** Exports a disk; its layers are asked for at each read. */
  async add(layersNow: () => readonly BlockLayer[], options: FakeExportOptions = {}): Promise<DiskExport> {
    const { generations = [], writable = false, open = false } = options;
    const disk = fakeDisk(layersNow, writable);
    const changeMaps = generations.map((name) => {
      const blocks = fakeChangedBlocks(layersNow(), name, open);
      const changed = blocks.map((block) => ({ offset: block * blockBytes, length: blockBytes }));
      return changeMapOf(name, disk.virtualBytes, changed);
    });
    this.#server ??= this.#listen();
    const { folder } = await this.#server;
    this.#made += 1;
    const exportName = `disk-${this.#made}`;
    this.#exports.set(exportName, { disk, writable, changeMaps });
    const close = async () => void this.#exports.delete(exportName);
    return { socketPath: join(folder, 'nbd'), exportName, close };
  }

  async close(): Promise<void> {
    const served = await this.#server;
    this.#server = undefined;
    if (served === undefined) return;
    await served.server.close();
    await rm(served.folder, { recursive: true, force: true });
  }

  async #listen() {
    const folder = await mkdtemp(join(tmpdir(), 'fake-nbd-'));
    const server = new NbdServer({ exports: { find: (name) => this.#exports.get(name) } });
    await server.listenUnix(join(folder, 'nbd'));
    return { server, folder };
  }
}

/** The first byte of each block is what the fakes know; the others are those of the file below. */
function fakeDisk(layersNow: () => readonly BlockLayer[], writable: boolean): Disk {
  const base = layersNow().at(-1) as BlockLayer;
  const virtualBytes = statSync(base.path).size;
  const readInto = (buffer: Uint8Array, offset: number) => {
    const file = openSync(base.path, 'r');
    try {
      readSync(file, buffer, 0, buffer.length, offset);
    } finally {
      closeSync(file);
    }
    for (let block = Math.ceil(offset / blockBytes); block * blockBytes < offset + buffer.length; block += 1) {
      buffer[block * blockBytes - offset] = readFakeBlock(layersNow(), block);
    }
  };
  return {
    path: base.path,
    virtualBytes,
    blockBytes,
    writable,
    read: async (offset, length) => {
      const buffer = Buffer.alloc(length);
      readInto(buffer, offset);
      return buffer;
    },
    readInto: async (buffer, offset) => readInto(buffer, offset),
    write: async (offset, data) => {
      const top = layersNow()[0] as BlockLayer;
      for (let block = Math.ceil(offset / blockBytes); block * blockBytes < offset + data.length; block += 1) {
        writeFakeBlock(top, block, data[block * blockBytes - offset] as number);
      }
    },
    flush: async () => {},
    async *map({ offset = 0, length = virtualBytes - offset } = {}) {
      if (length > 0) yield { offset, length, state: 'data' as const };
    },
    async *blocks({ offset = 0, length = virtualBytes - offset } = {}) {
      const data = Buffer.alloc(length);
      readInto(data, offset);
      yield { offset, data };
    },
    close: async () => {},
  };
}
