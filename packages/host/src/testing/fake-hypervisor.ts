import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  type AdoptRequest,
  type GuestProgram,
  type GuestProgramEnd,
  type Hypervisor,
  HypervisorError,
  type HypervisorInfo,
  type ImageTool,
  type KeyStroke,
  nicModels,
  type RunningMachine,
  type StartRequest,
} from '@hypostyle/contracts';
import { checkFakeLayers } from './fake-disks.ts';
import type { FakeComputer, FakeEngine, Gate } from './fake-engine.ts';
import { openFakeLayers } from './fake-generations.ts';
import { fakeImages } from './fake-images.ts';
import { type FakeFailure, type FakeGuests, FakeMachine } from './fake-machine.ts';
import { readFakeMemoryImage } from './fake-memory-image.ts';

/** The Hypervisor contract in memory, for faults that a real engine cannot be made to have. */
export class FakeHypervisor implements Hypervisor, FakeGuests {
  readonly #computer: FakeComputer;
  readonly #gate: Gate;
  readonly #machines = new WeakSet<object>();
  /** What the next calls of a name fail with. */
  readonly failures = new Map<FakeFailure, Error>();
  /** What the guests' agents do when they are asked to hold their file systems. */
  agents: 'absent' | 'hold' | 'refuse' = 'absent';
  /** What programs in the guests do; without it no agent answers. */
  onProgram: ((program: GuestProgram) => GuestProgramEnd) | undefined;
  /** Keys that were pressed. */
  readonly pressed: KeyStroke[] = [];
  /** Called between an engine's start and its answer. */
  onStarted: (engine: FakeEngine) => void = () => {};
  readonly images: ImageTool;

  constructor(computer: FakeComputer, gate: Gate = async () => {}) {
    this.#computer = computer;
    this.#gate = gate;
    this.images = fakeImages(computer, gate);
  }

  async probe(): Promise<HypervisorInfo> {
    return {
      product: 'Fake',
      version: '1',
      accelerator: 'kvm',
      capabilities: {
        suspend: true,
        efi: true,
        efiBootControllers: ['ide', 'ahci', 'nvme'],
        guestAgent: true,
        guestPrograms: true,
        screenshots: true,
        keyStrokes: true,
        vnc: true,
        serial: true,
        hotPlug: {
          controllerModels: ['lsilogic', 'lsisas1068', 'pvscsi'],
          cpus: true,
          memoryStepMiB: 128,
          nics: true,
          media: true,
        },
        resourceLimits: true,
        liveMigration: false,
        diskSnapshots: true,
        memorySnapshots: true,
        instantDisks: true,
        changedBlocks: true,
        diskMoves: true,
        guestData: true,
        sharedDisks: true,
        nicLimits: true,
        tpm: true,
        nicModels: [...nicModels],
        controllerModels: ['ide', 'ahci', 'buslogic', 'lsilogic', 'lsisas1068', 'pvscsi', 'nvme'],
        maxCpus: 8,
        maxMemoryMiB: 1 << 20,
      },
    };
  }

  async start(request: StartRequest): Promise<RunningMachine> {
    await this.#gate();
    this.#fail('start');
    const { uuid, lockPath, resumeFrom, hardware } = request;
    if (this.#computer.engines.has(lockPath)) throw new HypervisorError('locked', `${lockPath} is locked`);
    await mkdir(dirname(lockPath), { recursive: true });
    const disks = new Map(hardware.disks.map(({ id, layers }) => [id, layers] as const));
    for (const layers of disks.values()) {
      checkFakeLayers(layers);
      openFakeLayers(layers);
    }
    this.#computer.started += 1;
    const image = resumeFrom === undefined ? undefined : readFakeMemoryImage(await readFile(resumeFrom, 'utf8'));
    if (image?.uuid !== undefined && image.uuid !== (request.resumedAs ?? uuid))
      throw new HypervisorError('start-failed', 'the memory image is of another machine');
    const memory = image?.memory ?? `run ${this.#computer.started}`;
    await request.onProcess?.(1);
    const engine: FakeEngine = {
      uuid,
      lockPath,
      startedAt: Date.now(),
      memory,
      saving: undefined,
      frozen: false,
      disks,
      mirrors: new Map(),
      hardware,
      grown: new Map(),
      exports: new Set(),
      usage: { cpuMilliseconds: 1, residentBytes: 1, balloonBytes: 0, disks: [], nics: [] },
      pivoting: false,
      owner: undefined,
    };
    // From here on it has its memory, and whoever comes after a kill finds it.
    this.#computer.engines.set(lockPath, engine);
    try {
      if (resumeFrom !== undefined) await request.beforeResume?.();
    } catch (error) {
      this.#computer.engines.delete(lockPath);
      throw error;
    }
    await this.#gate();
    this.onStarted(engine);
    return this.#take(engine);
  }

  async adopt({ uuid, lockPath }: AdoptRequest): Promise<RunningMachine | undefined> {
    await this.#gate();
    this.#fail('adopt');
    const engine = this.#computer.engines.get(lockPath);
    if (engine === undefined || engine.uuid !== uuid) return undefined;
    return this.#take(engine);
  }

  async detach(): Promise<void> {
    for (const engine of this.#computer.engines.values()) {
      if (engine.owner !== undefined && this.#machines.has(engine.owner)) engine.owner = undefined;
    }
  }

  #take(engine: FakeEngine): FakeMachine {
    const machine = new FakeMachine(engine, this.#computer, this.#gate, this);
    this.#machines.add(machine);
    return machine;
  }

  #fail(name: 'start' | 'adopt'): void {
    const failure = this.failures.get(name);
    if (failure === undefined) return;
    this.failures.delete(name);
    throw failure;
  }
}
