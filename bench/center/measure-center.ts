import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Daemon, type Stall } from '../api/daemon.ts';
import type { Figure } from '../api/figures.ts';
import { percentile } from '../api/percentile.ts';
import { residentMemory } from '../api/process-use.ts';
import { Retriever } from '../api/retrieval.ts';
import type { Subject } from '../api/subject.ts';
import { Vcsim } from '../api/vcsim.ts';
import { type WakeUps, wakeUps } from '../api/wake-up.ts';
import { addHosts, allConnected, type Following, machineNames, untilConnected } from './joining.ts';
import { ModelledHosts } from './modelled-hosts.ts';

export interface MeasureCenterOptions {
  readonly hosts: number;
  readonly machines: number;
  readonly quick: boolean;
  /** Path of a vcsim to measure as well. */
  readonly vcsim: string | undefined;
  /** Folder for processor profiles of the center. */
  readonly profile: string | undefined;
  /** Where the center's home is made, and taken away again. */
  readonly folder: string;
}

/** What is measured of both. */
interface Shared {
  /** Milliseconds. */
  readonly names: number;
  readonly many: number;
  /** Microseconds of the server's processor time for each machine. */
  readonly namesProcessor: number;
  readonly manyProcessor: number;
  readonly firstRound: number;
  readonly wakeUps: WakeUps;
}

interface Own {
  readonly empty: number;
  /** MB with all machines. */
  readonly memory: number;
  readonly joining: Following;
  readonly joiningStall: Stall;
  readonly startMilliseconds: number;
  readonly again: Following;
  readonly heap: number;
  readonly settled: number;
  readonly stall: Stall;
  /** While every host is lost at once. */
  readonly losingStall: Stall;
}

/** Measures a center over modelled hosts, and vcsim with as many of its own. */
export async function measureCenter(options: MeasureCenterOptions): Promise<Figure[]> {
  const { hosts, machines, vcsim, folder, profile } = options;
  let other: (Shared & Pick<Own, 'memory'>) | undefined;
  if (vcsim !== undefined) {
    const simulator = await Vcsim.start(vcsim, machines, hosts);
    try {
      const memory = residentMemory(simulator.pid);
      other = { memory, ...(await measureShared(simulator, options)) };
    } finally {
      await simulator.close();
    }
  }
  const modelled = await ModelledHosts.start(hosts, machines);
  const home = await mkdtemp(join(folder, 'hypostyle-bench-'));
  try {
    // The first start is the one of a fresh home, and fills Node's cache of compiled code.
    await using(await Daemon.start({ home, mode: 'center' }), async () => {});
    const before = await using(await Daemon.start({ home, mode: 'center', profile }), async (daemon) => {
      await daemon.settle();
      const empty = residentMemory(daemon.pid);
      let joining: Following | undefined;
      const joiningStall = await daemon.longestStall(async () => {
        joining = await addHosts(daemon, modelled.hosts, machines);
      });
      if (joining === undefined) throw new Error('the hosts did not join');
      return { empty, joining, joiningStall };
    });
    return await using(await Daemon.start({ home, mode: 'center', profile }), async (daemon) => {
      const again = await allConnected(daemon, machines);
      const { startMilliseconds } = daemon;
      const names = await machineNames(daemon);
      // Outside of what is measured: it collects garbage in one go.
      await daemon.settle();
      const memory = residentMemory(daemon.pid);
      let shared: Shared | undefined;
      const stall = await daemon.longestStall(async () => {
        shared = await measureShared(daemon, options, (machine, number) =>
          modelled.annotate(names.get(machine) ?? '', `changed ${number}`),
        );
      });
      if (shared === undefined) throw new Error('nothing was measured');
      const heap = await daemon.heap();
      const settled = residentMemory(daemon.pid);
      const losingStall = await daemon.longestStall(async () => {
        await modelled.close();
        await untilConnected(daemon, 0);
      });
      const own = { ...before, memory, startMilliseconds, again, stall, heap, settled, losingStall };
      return figures(shared, own, other);
    });
  } finally {
    await modelled.close();
    await rm(home, { recursive: true, force: true });
  }
}

async function using<S extends Subject, R>(subject: S, work: (subject: S) => Promise<R>): Promise<R> {
  try {
    return await work(subject);
  } finally {
    await subject.close();
  }
}

async function measureShared(
  subject: Subject,
  { machines, quick }: MeasureCenterOptions,
  annotate?: (machine: string, number: number) => Promise<bigint>,
): Promise<Shared> {
  const rounds = quick ? 1 : 5;
  const names = await median(subject, ['name'], rounds, machines);
  const many = await median(subject, undefined, rounds, machines);
  const committed = new Map<string, bigint>();
  const change = async (machine: string, number: number) => {
    const at = await annotate?.(machine, number);
    if (at !== undefined) committed.set(machine, at);
  };
  const alone = await wakeUps(subject, { followers: 1, changes: 0 });
  const woken = await wakeUps(subject, {
    followers: quick ? 2 : 5,
    changes: Math.min(machines, quick ? 10 : 200),
    ...(annotate === undefined ? {} : { change, changedAt: async (machine: string) => committed.get(machine) ?? 0n }),
  });
  return {
    names: names.lastByte,
    namesProcessor: names.processorPerMachine,
    many: many.lastByte,
    manyProcessor: many.processorPerMachine,
    firstRound: alone.catchUp,
    wakeUps: woken,
  };
}

async function median(subject: Subject, paths: readonly string[] | undefined, rounds: number, machines: number) {
  const retriever = await Retriever.open(subject, paths);
  try {
    const all = [];
    for (let round = 0; round < rounds; round += 1) all.push(await retriever.retrieve('view', machines));
    return {
      lastByte: percentile(
        all.map((one) => one.lastByte),
        0.5,
      ),
      processorPerMachine: percentile(
        all.map((one) => one.processorPerMachine),
        0.5,
      ),
    };
  } finally {
    retriever.close();
  }
}

function figures(shared: Shared, own: Own, other: (Shared & Pick<Own, 'memory'>) | undefined): Figure[] {
  const both = (name: string, unit: string, pick: (of: Shared) => number, aim?: number): Figure => ({
    ...alone(name, unit, pick(shared), aim),
    ...(other === undefined ? {} : { vcsim: pick(other) }),
  });
  const alone = (name: string, unit: string, value: number, aim?: number): Figure => ({
    name,
    unit,
    value,
    better: 'less',
    ...(aim === undefined ? {} : { aim }),
  });
  const { sinceCommit } = shared.wakeUps;
  return [
    alone('hosts join and are followed from nothing', 's', own.joining.milliseconds / 1000, 60),
    alone('the same, processor time a machine', 'µs', own.joining.processorPerMachine),
    alone('longest stall meanwhile', 'ms', own.joiningStall.processor, 50),
    alone('start', 'ms', own.startMilliseconds),
    alone('all connected after a start', 's', own.again.milliseconds / 1000),
    alone('the same, processor time a machine', 'µs', own.again.processorPerMachine),
    both('name of all, processor time a machine', 'µs', (of) => of.namesProcessor),
    both('name of all, last byte', 'ms', (of) => of.names),
    both('four properties of all, processor time a machine', 'µs', (of) => of.manyProcessor),
    both('four properties of all, last byte', 'ms', (of) => of.many),
    both('first round of WaitForUpdatesEx', 'ms', (of) => of.firstRound),
    alone('wake-up after the commit on the host, p50', 'ms', percentile(sinceCommit, 0.5)),
    alone('wake-up after the commit on the host, p99', 'ms', percentile(sinceCommit, 0.99), 100),
    both('update after the call that changes, p99', 'ms', (of) => percentile(of.wakeUps.sinceCall, 0.99)),
    alone('longest stall of all this', 'ms', own.stall.processor, 50),
    alone('longest stall while all hosts are lost', 'ms', own.losingStall.processor, 50),
    alone('memory without hosts', 'MB', own.empty),
    {
      ...alone('memory with all machines', 'MB', own.memory, 800),
      ...(other === undefined ? {} : { vcsim: other.memory }),
    },
    alone('memory after all this, settled', 'MB', own.settled, 800),
    alone('heap of that', 'MB', own.heap),
  ];
}
