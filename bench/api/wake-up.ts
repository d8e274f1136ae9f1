import { setTimeout as sleep } from 'node:timers/promises';
import { machineReferences, machineView, viewFilter } from './requests.ts';
import { SoapSession } from './soap-session.ts';
import type { Subject } from './subject.ts';

export interface WakeUps {
  /** Milliseconds from the commit to the update's last byte, a value for each follower and change; where it is known. */
  readonly sinceCommit: readonly number[];
  /** Milliseconds from the call that changes to the update's last byte. */
  readonly sinceCall: readonly number[];
  /** Milliseconds in which all followers together learned of all machines. */
  readonly catchUp: number;
}

export interface WakeUpOptions {
  readonly followers: number;
  readonly changes: number;
  /** When a machine last changed, in nanoseconds of `process.hrtime`. */
  readonly changedAt?: (machine: string) => Promise<bigint>;
  /** Changes a machine where that is not by renaming it here. */
  readonly change?: (machine: string, number: number) => Promise<unknown>;
}

/** Milliseconds between two changes. */
const pause = 25;
/** Milliseconds after which no change more is made. */
const mostMilliseconds = 60_000;
/** Milliseconds after which an update is taken as lost. */
const patience = 20_000;

/** Changes machines one by one while followers wait for the updates of them all. */
export async function wakeUps(
  subject: Subject,
  { followers, changes, changedAt, change: given }: WakeUpOptions,
): Promise<WakeUps> {
  const sessions: SoapSession[] = [];
  const open = async () => {
    const session = await SoapSession.open(subject.address, 2);
    sessions.push(session);
    return session;
  };
  try {
    const writer = await open();
    const machines = await machineReferences(writer);
    const work = given ?? ((machine, number) => writer.call(rename(machine, `renamed-${number}`)));
    const begun = performance.now();
    const all = await Promise.all(Array.from({ length: followers }, async () => Follower.begin(await open())));
    const catchUp = performance.now() - begun;
    const sinceCommit: number[] = [];
    const sinceCall: number[] = [];
    const end = performance.now() + mostMilliseconds;
    for (let change = 0; change < changes && performance.now() < end; change += 1) {
      const machine = machines[Math.floor((change * machines.length) / changes)] ?? '';
      const arrivals = all.map((follower) => follower.arrival(machine));
      const called = process.hrtime.bigint();
      await work(machine, change);
      const arrived = await Promise.race([Promise.all(arrivals), lost(machine)]);
      const committed = await changedAt?.(machine);
      for (const at of arrived) {
        sinceCall.push(Number(at - called) / 1e6);
        if (committed !== undefined) sinceCommit.push(Number(at - committed) / 1e6);
      }
      await sleep(pause);
    }
    for (const follower of all) follower.stop();
    return { sinceCommit, sinceCall, catchUp };
  } finally {
    for (const session of sessions) session.close();
  }
}

async function lost(machine: string): Promise<never> {
  await sleep(patience, undefined, { ref: false });
  throw new Error(`the change of ${machine} did not reach all followers`);
}

function rename(machine: string, name: string): string {
  const self = `<_this type="VirtualMachine">${machine}</_this>`;
  return `<Rename_Task xmlns="urn:vim25">${self}<newName>${name}</newName></Rename_Task>`;
}

/** One session that waits for updates for ever. */
class Follower {
  readonly #session: SoapSession;
  /** `<_this>` of a property collector of its own. */
  readonly #collector: string;
  #version = '';
  #awaited:
    | { readonly text: string; readonly arrived: (at: bigint) => void; readonly failed: (reason: unknown) => void }
    | undefined;
  #stopped = false;

  private constructor(session: SoapSession, collector: string) {
    this.#session = session;
    this.#collector = collector;
  }

  /** Follows the name, run state and summary of all machines, and learns what they are now. */
  static async begin(session: SoapSession): Promise<Follower> {
    const created = await session.call(
      `<CreatePropertyCollector xmlns="urn:vim25">${session.self('propertyCollector')}</CreatePropertyCollector>`,
    );
    const reference = /<returnval[^>]*>([^<]+)</.exec(created.text)?.[1] ?? '';
    const follower = new Follower(session, `<_this type="PropertyCollector">${reference}</_this>`);
    const view = await machineView(session);
    await session.call(
      `<CreateFilter xmlns="urn:vim25">${follower.#collector}` +
        `<spec>${viewFilter(view, ['name', 'runtime', 'summary'])}</spec><partialUpdates>false</partialUpdates></CreateFilter>`,
    );
    for (let truncated = true; truncated; ) {
      const { text } = await session.call(follower.#wait());
      follower.#take(text);
      truncated = text.includes('<truncated>true</truncated>');
    }
    follower.#follow().catch((error: unknown) => follower.#awaited?.failed(error));
    return follower;
  }

  /** When the next update of a machine arrives. */
  arrival(machine: string): Promise<bigint> {
    return new Promise((arrived, failed) => {
      this.#awaited = { text: `>${machine}</obj>`, arrived, failed };
    });
  }

  stop(): void {
    this.#stopped = true;
  }

  async #follow(): Promise<void> {
    while (!this.#stopped) {
      const { text } = await this.#session.call(this.#wait());
      const at = process.hrtime.bigint();
      this.#take(text);
      if (this.#awaited === undefined || !text.includes(this.#awaited.text)) continue;
      this.#awaited.arrived(at);
      this.#awaited = undefined;
    }
  }

  #take(text: string): void {
    this.#version = /<version>([^<]+)/.exec(text)?.[1] ?? this.#version;
  }

  #wait(): string {
    return (
      `<WaitForUpdatesEx xmlns="urn:vim25">${this.#collector}` +
      `<version>${this.#version}</version><options></options></WaitForUpdatesEx>`
    );
  }
}
