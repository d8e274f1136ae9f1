import {
  type ComputeResourceSummary,
  counterKey,
  type EntitySamples,
  type HistoricalInterval,
  type HostListSummary,
  type IntervalSample,
  nextTurn,
  type PerformanceHistory,
  turnEnd,
} from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { type EntityDocument, isCompute, isPool, referenceOf } from '../inventory/entity-document.ts';

const key = {
  usage: counterKey('cpu.usage.average'),
  megahertz: counterKey('cpu.usagemhz.average'),
  totalMegahertz: counterKey('cpu.totalmhz.average'),
  memoryUsage: counterKey('mem.usage.average'),
  consumed: counterKey('mem.consumed.average'),
  totalMemory: counterKey('mem.totalmb.average'),
  effectiveCpu: counterKey('clusterServices.effectivecpu.average'),
  effectiveMemory: counterKey('clusterServices.effectivemem.average'),
};
/** Counters that are added up. */
const summed = {
  machines: ['cpu.usagemhz', 'mem.consumed', 'mem.granted', 'mem.active', 'mem.vmmemctl', 'mem.overhead'],
  hosts: [
    ...['cpu.usagemhz', 'cpu.reservedCapacity', 'mem.consumed', 'mem.granted', 'mem.active', 'mem.vmmemctl'],
    ...['mem.overhead', 'mem.swapinRate', 'mem.swapoutRate', 'disk.usage', 'disk.read', 'disk.write', 'net.usage'],
    ...['net.received', 'net.transmitted', 'power.power'],
  ],
};

type Sums = Map<string, Map<number, Map<number, number>>>;

/** What pools, clusters and datacenters used: sums of what their machines and hosts did, of intervals that are kept. */
export class ContainerTotals {
  readonly #core: CenterCore;
  readonly #history: PerformanceHistory;

  constructor(core: CenterCore, history: PerformanceHistory) {
    this.#core = core;
    this.#history = history;
  }

  /** Of the intervals that end after `after`, up to and with `until`. */
  async of(
    interval: HistoricalInterval,
    range: { readonly after: number; readonly until: number },
  ): Promise<IntervalSample[]> {
    const sums: Sums = new Map();
    const { inventory } = this.#core;
    const read = async (documents: readonly EntityDocument[], names: readonly string[]) => {
      const wanted = names.map((name) => ({ counterId: counterKey(`${name}.average`), instance: '' }));
      const requests = documents.map(({ value }) => ({ entity: value, range, wanted }));
      return await this.#history.read(interval, requests, range.until);
    };
    const machines = [...inventory.all('VirtualMachine')];
    for (const [index, samples] of (await read(machines, summed.machines)).entries()) {
      for (const pool of this.#above(machines[index]?.pool, isPool)) addTo(sums, pool, samples);
      if (performance.now() >= turnEnd()) await nextTurn();
    }
    const hosts = [...inventory.all('HostSystem')];
    const isContainer = (document: EntityDocument) => isCompute(document) || document.type === 'Datacenter';
    for (const [index, samples] of (await read(hosts, summed.hosts)).entries())
      for (const container of this.#above(hosts[index]?.parent, isContainer)) addTo(sums, container, samples);
    return [...sums].flatMap(([entity, byTime]) =>
      [...byTime].map(([time, counters]) => {
        const document = inventory.find(entity);
        if (document !== undefined && !isPool(document)) this.#addShares(document, counters);
        return { entity, time, values: Object.fromEntries(counters) };
      }),
    );
  }

  /** What there is, and the share of it that was used. */
  #addShares(document: EntityDocument, counters: Map<number, number>): void {
    let megahertz = 0;
    let bytes = 0;
    for (const host of this.#core.inventory.all('HostSystem')) {
      if (!this.#above(host.parent, () => true).includes(document.value)) continue;
      const summary = this.#core.registry.read(referenceOf(host), 'summary') as HostListSummary | undefined;
      megahertz += (summary?.hardware?.cpuMhz ?? 0) * (summary?.hardware?.numCpuThreads ?? 0);
      bytes += Number(summary?.hardware?.memorySize ?? 0);
    }
    const share = (used: number | undefined, all: number) =>
      used === undefined || all <= 0 ? undefined : Math.min(10_000, Math.round((used / all) * 10_000));
    const set = (counter: number, value: number | undefined) => {
      if (value !== undefined) counters.set(counter, value);
    };
    set(key.usage, share(counters.get(key.megahertz), megahertz));
    set(key.memoryUsage, share(counters.get(key.consumed), bytes / 1024));
    set(key.totalMegahertz, megahertz);
    set(key.totalMemory, Math.round(bytes / 2 ** 20));
    if (!isCompute(document)) return;
    const summary = this.#core.registry.read(referenceOf(document), 'summary') as ComputeResourceSummary | undefined;
    set(key.effectiveCpu, summary === undefined ? undefined : Number(summary.effectiveCpu));
    set(key.effectiveMemory, summary === undefined ? undefined : Number(summary.effectiveMemory));
  }

  #above(value: string | undefined, counts: (document: EntityDocument) => boolean): string[] {
    const found: string[] = [];
    for (let at = value; at !== undefined; ) {
      const document = this.#core.inventory.find(at);
      if (document === undefined) break;
      if (counts(document)) found.push(at);
      at = document.parent;
    }
    return found;
  }
}

function addTo(sums: Sums, entity: string, { times, series }: EntitySamples): void {
  const byTime = sums.get(entity) ?? new Map<number, Map<number, number>>();
  sums.set(entity, byTime);
  for (const [index, time] of times.entries()) {
    const counters = byTime.get(time) ?? new Map<number, number>();
    byTime.set(time, counters);
    for (const { counterId, values } of series) {
      const value = values[index] ?? -1;
      if (value >= 0) counters.set(counterId, (counters.get(counterId) ?? 0) + value);
    }
  }
}
