import type { HypervisorCapabilities, ProcessGroups, ProcessGroupsInfo, RunningMachine } from '@hypostyle/contracts';
import type { MachineConfiguration } from '../configuration/machine-configuration.ts';
import { nicBandwidth } from '../configuration/nic-bandwidth.ts';
import { references } from '../inventory/references.ts';
import type { Machines } from '../machine/record/machines.ts';
import type { HostResources } from '../pools/pool-usage.ts';
import type { Pools } from '../pools/pools.ts';
import { type PlannedMachine, resourcePlan } from './resource-plan.ts';

/** Part of its memory that a guest keeps, whatever its limit: less would stop it rather than slow it down. */
const keptMemory = 0.35;

export interface ResourceControlOptions {
  /** None: this host holds nobody to anything. */
  readonly groups: ProcessGroups | undefined;
  /** What they said of themselves. */
  readonly info: ProcessGroupsInfo | undefined;
  readonly capabilities: Pick<HypervisorCapabilities, 'resourceLimits' | 'nicLimits'>;
  readonly pools: Pools;
  readonly machines: Machines;
  readonly hostMHz: number;
  readonly host: HostResources;
  readonly onDefect: (where: string, error: unknown) => void;
}

const heldNothing: ProcessGroupsInfo = {
  cpu: false,
  memory: false,
  disk: false,
  reason: 'This host holds no processes to limits.',
};

/**
 * Holds machines and pools to what they are granted: the kernel's groups and the engines are told after each change,
 * whole and one time after another. Nothing that fails here stops a machine: it is told by `unenforced`.
 */
export class ResourceControl {
  readonly #options: ResourceControlOptions;
  readonly #info: ProcessGroupsInfo;
  /** Engines' processes that are there before their machine counts as running. */
  readonly #starting = new Map<string, number>();
  /** What engines were told last. */
  readonly #told = new WeakMap<RunningMachine, string>();
  #failure: string | undefined;
  #isWanted = false;
  #work: Promise<void> | undefined;
  /** Engines that are being told: nobody waits for one that does not answer. */
  readonly #telling = new Set<Promise<void>>();

  constructor(options: ResourceControlOptions) {
    this.#options = options;
    this.#info = options.info ?? heldNothing;
  }

  /** Has everybody told what is granted now; what is under way is brought to its end first. */
  refresh(): void {
    this.#isWanted = true;
    this.#work ??= this.#run();
  }

  /** Resolves when the kernel's groups are what they should be. */
  async close(): Promise<void> {
    while (this.#work !== undefined) await this.#work;
  }

  /** Resolves when everybody is told. */
  async settled(): Promise<void> {
    await this.close();
    await Promise.all(this.#telling);
  }

  /** Puts an engine's process where it belongs before its guest runs. Never rejects. */
  async begin(id: string, pid: number): Promise<void> {
    this.#starting.set(id, pid);
    this.refresh();
    await this.close();
  }

  /** The machine runs, or never will. */
  begun(id: string): void {
    if (this.#starting.delete(id)) this.refresh();
  }

  /** What a machine's owner wants of its run and does not get here, in sentences. */
  unenforced(c: MachineConfiguration): string[] {
    const words: string[] = [];
    const reason = this.#failure ?? this.#info.reason ?? '';
    const say = (what: string) => words.push(`${what} is kept and not enforced on this host. ${reason}`.trim());
    const cpuHeld = this.#info.cpu && this.#failure === undefined;
    if (c.cpuAllocation.limit >= 0 && !cpuHeld) say(`The limit of ${c.cpuAllocation.limit} MHz`);
    if (c.cpuAllocation.level !== 'normal' && !cpuHeld) say('Its share of the processors');
    const { limit } = c.memoryAllocation;
    if (limit >= 0 && limit < c.memoryMiB && !this.#info.memory) {
      words.push(
        this.#options.capabilities.resourceLimits
          ? `The limit of ${limit} MiB of memory is asked of the guest by its balloon, and not enforced where its guest has no driver for it. ${reason}`.trim()
          : `The limit of ${limit} MiB of memory is kept and not enforced on this host.`,
      );
    }
    if (!this.#options.capabilities.resourceLimits && c.disks.some(({ io }) => (io?.limit ?? -1) >= 0))
      words.push('Limits on the use of disks are kept and not enforced on this host.');
    words.push(...unenforcedBandwidth(c, this.#options.capabilities));
    return words;
  }

  async #run(): Promise<void> {
    while (this.#isWanted) {
      // What is changed in this turn is told at once.
      await Promise.resolve();
      this.#isWanted = false;
      this.#tellEngines();
      await this.#tellGroups();
    }
    this.#work = undefined;
  }

  async #tellGroups(): Promise<void> {
    const { groups, pools, hostMHz, host } = this.#options;
    if (groups === undefined || !(this.#info.cpu || this.#info.memory || this.#info.disk)) return;
    const plan = resourcePlan({
      rootPool: references.rootPool.value,
      pools: pools.all(),
      machines: this.#running(),
      hostMHz,
      host,
    });
    try {
      await groups.apply(plan);
      this.#failure = undefined;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (this.#failure !== message) this.#options.onDefect('limits of machines', error);
      this.#failure = message;
    }
  }

  #tellEngines(): void {
    const { machines, capabilities } = this.#options;
    if (!capabilities.resourceLimits) return;
    for (const { id, configuration } of machines.all()) {
      const engine = machines.engine(id);
      if (engine === undefined || engine.state === 'stopped') continue;
      const { memoryMiB, memoryAllocation } = configuration;
      const { limit } = memoryAllocation;
      const wanted = limit < 0 || limit >= memoryMiB ? undefined : Math.max(limit, Math.ceil(memoryMiB * keptMemory));
      const word = `${wanted} of ${memoryMiB}`;
      if (this.#told.get(engine) === word) continue;
      this.#told.set(engine, word);
      const telling = this.#tell(engine, wanted).finally(() => this.#telling.delete(telling));
      this.#telling.add(telling);
    }
  }

  async #tell(engine: RunningMachine, memoryMiB: number | undefined): Promise<void> {
    try {
      await engine.limitMemory(memoryMiB);
    } catch (error) {
      this.#told.delete(engine);
      // It ended meanwhile.
      if ((error as { readonly code?: string }).code !== 'not-running')
        this.#options.onDefect('memory limit of a machine', error);
    }
  }

  #running(): PlannedMachine[] {
    const { machines } = this.#options;
    return [...machines.all()].flatMap(({ id, resourcePool, configuration }) => {
      const pid = machines.engine(id)?.pid ?? this.#starting.get(id);
      return pid === undefined ? [] : [{ id, pool: resourcePool.value, configuration, pid }];
    });
  }
}

/** Each adapter has an address translation of its own: there is no uplink of which a part could be kept for it. */
function unenforcedBandwidth(
  { nics }: Pick<MachineConfiguration, 'nics'>,
  { nicLimits }: Pick<HypervisorCapabilities, 'nicLimits'>,
): string[] {
  return nics.flatMap((nic) => {
    const { limit, reservation, level } = nicBandwidth(nic);
    const wanted = [
      ...(limit >= 0 && !nicLimits ? [`The limit of ${limit} Mbit/s`] : []),
      ...(reservation > 0 ? [`The reservation of ${reservation} Mbit/s`] : []),
      ...(level === 'normal' ? [] : ['The share']),
    ];
    return wanted.map((what) => `${what} of network adapter ${nic.number + 1} is kept and not enforced on this host.`);
  });
}
