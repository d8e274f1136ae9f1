import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  type AdoptRequest,
  type Hypervisor,
  HypervisorError,
  type HypervisorInfo,
  type ImageTool,
  type MachineEvent,
  type MachineState,
  nicModels,
  type RunningMachine,
  type StartRequest,
} from '@hypostyle/contracts';

type EndReason = (MachineEvent & { kind: 'ended' })['reason'];

/** An engine as a process of its own: it outlives the daemon that started it. */
interface FakeEngine {
  readonly uuid: string;
  readonly lockPath: string;
  readonly startedAt: number;
  /** What the machine remembers, which a memory image keeps. */
  readonly memory: string;
  owner: FakeMachine | undefined;
}

/** The engines of one computer. */
export class FakeComputer {
  readonly engines = new Map<string, FakeEngine>();
  started = 0;

  /** Ends an engine and tells whoever follows it. */
  end(lockPath: string, reason: EndReason): void {
    const engine = this.engines.get(lockPath);
    if (engine === undefined) return;
    this.engines.delete(lockPath);
    engine.owner?.ended(reason);
  }
}

/** Waits where a process may die; never answers once it is dead. */
type Gate = () => Promise<void>;

/** The Hypervisor contract in memory, for faults that a real engine cannot be made to have. */
export class FakeHypervisor implements Hypervisor {
  readonly #computer: FakeComputer;
  readonly #gate: Gate;
  readonly #machines = new WeakSet<FakeMachine>();
  /** What the next calls of a name fail with. */
  readonly failures = new Map<'start' | 'adopt' | 'suspend' | 'powerOff', Error>();
  /** Called between an engine's start and its answer. */
  onStarted: (engine: FakeEngine) => void = () => {};
  readonly images: ImageTool = {
    createDelta: async ({ path }) => writeFile(path, 'delta', { flag: 'wx' }),
    inspect: async () => ({ virtualBytes: 0, allocatedBytes: 0 }),
  };

  constructor(computer: FakeComputer, gate: Gate = async () => {}) {
    this.#computer = computer;
    this.#gate = gate;
  }

  async probe(): Promise<HypervisorInfo> {
    return {
      product: 'Fake',
      version: '1',
      accelerator: 'kvm',
      capabilities: {
        suspend: true,
        efi: true,
        guestAgent: true,
        vnc: true,
        serial: true,
        hotPlug: false,
        liveMigration: false,
        diskSnapshots: false,
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
    const { uuid, lockPath, resumeFrom } = request;
    if (this.#computer.engines.has(lockPath)) throw new HypervisorError('locked', `${lockPath} is locked`);
    await mkdir(dirname(lockPath), { recursive: true });
    this.#computer.started += 1;
    const memory = resumeFrom === undefined ? `run ${this.#computer.started}` : await readFile(resumeFrom, 'utf8');
    if (resumeFrom !== undefined) await request.beforeResume?.();
    const engine: FakeEngine = { uuid, lockPath, startedAt: Date.now(), memory, owner: undefined };
    this.#computer.engines.set(lockPath, engine);
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
    const machine = new FakeMachine(engine, this.#computer, this.#gate, this.failures);
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

class FakeMachine implements RunningMachine {
  readonly platform = { machineType: 'fake-1', cpuModel: 'fake' };
  readonly pid = 1;
  readonly vncSocketPath = '/nowhere/vnc';
  readonly serialSocketPaths = [];
  readonly #engine: FakeEngine;
  readonly #computer: FakeComputer;
  readonly #gate: Gate;
  readonly #failures: FakeHypervisor['failures'];
  readonly #listeners = new Set<(event: MachineEvent) => void>();
  state: MachineState = 'running';

  constructor(engine: FakeEngine, computer: FakeComputer, gate: Gate, failures: FakeHypervisor['failures']) {
    this.#engine = engine;
    this.#computer = computer;
    this.#gate = gate;
    this.#failures = failures;
    engine.owner = this;
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
    await writeFile(path, this.#engine.memory, { flag: 'wx' });
    await this.#gate();
    this.#computer.end(this.#engine.lockPath, 'suspended');
    await this.#gate();
  }

  async reset(): Promise<void> {
    await this.#gate();
  }

  async resume(): Promise<void> {}
  async requestShutdown(): Promise<void> {}
  async requestReboot(): Promise<void> {}

  async usage() {
    await this.#gate();
    return { cpuMilliseconds: 1, residentBytes: 1, balloonBytes: 0, disks: [], nics: [] };
  }

  async guestFacts(): Promise<undefined> {
    await this.#gate();
  }

  #fail(name: 'suspend' | 'powerOff'): void {
    const failure = this.#failures.get(name);
    if (failure === undefined) return;
    this.#failures.delete(name);
    if (this.state === 'running' && failure.message === 'died') this.#computer.end(this.#engine.lockPath, 'crashed');
    throw failure;
  }
}
