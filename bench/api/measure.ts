import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { homeAt } from '@hypostyle/server';
import { Daemon, type Stall } from './daemon.ts';
import type { Figure } from './figures.ts';
import { makeMachineFolders } from './machine-folders.ts';
import { percentile } from './percentile.ts';
import { residentMemory } from './process-use.ts';
import { type Registration, registerMachines } from './registration.ts';
import { type ReplyTimes, replyTimesDuring } from './reply-times.ts';
import { currentTime, machineReferences, retrieveName } from './requests.ts';
import { type Retrieval, Retriever } from './retrieval.ts';
import { type RequestRate, requestRate } from './small-requests.ts';
import { SoapSession } from './soap-session.ts';
import type { Subject } from './subject.ts';
import { Vcsim } from './vcsim.ts';
import { type WakeUps, wakeUps } from './wake-up.ts';

export interface MeasureOptions {
  readonly machines: number;
  readonly quick: boolean;
  /** Path of a vcsim to measure as well. */
  readonly vcsim: string | undefined;
  /** Folder for processor profiles of the server. */
  readonly profile: string | undefined;
  /** Where the server's home is made, and taken away again. */
  readonly folder: string;
}

/** Everything that is measured of both. */
interface Shared {
  /** MB once started. */
  readonly memory: number;
  /** The first answer, and the medians of those after it. */
  readonly first: Retrieval;
  readonly view: Retrieval;
  readonly traversal: Retrieval;
  readonly replies: ReplyTimes;
  readonly times: RequestRate;
  readonly names: RequestRate;
  readonly wakeUps: WakeUps;
}

/** What is measured of Hypostyle alone. */
interface Own {
  readonly empty: number;
  readonly registration: Registration;
  readonly startMilliseconds: number;
  readonly stall: Stall;
  readonly afterwards: number;
  readonly settled: number;
}

/** Measures with that many machines. */
export async function measure(options: MeasureOptions): Promise<Figure[]> {
  const { machines, vcsim, folder } = options;
  const simulator = vcsim === undefined ? undefined : await Vcsim.start(vcsim, machines);
  let other: Shared | undefined;
  try {
    if (simulator !== undefined) other = await measureShared(simulator, options);
  } finally {
    await simulator?.close();
  }
  const home = await mkdtemp(join(folder, 'hypostyle-bench-'));
  try {
    return await measureHypostyle(home, options, other);
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

async function measureHypostyle(home: string, options: MeasureOptions, other: Shared | undefined): Promise<Figure[]> {
  const { machines, profile } = options;
  // The first start is the one of a fresh home, and fills Node's cache of compiled code.
  await using(await Daemon.start({ home }), async () => {});
  const before = await using(await Daemon.start({ home, profile }), async (daemon) => {
    await daemon.settle();
    const empty = residentMemory(daemon.pid);
    await makeMachineFolders(homeAt(home).datastoreDirectory, machines);
    return { empty, registration: await registerMachines(daemon, 'datastore1', machines) };
  });
  return using(await Daemon.start({ home, profile, keepsCommitTimes: true }), async (daemon) => {
    const { startMilliseconds } = daemon;
    const shared = await measureShared(daemon, options, (machine) => daemon.changedAt(machine));
    const stall = await longestStall(daemon, machines);
    const afterwards = residentMemory(daemon.pid);
    await daemon.settle();
    const settled = residentMemory(daemon.pid);
    return figures(shared, { ...before, startMilliseconds, stall, afterwards, settled }, other);
  });
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
  { machines, quick }: MeasureOptions,
  changedAt?: (machine: string) => Promise<bigint>,
): Promise<Shared> {
  await subject.settle();
  const memory = residentMemory(subject.pid);
  const retriever = await Retriever.open(subject);
  try {
    const first = await retriever.retrieve('view', machines);
    const rounds = quick ? 1 : 5;
    const view = await median(rounds, () => retriever.retrieve('view', machines));
    const traversal = await median(rounds, () => retriever.retrieve('traversal', machines));
    const replies = await replyTimesDuring(subject, async () => {
      for (let round = 0; round < rounds; round += 1) await retriever.retrieve('view', machines);
    });
    const milliseconds = quick ? 400 : 4_000;
    const times = await requestRate(subject, () => currentTime, milliseconds);
    const machine = await anyMachine(subject);
    const names = await requestRate(subject, (session) => retrieveName(session, machine), milliseconds);
    const followers = quick ? 4 : 20;
    const woken = await wakeUps(subject, {
      followers,
      changes: Math.min(machines, quick ? 10 : 300),
      ...(changedAt === undefined ? {} : { changedAt }),
    });
    return { memory, first, view, traversal, replies, times, names, wakeUps: woken };
  } finally {
    retriever.close();
  }
}

async function anyMachine(subject: Subject): Promise<string> {
  const session = await SoapSession.open(subject.address);
  try {
    return (await machineReferences(session))[0] ?? '';
  } finally {
    session.close();
  }
}

async function median(rounds: number, retrieve: () => Promise<Retrieval>): Promise<Retrieval> {
  const all: Retrieval[] = [];
  for (let round = 0; round < rounds; round += 1) all.push(await retrieve());
  const of = (pick: (retrieval: Retrieval) => number) => percentile(all.map(pick), 0.5);
  return {
    firstByte: of((one) => one.firstByte),
    lastByte: of((one) => one.lastByte),
    processorPerMachine: of((one) => one.processorPerMachine),
    bytesPerMachine: of((one) => one.bytesPerMachine),
  };
}

/** How long the event loop stood at most while one client, and then eight, asked for everything. */
async function longestStall(daemon: Daemon, machines: number): Promise<Stall> {
  const retrievers = await Promise.all(Array.from({ length: 8 }, () => Retriever.open(daemon)));
  try {
    return await daemon.longestStall(async () => {
      await retrievers[0]?.retrieve('view', machines);
      await Promise.all(retrievers.map((retriever) => retriever.retrieve('traversal', machines)));
    });
  } finally {
    for (const retriever of retrievers) retriever.close();
  }
}

function figures(shared: Shared, own: Own, other: Shared | undefined): Figure[] {
  const both = (
    name: string,
    unit: string,
    pick: (of: Shared) => number,
    aims: { less?: number; more?: number | undefined },
  ) => {
    const aim = aims.less ?? aims.more;
    return {
      name,
      unit,
      value: pick(shared),
      better: 'more' in aims ? ('more' as const) : ('less' as const),
      ...(aim === undefined ? {} : { aim }),
      ...(other === undefined ? {} : { vcsim: pick(other) }),
    };
  };
  const alone = (name: string, unit: string, value: number, aim?: number): Figure => ({
    name,
    unit,
    value,
    better: 'less',
    ...(aim === undefined ? {} : { aim }),
  });
  const wakeUp = (name: string, pick: (of: WakeUps) => readonly number[], share: number, aim?: number): Figure =>
    both(name, 'ms', (of) => percentile(pick(of.wakeUps), share), aim === undefined ? {} : { less: aim });
  const { sinceCommit } = shared.wakeUps;
  return [
    both('retrieval by view, processor time a machine', 'µs', (of) => of.view.processorPerMachine, { less: 80 }),
    both('retrieval by traversal, processor time a machine', 'µs', (of) => of.traversal.processorPerMachine, {
      less: 80,
    }),
    both('first retrieval, processor time a machine', 'µs', (of) => of.first.processorPerMachine, {}),
    both('retrieval by view, first byte', 'ms', (of) => of.view.firstByte, {}),
    both('retrieval by view, last byte', 'ms', (of) => of.view.lastByte, {}),
    both('retrieval by traversal, last byte', 'ms', (of) => of.traversal.lastByte, {}),
    both('answer a machine', 'KB', (of) => of.view.bytesPerMachine / 1000, {}),
    both('others wait meanwhile, p99', 'ms', (of) => of.replies.p99, {}),
    both('others wait meanwhile, longest', 'ms', (of) => of.replies.longest, {}),
    alone('longest stall, 8 retrievals at once', 'ms', own.stall.processor, 20),
    alone('the same with what other processes took', 'ms', own.stall.elapsed),
    both('CurrentTime, of a processor', '/s', (of) => of.times.perProcessorSecond, { more: 15_000 }),
    both('name of a machine, of a processor', '/s', (of) => of.names.perProcessorSecond, { more: 15_000 }),
    both('CurrentTime, 8 connections', '/s', (of) => of.times.perSecond, { more: undefined }),
    alone('wake-up after the commit, p50', 'ms', percentile(sinceCommit, 0.5)),
    alone('wake-up after the commit, p99', 'ms', percentile(sinceCommit, 0.99), 50),
    wakeUp('update after the call that changes, p50', (of) => of.sinceCall, 0.5),
    wakeUp('update after the call that changes, p99', (of) => of.sinceCall, 0.99),
    both('all followers learn of all machines', 'ms', (of) => of.wakeUps.catchUp, {}),
    alone('memory without machines', 'MB', own.empty, 150),
    both('memory, started', 'MB', (of) => of.memory, { less: 600 }),
    alone('memory after all this', 'MB', own.afterwards),
    alone('memory after all this, settled', 'MB', own.settled, 600),
    alone('start', 'ms', own.startMilliseconds),
    { name: 'registration', unit: '/s', value: own.registration.perSecond, better: 'more' },
    { name: 'registration, last tenth', unit: '/s', value: own.registration.perSecondAtEnd, better: 'more' },
    alone('registration, processor time a machine', 'µs', own.registration.processorPerMachine),
  ];
}
