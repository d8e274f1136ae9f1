import type { BlockLayer, DiskExport, MachineEvent, MachineHardware, MachineUsage } from '@hypostyle/contracts';
import { readFakeBlock, writeFakeBlock } from './fake-disks.ts';
import { FakeExports } from './fake-exports.ts';
import { closeFakeLayers } from './fake-generations.ts';

export type EndReason = (MachineEvent & { kind: 'ended' })['reason'];

/** An engine as a process of its own: it outlives the daemon that started it. */
export interface FakeEngine {
  readonly uuid: string;
  lockPath: string;
  readonly startedAt: number;
  /** What the machine remembers, which a memory image keeps. */
  memory: string;
  /** Memory on its way to a file, of the moment at which the disks were taken. */
  saving: { readonly path: string; readonly memory: string } | undefined;
  /** The guest holds its file systems. */
  frozen: boolean;
  /** Layers of each disk, top first. */
  readonly disks: Map<string, readonly BlockLayer[]>;
  /** Where what is written to a disk is written too. */
  readonly mirrors: Map<string, BlockLayer>;
  /** What the machine has now. */
  hardware: MachineHardware;
  /** Sizes that the guest was told of. */
  readonly grown: Map<string, number>;
  /** Disks that are let be read. */
  readonly exports: Set<DiskExport>;
  /** What it tells of its use. */
  usage: MachineUsage;
  /** The guest stands still for a layer that is being merged. */
  pivoting: boolean;
  /** The daemon's hold of it. */
  owner: { ended(reason: EndReason): void } | undefined;
}

/** The engines of one computer. */
export class FakeComputer {
  readonly engines = new Map<string, FakeEngine>();
  /** What engines and tools let be read. */
  readonly exports = new FakeExports();
  started = 0;

  /** What the guest of an engine writes to, and reads from, a block of a disk. */
  write(lockPath: string, diskId: string, block: number, value: number): void {
    const engine = this.engines.get(lockPath);
    const top = engine?.disks.get(diskId)?.[0];
    if (top === undefined) throw new Error(`no disk ${diskId} runs at ${lockPath}`);
    writeFakeBlock(top, block, value);
    const mirror = engine?.mirrors.get(diskId);
    if (mirror !== undefined) writeFakeBlock(mirror, block, value);
  }

  read(lockPath: string, diskId: string, block: number): number {
    return readFakeBlock(this.engines.get(lockPath)?.disks.get(diskId) ?? [], block);
  }

  /** What the guest of an engine has in its memory from now on. */
  remember(lockPath: string, text: string): void {
    const engine = this.engines.get(lockPath);
    if (engine === undefined) throw new Error(`no engine runs at ${lockPath}`);
    engine.memory = text;
  }

  /** Ends an engine and tells whoever follows it. */
  end(lockPath: string, reason: EndReason): void {
    const engine = this.engines.get(lockPath);
    if (engine === undefined) return;
    for (const [path, one] of this.engines) if (one === engine) this.engines.delete(path);
    for (const exported of engine.exports) void exported.close();
    if (reason !== 'crashed') for (const layers of engine.disks.values()) closeFakeLayers(layers);
    engine.owner?.ended(reason);
  }
}

/** Waits where a process may die; never answers once it is dead. */
export type Gate = () => Promise<void>;
