import { writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import {
  type BackingChange,
  type BlockLayer,
  type DiskExport,
  type DiskExportOptions,
  type DiskOverlay,
  type GenerationStart,
  type GuestProgram,
  type GuestProgramEnd,
  type GuestProgramState,
  HypervisorError,
  type KeyStroke,
  type LayerCommit,
  type LayerGenerations,
  type MachineEvent,
  type MachineHardware,
  type MachineMove,
  type MachineSnapshot,
  type MachineSnapshotTaken,
  type MachineState,
  type MachineUsage,
  type RunningMachine,
  type ScreenImage,
} from '@hypostyle/contracts';
import { moveFakeDisks } from './fake-disk-moves.ts';
import { checkFakeLayers, fakeBlocksOf, renameFakeBacking, writeFakeBlock } from './fake-disks.ts';
import type { EndReason, FakeComputer, FakeEngine, Gate } from './fake-engine.ts';
import {
  beginFakeGeneration,
  closeFakeLayers,
  fakeGenerationsOf,
  forgetFakeGenerations,
  passFakeGenerations,
  reopenFakeLayer,
} from './fake-generations.ts';
import { limitFakeMemory } from './fake-limits.ts';
import { hasFakeOverlays, putFakeOverlays, takeFakeSnapshot } from './fake-machine-snapshots.ts';
import { fakeMemoryImage } from './fake-memory-image.ts';

/** Calls that can be made to fail. */
export type FakeFailure = 'start' | 'adopt' | MachineFailure;

type MachineFailure =
  | 'suspend'
  | 'powerOff'
  | 'snapshotDisks'
  | 'saveMemory'
  | 'commitLayer'
  /** When the owner has written down that a layer was merged. */
  | 'merged'
  | 'replaceBacking'
  | 'moveDisks'
  | 'changeHardware'
  | 'growDisk';

/** What a test says of the machines of a hypervisor, and what it is told. */
export interface FakeGuests {
  /** What the next calls of a name fail with. */
  readonly failures: Map<FakeFailure, Error>;
  /** What the guests' agents do when they are asked to hold their file systems. */
  readonly agents: 'absent' | 'hold' | 'refuse';
  /** What programs in the guests do; without it no agent answers. */
  readonly onProgram: ((program: GuestProgram) => GuestProgramEnd) | undefined;
  /** Keys that were pressed. */
  readonly pressed: KeyStroke[];
}

/** An engine as a daemon has it. */
export class FakeMachine implements RunningMachine {
  readonly platform = { machineType: 'fake-1', cpuModel: 'fake' };
  readonly pid = 1;
  readonly vncSocketPath = '/nowhere/vnc';
  readonly serialSocketPaths = [];
  readonly limitMemory = (memoryMiB: number | undefined) => limitFakeMemory(this.#engine, memoryMiB);
  readonly #engine: FakeEngine;
  readonly #computer: FakeComputer;
  readonly #gate: Gate;
  readonly #hypervisor: FakeGuests;
  readonly #programs = new Map<number, GuestProgramEnd>();
  readonly #listeners = new Set<(event: MachineEvent) => void>();
  state: MachineState = 'running';

  constructor(engine: FakeEngine, computer: FakeComputer, gate: Gate, hypervisor: FakeGuests) {
    this.#engine = engine;
    this.#computer = computer;
    this.#gate = gate;
    this.#hypervisor = hypervisor;
    engine.owner = this;
    if (engine.pivoting) this.state = 'paused';
    if (!computer.engines.has(engine.lockPath)) this.state = 'stopped';
  }

  get uuid(): string {
    return this.#engine.uuid;
  }

  get startedAt(): number {
    return this.#engine.startedAt;
  }

  subscribe(listener: (event: MachineEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  ended(reason: EndReason): void {
    this.state = 'stopped';
    for (const listener of this.#listeners) listener({ kind: 'ended', reason });
  }

  async powerOff(): Promise<void> {
    await this.#gate();
    this.#fail('powerOff');
    this.#computer.end(this.#engine.lockPath, 'requested');
    await this.#gate();
  }

  async suspend(path: string): Promise<void> {
    await this.#gate();
    this.#fail('suspend');
    await writeFile(path, fakeMemoryImage(this.#engine, this.#engine.memory), { flag: 'wx' });
    await this.#gate();
    this.#computer.end(this.#engine.lockPath, 'suspended');
    await this.#gate();
  }

  async reset(): Promise<void> {
    await this.#gate();
  }

  async pause(): Promise<void> {
    this.state = 'paused';
  }

  async resume(): Promise<void> {
    if (this.state === 'paused') this.state = 'running';
  }

  async requestShutdown(): Promise<void> {}
  async requestReboot(): Promise<void> {}

  async snapshotDisks(overlays: readonly DiskOverlay[]): Promise<void> {
    await this.#gate();
    this.#mustRun();
    this.#fail('snapshotDisks');
    putFakeOverlays(this.#engine, overlays);
    await this.#gate();
  }

  async snapshotMachine(snapshot: MachineSnapshot): Promise<MachineSnapshotTaken> {
    await this.#gate();
    this.#mustRun();
    this.#fail('snapshotDisks');
    const step = async () => {
      await this.#gate();
      this.#mustRun();
    };
    const { failures } = this.#hypervisor;
    const saveFails = () => {
      const failure = failures.get('saveMemory');
      failures.delete('saveMemory');
      if (failure?.message === 'died') this.#computer.end(this.#engine.lockPath, 'crashed');
      return failure;
    };
    return takeFakeSnapshot(this.#engine, snapshot, { step, saveFails });
  }

  async hasOverlays(overlays: readonly DiskOverlay[]): Promise<boolean> {
    await this.#gate();
    this.#mustRun();
    return hasFakeOverlays(this.#engine, overlays);
  }

  async beginGenerations(starts: readonly GenerationStart[]): Promise<void> {
    await this.#gate();
    this.#mustRun();
    for (const { diskId, generation } of starts) beginFakeGeneration(this.#layers(diskId)[0] as BlockLayer, generation);
    await this.#gate();
  }

  async generations(diskId: string): Promise<readonly LayerGenerations[]> {
    await this.#gate();
    this.#mustRun();
    return fakeGenerationsOf(this.#layers(diskId), true);
  }

  async forgetGenerations(diskId: string, names: readonly string[]): Promise<void> {
    await this.#gate();
    this.#mustRun();
    forgetFakeGenerations(this.#layers(diskId)[0] as BlockLayer, names);
    await this.#gate();
  }

  async commitLayer({ diskId, path, into, backingName, onMerged, onProgress }: LayerCommit): Promise<void> {
    await this.#gate();
    this.#mustRun();
    this.#fail('commitLayer');
    const engine = this.#engine;
    const layers = engine.disks.get(diskId) ?? [];
    const at = layers.findIndex((layer) => layer.path === path);
    const [layer, base] = [layers[at], layers[at + 1]];
    if (layer === undefined) {
      await onMerged();
      this.#goOn();
      return;
    }
    if (base?.path !== into) throw new HypervisorError('block-failed', `${into} is not below ${path}`);
    reopenFakeLayer(base);
    passFakeGenerations(layer, base);
    for (const [block, value] of fakeBlocksOf(layer)) writeFakeBlock(base, block, value);
    onProgress?.(1);
    await this.#gate();
    this.#mustRun();
    const merged = layers.filter((one) => one !== layer);
    if (at > 0) {
      closeFakeLayers([base, layer]);
      engine.disks.set(diskId, merged);
      renameFakeBacking((layers[at - 1] as BlockLayer).path, resolve(dirname(path), backingName));
      await this.#gate();
      await onMerged();
      this.#fail('merged');
      return;
    }
    engine.pivoting = true;
    this.state = 'paused';
    // What the guest wrote until it stood still.
    passFakeGenerations(layer, base);
    for (const [block, value] of fakeBlocksOf(layer)) writeFakeBlock(base, block, value);
    await this.#gate();
    this.#mustRun();
    engine.disks.set(diskId, merged);
    await this.#gate();
    try {
      await onMerged();
    } catch (error) {
      engine.disks.set(diskId, layers);
      closeFakeLayers([base]);
      this.#goOn();
      throw new HypervisorError('block-failed', String(error), { cause: error });
    }
    closeFakeLayers([layer]);
    this.#goOn();
    this.#fail('merged');
  }

  async replaceBacking({ diskId, former, backing }: BackingChange): Promise<void> {
    await this.#gate();
    this.#mustRun();
    this.#fail('replaceBacking');
    checkFakeLayers([backing]);
    const layers = this.#engine.disks.get(diskId) ?? [];
    this.#engine.disks.set(
      diskId,
      layers.map((layer) => (layer.path === former ? backing : layer)),
    );
    await this.#gate();
  }

  async moveDisks(move: MachineMove): Promise<void> {
    const step = async () => {
      await this.#gate();
      this.#mustRun();
    };
    await step();
    this.#fail('moveDisks');
    const stands = (still: boolean) => {
      if (still) this.state = 'paused';
      else this.#goOn();
    };
    await moveFakeDisks({ engine: this.#engine, computer: this.#computer, step, stands }, move);
  }

  async freezeGuest(): Promise<() => Promise<void>> {
    await this.#gate();
    const { agents } = this.#hypervisor;
    if (agents === 'absent') throw new HypervisorError('guest-agent-absent', 'no agent');
    if (agents === 'refuse') throw new HypervisorError('quiesce-failed', 'the guest refuses');
    this.#engine.frozen = true;
    await this.#gate();
    return () => this.thawGuest();
  }

  async thawGuest(): Promise<void> {
    await this.#gate();
    this.#engine.frozen = false;
  }

  async exportDisk(diskId: string, { layer, generations = [] }: DiskExportOptions = {}): Promise<DiskExport> {
    await this.#gate();
    this.#mustRun();
    const read = () => {
      const layers = this.#layers(diskId);
      const at = layer === undefined ? 0 : layers.findIndex(({ path }) => path === layer);
      if (at === -1) throw new HypervisorError('block-failed', `${layer} is no layer of ${diskId}`);
      return layers.slice(at);
    };
    const { exports } = this.#engine;
    try {
      const exported = await this.#computer.exports.add(read, { generations, open: true });
      const close = async () => {
        exports.delete(made);
        await exported.close();
      };
      const made = { ...exported, close };
      exports.add(made);
      return made;
    } catch (error) {
      throw new HypervisorError('block-failed', String(error), { cause: error });
    }
  }

  async runInGuest(program: GuestProgram): Promise<GuestProgramEnd> {
    await this.#gate();
    const run = this.#hypervisor.onProgram;
    if (run === undefined) throw new HypervisorError('guest-agent-absent', 'no agent');
    return run(program);
  }

  async startInGuest(program: GuestProgram): Promise<number> {
    const pid = 1000 + this.#programs.size;
    this.#programs.set(pid, await this.runInGuest(program));
    return pid;
  }

  async guestProgram(pid: number): Promise<GuestProgramState | undefined> {
    const end = this.#programs.get(pid);
    return end === undefined ? undefined : { running: false, ...end };
  }

  async captureScreen(): Promise<ScreenImage> {
    return { width: 2, height: 1, pixels: Uint8Array.from([255, 0, 0, 0, 0, 255]) };
  }

  async pressKeys(strokes: readonly KeyStroke[]): Promise<void> {
    this.#hypervisor.pressed.push(...strokes);
  }

  async raiseNmi(): Promise<void> {
    await this.#gate();
  }

  async changeHardware(hardware: MachineHardware): Promise<void> {
    await this.#gate();
    this.#mustRun();
    this.#fail('changeHardware');
    const { disks } = this.#engine;
    // One after another, as a real engine does it.
    for (const id of [...disks.keys()]) {
      if (hardware.disks.some((disk) => disk.id === id)) continue;
      disks.delete(id);
      await this.#gate();
    }
    for (const { id, layers } of hardware.disks) {
      if (disks.has(id)) continue;
      checkFakeLayers(layers);
      disks.set(id, layers);
      await this.#gate();
    }
    this.#engine.hardware = hardware;
    await this.#gate();
  }

  async growDisk(diskId: string, virtualBytes: number): Promise<void> {
    await this.#gate();
    this.#mustRun();
    this.#fail('growDisk');
    if (!this.#engine.disks.has(diskId)) throw new HypervisorError('hot-plug-failed', `no disk ${diskId}`);
    this.#engine.grown.set(diskId, virtualBytes);
    await this.#gate();
  }

  async usage(): Promise<MachineUsage> {
    await this.#gate();
    return this.#engine.usage;
  }

  async guestFacts(): Promise<undefined> {
    await this.#gate();
  }

  #layers(diskId: string): readonly BlockLayer[] {
    const layers = this.#engine.disks.get(diskId);
    if (layers === undefined) throw new HypervisorError('block-failed', `no disk ${diskId}`);
    return layers;
  }

  #mustRun(): void {
    if (!this.#computer.engines.has(this.#engine.lockPath)) throw new HypervisorError('not-running', 'it is gone');
  }

  #goOn(): void {
    this.#engine.pivoting = false;
    if (this.state === 'paused') this.state = 'running';
  }

  #fail(name: MachineFailure): void {
    const { failures } = this.#hypervisor;
    const failure = failures.get(name);
    if (failure === undefined) return;
    failures.delete(name);
    if (this.state === 'running' && failure.message === 'died') this.#computer.end(this.#engine.lockPath, 'crashed');
    throw failure;
  }
}
