import {
  type Clock,
  currentInterval,
  type DatastoreSummary,
  data,
  HistoryKeeper,
  nextTurn,
  type PerformanceService,
  type RealtimeSamples,
  tickOf,
  turnEnd,
} from '@hypostyle/vim';
import type { HostCore } from '../host-core.ts';
import type { HostFacts } from '../inventory/host-facts.ts';
import type { HostUse } from '../inventory/host-object.ts';
import { references } from '../inventory/references.ts';
import type { MachineWatch } from '../machine/engine/machine-watch.ts';
import { keys } from './counter-keys.ts';
import { HostMeter, type HostSample } from './host-meter.ts';
import { MachineTotals } from './host-totals.ts';
import { readKernelTotals } from './kernel-files.ts';
import { type MachineSample, writeMachine } from './machine-meter.ts';

export interface PerformanceSamplerOptions {
  readonly watch: MachineWatch;
  readonly performance: PerformanceService;
  readonly samples: RealtimeSamples;
  readonly use: HostUse;
  readonly facts: HostFacts;
  readonly clock: Clock;
}

const period = currentInterval * 1000;
/** Machines that are shown in one commit. */
const shownAtOnce = 50;

/** Looks at everything that runs every 20 seconds: one look at all of it, kept and shown together. */
export class PerformanceSampler {
  readonly #core: HostCore;
  readonly #options: PerformanceSamplerOptions;
  readonly #meter: HostMeter;
  readonly #keeper: HistoryKeeper;
  #stopped = false;
  #cancel: () => void = () => {};

  constructor(core: HostCore, options: PerformanceSamplerOptions) {
    this.#core = core;
    this.#options = options;
    this.#meter = new HostMeter({ hostMHz: core.hostMHz, nics: options.facts.ports.map(({ device }) => device) });
    const { samples, performance, clock } = options;
    const { history, intervals, levels } = performance;
    this.#keeper = new HistoryKeeper({ samples, history, intervals, levels }, clock.now());
  }

  /** Begins; the answer stops it. */
  start(): () => void {
    const { clock } = this.#options;
    // The first look is what later ones are compared to.
    this.#background(
      readKernelTotals().then((totals) => {
        if (!this.#stopped) this.#showHost(this.#meter.measure(totals, clock.now()));
      }),
    );
    this.#wait();
    return () => {
      this.#stopped = true;
      this.#cancel();
    };
  }

  #wait(): void {
    const { clock } = this.#options;
    if (this.#stopped) return;
    this.#cancel = clock.after(period - (clock.now() % period), () => {
      this.#background(this.#look(tickOf(clock.now())).finally(() => this.#wait()));
    });
  }

  async #look(tick: number): Promise<void> {
    const { watch, samples, clock } = this.#options;
    const [machines, totals] = await Promise.all([watch.measureAll(), readKernelTotals()]);
    if (this.#stopped) return;
    const host = this.#meter.measure(totals, clock.now());
    await this.#showMachines(machines);
    this.#showHost(host);
    await this.#record(tick, machines, host);
    samples.prune(tick);
    if (!this.#stopped) await this.#keeper.keep(tick);
  }

  async #showMachines(samples: ReadonlyMap<string, MachineSample>): Promise<void> {
    const { registry, machines } = this.#core;
    const all = [...samples];
    for (let at = 0; at < all.length; at += shownAtOnce) {
      if (performance.now() >= turnEnd()) await nextTurn();
      registry.commit((draft) => {
        for (const [id, { stats }] of all.slice(at, at + shownAtOnce))
          if (machines.engine(id) !== undefined) machines.change(id, { stats }, draft);
      });
    }
  }

  #showHost({ cpuMHz, memoryMiB }: HostSample): void {
    const { use, facts, clock } = this.#options;
    const uptime = Math.max(0, Math.floor((clock.now() - Date.parse(facts.bootTime)) / 1000));
    use.quickStats = data('HostListSummaryQuickStats', {
      overallCpuUsage: cpuMHz,
      overallMemoryUsage: memoryMiB,
      uptime,
    });
    this.#core.registry.commit((draft) => {
      draft.touch(references.host, 'summary');
      this.#core.inventory.usageChanged(draft);
    });
  }

  async #record(tick: number, all: ReadonlyMap<string, MachineSample>, host: HostSample): Promise<void> {
    const { machines, hostMHz, datastores, pools } = this.#core;
    const { samples, facts, clock } = this.#options;
    const ofHost = new MachineTotals();
    const ofPools = new Map(
      [references.rootPool.value, ...pools.all().map(({ id }) => id)].map((id) => [id, new MachineTotals()]),
    );
    const ofDatastores = new Map(datastores.all().map(({ uuid }) => [uuid, new MachineTotals()]));
    for (const [id, sample] of all) {
      if (performance.now() >= turnEnd()) await nextTurn();
      const machine = machines.find(id);
      if (machine === undefined) continue;
      const { uuid } = machine.datastore;
      const writer = samples.at(id, tick);
      writeMachine(writer, sample, { configuration: machine.configuration, datastore: uuid, hostMHz });
      writeSpace(writer, machine.files);
      ofHost.add(machine, sample);
      ofDatastores.get(uuid)?.add(machine, sample);
      for (const pool of pools.withAbove(machine.resourcePool.value)) ofPools.get(pool)?.add(machine, sample);
    }
    const writer = samples.at(references.host.value, tick);
    host.write(writer);
    ofHost.writeHost(writer);
    writer.set(keys.uptime, (clock.now() - Date.parse(facts.bootTime)) / 1000);
    const seconds = ofHost.seconds > 0 ? ofHost.seconds : currentInterval;
    for (const [uuid, totals] of ofDatastores) {
      totals.writeDatastore(writer, seconds, uuid);
      totals.writeDatastore(samples.at(uuid, tick), seconds);
    }
    for (const [pool, totals] of ofPools) totals.writePool(samples.at(pool, tick));
    this.#recordSpace(tick);
  }

  #recordSpace(tick: number): void {
    const { datastores, registry } = this.#core;
    for (const { ref } of datastores.all()) {
      const summary = registry.get(ref)?.value('summary') as DatastoreSummary | undefined;
      if (summary === undefined || !summary.accessible) continue;
      const writer = this.#options.samples.at(ref.value, tick);
      const [capacity, free, uncommitted] = [summary.capacity, summary.freeSpace, summary.uncommitted ?? 0].map(Number);
      writer.set(keys.disk.capacity, (capacity ?? 0) / 1024);
      writer.set(keys.disk.used, ((capacity ?? 0) - (free ?? 0)) / 1024);
      writer.set(keys.disk.provisioned, ((capacity ?? 0) - (free ?? 0) + (uncommitted ?? 0)) / 1024);
    }
  }

  #background(work: Promise<void>): void {
    work.catch((error: unknown) => {
      // The store may be closed before the last look is kept.
      if (!this.#stopped) this.#core.onDefect('performance samples', error);
    });
  }
}

function writeSpace(
  writer: ReturnType<RealtimeSamples['at']>,
  files: { readonly committedBytes: number; readonly uncommittedBytes: number; readonly unsharedBytes: number },
): void {
  writer.set(keys.disk.used, files.committedBytes / 1024);
  writer.set(keys.disk.provisioned, (files.committedBytes + files.uncommittedBytes) / 1024);
  writer.set(keys.disk.unshared, files.unsharedBytes / 1024);
}
