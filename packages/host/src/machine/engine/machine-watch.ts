import { setTimeout as sleep } from 'node:timers/promises';
import type { GuestFacts, MachineEvent, MachineUsage, RunningMachine } from '@hypostyle/contracts';
import { type Clock, type Draft, systemClock } from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import { MachineMeter, type MachineSample } from '../../performance/machine-meter.ts';
import { primaryAddress } from '../../projection/runtime-info.ts';
import { listFiles } from '../files/list-files.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { type RuntimeDocument, saveRuntime } from '../registration/registration.ts';

/** Milliseconds between looks at a guest that has not said its address yet, and at one that has. */
const firstFactsInterval = 1_000;
const factsInterval = 15_000;
/** How many engines are asked for their use at once. */
const usagesAtOnce = 16;
/** Milliseconds for which an engine answers no look at its use, until that is said. */
const silenceLimit = 60_000;

type EndReason = Extract<MachineEvent, { kind: 'ended' }>['reason'];

interface Followed {
  readonly engine: RunningMachine;
  readonly unsubscribe: () => void;
  factsTimer: NodeJS.Timeout | undefined;
  statsTimer: NodeJS.Timeout | undefined;
  /** What a task that ends the engine wants said instead of what the engine says. */
  expected: { readonly say: (draft: Draft) => void; readonly runtime: RuntimeDocument } | undefined;
  readonly end: PromiseWithResolvers<void>;
  ending: boolean;
  readonly meter: MachineMeter;
  /** A look at its use was taken. */
  isMeasured: boolean;
  hostName?: string;
  /** Since when it answers no look at its use, by the clock, and whether that was said. */
  silence?: { readonly since: number; readonly told: boolean } | undefined;
}

export interface MachineWatchOptions {
  /** Time of what is measured; the true one unless told. */
  readonly clock?: Clock;
  /** Milliseconds that engines have to tell their use, all of them together: 10 s unless told. */
  readonly usagePatience?: number;
}

/** Follows every running engine: its end, its guest's facts and its use become state and events. */
export class MachineWatch {
  readonly #core: HostCore;
  readonly #clock: Clock;
  readonly #usagePatience: number;
  readonly #followed = new Map<string, Followed>();

  /** Told of a disk that made its machine stand still: one that cannot be read, or that has no room. */
  onDiskPaused: (id: string, diskId: string, detail: string) => Promise<unknown> = async () => undefined;
  onDiskFull: (id: string, diskId: string) => void = () => {};
  /** Told what a guest calls itself, once its agent says so. */
  onHostName: (id: string, hostName: string) => Promise<void> = async () => {};

  constructor(core: HostCore, { clock = systemClock, usagePatience = 10_000 }: MachineWatchOptions = {}) {
    this.#core = core;
    this.#clock = clock;
    this.#usagePatience = usagePatience;
  }

  /** Begins to follow an engine that `start` or `adopt` gave. */
  follow(id: string, engine: RunningMachine): void {
    const followed: Followed = {
      engine,
      unsubscribe: engine.subscribe((event) => this.#heard(id, event)),
      factsTimer: undefined,
      statsTimer: undefined,
      expected: undefined,
      end: Promise.withResolvers(),
      ending: false,
      meter: new MachineMeter(engine.startedAt),
      isMeasured: false,
    };
    this.#followed.set(id, followed);
    followed.factsTimer = setTimeout(() => this.#askGuest(id), firstFactsInterval);
    followed.statsTimer = setTimeout(() => this.#measureFirst(id), firstFactsInterval);
    // It may have ended before anybody listened.
    if (engine.state === 'stopped') this.#heard(id, { kind: 'ended', reason: 'crashed' });
  }

  /** Says what the engine's end means when it comes, and what is true then. */
  expectEnd(id: string, say: (draft: Draft) => void, runtime: RuntimeDocument = { powerState: 'poweredOff' }): void {
    const followed = this.#followed.get(id);
    if (followed !== undefined) followed.expected = { say, runtime };
  }

  expectNothing(id: string): void {
    const followed = this.#followed.get(id);
    if (followed !== undefined) followed.expected = undefined;
  }

  /** Resolves when the end of an engine, which is known to be gone, is state: with `reason` if it did not tell itself. */
  async ended(id: string, reason: EndReason): Promise<void> {
    const followed = this.#followed.get(id);
    if (followed === undefined) return;
    this.#background('end of an engine', this.#finish(id, { kind: 'ended', reason }));
    await followed.end.promise;
  }

  /** Resolves when an engine that stands still goes on or ends, such as one whose suspend an earlier process began. */
  async settled(id: string): Promise<void> {
    const followed = this.#followed.get(id);
    if (followed === undefined || followed.engine.state !== 'paused') return;
    const goesOn = Promise.withResolvers<void>();
    const unsubscribe = followed.engine.subscribe((event) => {
      if (event.kind === 'state' && event.state === 'running') goesOn.resolve();
    });
    try {
      if (followed.engine.state === 'paused') await Promise.race([goesOn.promise, followed.end.promise]);
    } finally {
      unsubscribe();
    }
  }

  /** Lets go of every engine: they run on. */
  close(): void {
    for (const id of [...this.#followed.keys()]) this.#forget(id);
  }

  #forget(id: string): void {
    const followed = this.#followed.get(id);
    if (followed === undefined) return;
    followed.unsubscribe();
    clearTimeout(followed.factsTimer);
    clearTimeout(followed.statsTimer);
    this.#followed.delete(id);
  }

  #heard(id: string, event: MachineEvent): void {
    const machine = this.#core.machines.find(id);
    if (machine === undefined) return;
    const { registry, events, machines } = this.#core;
    switch (event.kind) {
      case 'ended':
        this.#background('end of an engine', this.#finish(id, event));
        break;
      case 'guest-reset':
        registry.commit((draft) => {
          machines.change(id, { bootTime: new Date().toISOString(), guest: undefined, agentConnected: false }, draft);
        });
        this.#soon(id);
        break;
      case 'guest-panic':
        events.post(undefined, { type: 'VmGuestOSCrashedEvent', entity: machine.ref });
        break;
      case 'agent':
        if (event.connected) this.#soon(id);
        else registry.commit((draft) => machines.change(id, { agentConnected: false }, draft));
        break;
      case 'disk-error':
        if (event.paused && event.noSpace) this.onDiskFull(id, event.diskId);
        else if (event.paused) {
          this.#background(
            'a disk that cannot be read',
            this.onDiskPaused(id, event.diskId, event.detail).then(() => {}),
          );
        }
        events.post(undefined, {
          type: event.noSpace ? 'VmDiskFailedEvent' : 'GeneralVmErrorEvent',
          entity: machine.ref,
          ...(event.noSpace
            ? { members: { disk: event.diskId, reason: diskFault(event.detail) } }
            : { members: { message: `Disk ${event.diskId}: ${event.detail}` } }),
        });
        break;
      case 'state':
        break;
    }
  }

  /** Makes the end of an engine state, once. Whoever waits for it goes on, whatever fails. */
  async #finish(id: string, event: Extract<MachineEvent, { kind: 'ended' }>): Promise<void> {
    const followed = this.#followed.get(id);
    if (followed === undefined || followed.ending) return;
    followed.ending = true;
    try {
      await this.#settle(id, followed, event);
    } finally {
      this.#forget(id);
      followed.end.resolve();
    }
  }

  async #settle(id: string, followed: Followed, event: Extract<MachineEvent, { kind: 'ended' }>): Promise<void> {
    const { machines, registry, events } = this.#core;
    const machine = machines.find(id);
    if (machine === undefined) return;
    // An engine that crashed while it was being suspended has left no memory image.
    // What the engine kept of changes is whole now, or lost.
    if (event.reason === 'crashed') await this.#core.changes.end(id);
    else await this.#core.changes.close(id);
    const suspended = event.reason === 'suspended';
    const expected = suspended || followed.expected?.runtime.powerState !== 'suspended' ? followed.expected : undefined;
    const runtime = expected?.runtime ?? endedRuntime(suspended);
    // What could not be written down is found out at the next start, and true here all the same.
    await saveRuntime(this.#core, id, runtime).catch((error: unknown) =>
      this.#core.onDefect('end of an engine', error),
    );
    const files = await listFiles(machine.datastore, machine.vmxPath, machine).catch(() => machine.files);
    registry.commit((draft) => {
      machines.setEngine(id, undefined);
      machines.change(
        id,
        {
          powerState: runtime.powerState,
          suspendTime: runtime.suspendTime,
          bootTime: undefined,
          guest: undefined,
          agentConnected: false,
          stats: undefined,
          question: undefined,
          ...(runtime.powerState === 'suspended' ? {} : { connections: new Map(), toolsMounted: false }),
          files,
          cleanPowerOff: event.reason !== 'crashed',
        },
        draft,
      );
      if (expected !== undefined) expected.say(draft);
      else {
        if (event.reason === 'crashed') {
          events.post(draft, {
            type: 'GeneralVmErrorEvent',
            entity: machine.ref,
            members: {
              message: `The engine ended unexpectedly${event.detail ? `: ${event.detail}` : ''}. Its log is hypostyle.log in the machine's folder.`,
            },
          });
        }
        events.post(draft, { type: suspended ? 'VmSuspendedEvent' : 'VmPoweredOffEvent', entity: machine.ref });
      }
    });
  }

  #soon(id: string): void {
    const followed = this.#followed.get(id);
    if (followed === undefined) return;
    clearTimeout(followed.factsTimer);
    followed.factsTimer = setTimeout(() => this.#askGuest(id), 50);
  }

  #askGuest(id: string): void {
    this.#background(
      'facts of a guest',
      (async () => {
        const followed = this.#followed.get(id);
        if (followed === undefined) return;
        const said = await followed.engine.guestFacts().catch(() => undefined);
        if (this.#followed.get(id) !== followed) return;
        const { registry, machines } = this.#core;
        const facts = said === undefined ? undefined : lastingFacts(said);
        if (said !== undefined)
          followed.meter.heard({ nics: nicCounters(said, machines.find(id)), at: this.#clock.now() });
        registry.commit((draft) => {
          const known = machines.find(id);
          if (known === undefined) return;
          // Facts that are the same wake nobody.
          const same = facts !== undefined && JSON.stringify(known.guest) === JSON.stringify(facts);
          machines.change(
            id,
            { ...(same || facts === undefined ? {} : { guest: facts }), agentConnected: facts !== undefined },
            draft,
          );
        });
        const machine = machines.find(id);
        // Said once a run, and again when it changes.
        if (facts?.hostName !== undefined && facts.hostName !== followed.hostName) {
          followed.hostName = facts.hostName;
          await this.onHostName(id, facts.hostName);
        }
        const settled = machine !== undefined && facts !== undefined && primaryAddress(machine) !== undefined;
        followed.factsTimer = setTimeout(() => this.#askGuest(id), settled ? factsInterval : firstFactsInterval);
      })(),
    );
  }

  /** What every running machine used since the last look at it. Engines that do not tell are left out. */
  async measureAll(): Promise<ReadonlyMap<string, MachineSample>> {
    const samples = new Map<string, MachineSample>();
    const waiting = [...this.#followed.keys()].values();
    const end = new AbortController();
    const patience = sleep(this.#usagePatience, undefined, { signal: end.signal }).catch(() => undefined);
    const ask = async () => {
      for (const id of waiting) {
        const sample = await this.#measure(id, patience);
        if (sample !== undefined) samples.set(id, sample);
      }
    };
    await Promise.all(Array.from({ length: usagesAtOnce }, ask));
    end.abort();
    return samples;
  }

  /** Soon after the start, where no look at all came before: it would be compared to that, a moment ago. */
  #measureFirst(id: string): void {
    if (this.#followed.get(id)?.isMeasured) return;
    this.#background(
      'use of a machine',
      this.#measure(id, sleep(this.#usagePatience, undefined, { ref: false })).then((sample) => {
        if (sample !== undefined) this.#core.machines.change(id, { stats: sample.stats });
      }),
    );
  }

  async #measure(id: string, patience: Promise<undefined>): Promise<MachineSample | undefined> {
    const followed = this.#followed.get(id);
    if (followed === undefined) return undefined;
    const answer = followed.engine.usage().catch(() => 'refused' as const);
    const usage = await Promise.race([answer, patience]);
    if (this.#followed.get(id) !== followed) return undefined;
    this.#tellSilence(id, followed, usage === undefined);
    if (usage === undefined || usage === 'refused') return undefined;
    followed.isMeasured = true;
    return followed.meter.measure(usage, {
      now: this.#clock.now(),
      hostMHz: this.#core.hostMHz,
      memoryMiB: this.#core.machines.find(id)?.configuration.memoryMiB ?? 0,
    });
  }

  /** Whoever waits for a task of a machine whose engine hangs, as on storage that does not answer, is told why. */
  #tellSilence(id: string, followed: Followed, isSilent: boolean): void {
    const { events, machines } = this.#core;
    const machine = machines.find(id);
    if (machine === undefined) return;
    const name = machine.configuration.name;
    const say = (message: string) =>
      events.post(undefined, { type: 'GeneralVmWarningEvent', entity: machine.ref, members: { message } });
    const now = this.#clock.now();
    const { since, told } = followed.silence ?? { since: now, told: false };
    if (!isSilent) {
      followed.silence = undefined;
      if (told) say(`The engine of '${name}' answers again.`);
      return;
    }
    const isLong = now - since >= silenceLimit;
    followed.silence = { since, told: told || isLong };
    if (isLong && !told)
      say(
        `The engine of '${name}' has not answered for a minute, as on storage that does not: what is asked of the machine waits for it, or for TerminateVM, which ends it.`,
      );
  }

  #background(where: string, work: Promise<void>): void {
    work.catch((error: unknown) => this.#core.onDefect(where, error));
  }
}

function endedRuntime(suspended: boolean): RuntimeDocument {
  return suspended ? { powerState: 'suspended', suspendTime: new Date().toISOString() } : { powerState: 'poweredOff' };
}

function diskFault(detail: string): object {
  return {
    _typeName: 'LocalizedMethodFault',
    fault: { _typeName: 'NoDiskSpace', file: '', datastore: '' },
    localizedMessage: detail,
  };
}

/** Facts less what moves all the time. */
function lastingFacts({ uptimeSeconds: _uptime, interfaces, ...facts }: GuestFacts): GuestFacts {
  return {
    ...facts,
    interfaces: interfaces.map(({ receivedBytes, sentBytes, receivedPackets, sentPackets, ...lasting }) => lasting),
  };
}

function nicCounters({ interfaces }: GuestFacts, machine: MachineRecord | undefined): MachineUsage['nics'] {
  return interfaces.flatMap(({ mac, receivedBytes, sentBytes, receivedPackets, sentPackets }) => {
    const nic = machine?.configuration.nics.find((known) => known.mac === mac);
    if (nic === undefined || receivedBytes === undefined || sentBytes === undefined) return [];
    const packets = receivedPackets === undefined || sentPackets === undefined ? {} : { receivedPackets, sentPackets };
    return [{ id: `ethernet${nic.number}`, receivedBytes, sentBytes, ...packets }];
  });
}
