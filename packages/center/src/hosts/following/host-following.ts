import {
  type Caller,
  ClientError,
  type ManagedObjectReference,
  nextTurn,
  retrieve,
  type Session,
  type TaskInfo,
  turnEnd,
  type UpdateSet,
  VimFault,
} from '@hypostyle/vim';
import { boundedCaller } from '../connection/bounded-caller.ts';
import type { HostConnection } from '../connection/host-connection.ts';
import { type HostLayout, hostFilter, mirrored, readHostLayout } from '../mirror/host-layout.ts';
import type { HostMirror } from '../mirror/host-mirror.ts';
import type { HostReferences } from '../mirror/host-references.ts';
import { Barriers } from './barriers.ts';
import type { HostEvents } from './host-events.ts';
import type { HostTasks } from './host-tasks.ts';
import { changesOf, type ObjectChange } from './object-updates.ts';

export interface HostFollowingOptions {
  readonly connection: HostConnection;
  readonly mirror: HostMirror;
  readonly tasks: HostTasks;
  readonly events: HostEvents;
  /** Ends it all. */
  readonly stop: AbortSignal;
  /** Seconds that a host may be silent. */
  readonly heartbeat: number;
  /** Throws where another host answers than the one that is meant. */
  readonly checkIdentity: (layout: HostLayout) => void;
  readonly place: () => Parameters<HostReferences['bindLayout']>[1];
  /** Told once all that the host has was taken over. */
  readonly onComplete: (layout: HostLayout) => Promise<void>;
}

/** Taken over in one go, which holds everybody else up. */
const maxObjectUpdates = 50;

/** One connection to a host, and what is followed over it: from its first answer until it breaks. */
export class HostFollowing {
  readonly connection: HostConnection;
  readonly #options: HostFollowingOptions;
  readonly #cut = new AbortController();
  readonly #barriers = new Barriers();
  /** Filters by which leases are followed, by lease: a session has only so many. */
  readonly #leases = new Map<string, ManagedObjectReference<'PropertyFilter'>>();
  #caller: Caller | undefined;
  #collector: ManagedObjectReference<'PropertyCollector'> | undefined;
  #layout: HostLayout | undefined;

  constructor(options: HostFollowingOptions) {
    this.#options = options;
    this.connection = options.connection;
  }

  /** Fires when nothing goes over the connection any more. */
  get broken(): AbortSignal {
    return this.#cut.signal;
  }

  /** Ends what goes over the connection. */
  cut(reason: unknown): void {
    this.#cut.abort(reason);
    this.#barriers.end();
  }

  /** Calls that end with the connection; bounded in time until the host was understood. */
  get caller(): Caller | undefined {
    return this.#caller;
  }

  /** Follows the host until the connection breaks, and throws why. */
  async run(): Promise<never> {
    const { connection, mirror, tasks, events, heartbeat, stop, checkIdentity, place, onComplete } = this.#options;
    const ends = AbortSignal.any([stop, this.#cut.signal]);
    // What is asked before the first update is small.
    const caller = boundedCaller(connection, AbortSignal.any([ends, AbortSignal.timeout(6 * heartbeat * 1000)]));
    this.#caller = caller;
    const layout = await readHostLayout(caller);
    checkIdentity(layout);
    const { propertyCollector } = layout.content;
    const collector = await caller.call(propertyCollector, 'CreatePropertyCollector', {});
    const main = await caller.call(collector, 'CreateFilter', { spec: hostFilter(layout), partialUpdates: false });
    this.#barriers.begin(main.value);
    this.#caller = boundedCaller(connection, ends);
    await events.begin(this.#caller);
    mirror.begin(layout, place());
    tasks.begin();
    let version = '';
    let first = true;
    let waiting: ObjectChange[] = [];
    let told: string[] = [];
    for (;;) {
      const updates = await this.#wait(collector, version, first, ends);
      if (updates === undefined) continue;
      version = updates.version;
      const changes = changesOf(updates);
      if (performance.now() >= turnEnd()) await nextTurn();
      await mirror.enter(changes);
      waiting.push(...changes);
      told.push(...(updates.filterSet ?? []).map(({ filter }) => filter.value));
      // What a task did may come in several parts; its end counts once all are here.
      if (updates.truncated) continue;
      await this.#settle(waiting);
      waiting = [];
      if (first) {
        await mirror.complete();
        await tasks.complete();
        ends.throwIfAborted();
        first = false;
        this.#collector = collector;
        this.#layout = layout;
        await onComplete(layout);
      }
      this.#barriers.pass(told);
      told = [];
    }
  }

  /** Resolves when all that the host had done before is taken over here. */
  caughtUp(): Promise<void> {
    const layout = this.#layout;
    return layout === undefined ? Promise.resolve() : this.#told(layout.content.rootFolder, ['name']);
  }

  /** Has a machine told whole, as if it were met for the first time; resolves when that was taken over. */
  tellAgain(machine: ManagedObjectReference): Promise<void> {
    return this.#told(machine, mirrored.VirtualMachine);
  }

  /** Has properties of an object told, with everything that came before them. */
  async #told(obj: ManagedObjectReference, pathSet: readonly string[]): Promise<void> {
    const collector = this.#collector;
    if (collector === undefined) return;
    const spec = { objectSet: [{ obj, skip: false }], propSet: [{ type: obj.type, all: false, pathSet }] };
    const caller = boundedCaller(this.connection, this.#cut.signal);
    try {
      const filter = await caller.call(collector, 'CreateFilter', { spec, partialUpdates: false });
      await this.#barriers.passed(filter.value);
      await caller.call(filter, 'DestroyPropertyFilter', {});
    } catch (error) {
      // A connection that broke is no reason to call what was done undone: all is told anew when it is back.
      if (!(error instanceof ClientError) && !(error instanceof VimFault) && !this.#cut.signal.aborted) throw error;
    }
  }

  /** A lease of the host as the center shows it to whom it belongs, until it is gone. */
  async showLease(
    lease: ManagedObjectReference<'HttpNfcLease'>,
    owner: Session | undefined,
  ): Promise<ManagedObjectReference> {
    const collector = this.#collector;
    if (collector === undefined) throw new Error('the host is not followed yet');
    const paths = ['initializeProgress', 'transferProgress', 'mode', 'capabilities', 'info', 'state', 'error'] as const;
    const [first] = await retrieve(this.connection, [lease], paths);
    // What it speaks of is known here before it is shown.
    await this.caughtUp();
    const shown = this.#options.mirror.showTransient(lease, { ...first?.values }, owner);
    const spec = { objectSet: [{ obj: lease, skip: false }], propSet: [{ type: lease.type, all: true }] };
    const filter = await this.connection.call(collector, 'CreateFilter', { spec, partialUpdates: false });
    if (this.#options.mirror.references.toCenter(lease) === undefined) this.#unfollow(filter);
    else {
      this.#barriers.keep(filter.value);
      this.#leases.set(lease.value, filter);
    }
    return shown;
  }

  #leave(ref: ManagedObjectReference): void {
    if (ref.type === 'Task') this.#options.tasks.forget(ref.value);
    const filter = this.#leases.get(ref.value);
    if (ref.type !== 'HttpNfcLease' || filter === undefined) return;
    this.#leases.delete(ref.value);
    this.#unfollow(filter);
  }

  #unfollow(filter: ManagedObjectReference<'PropertyFilter'>): void {
    // A connection that broke took it along.
    this.connection
      .call(filter, 'DestroyPropertyFilter', {}, { signal: this.#cut.signal })
      .catch(() => {})
      .finally(() => this.#barriers.forget(filter.value));
  }

  async #wait(
    collector: ManagedObjectReference<'PropertyCollector'>,
    version: string,
    first: boolean,
    ends: AbortSignal,
  ): Promise<UpdateSet | undefined> {
    const { heartbeat } = this.#options;
    const patience = AbortSignal.timeout((first ? 6 : 2) * heartbeat * 1000);
    const signal = AbortSignal.any([ends, patience]);
    const options = { maxWaitSeconds: heartbeat, maxObjectUpdates };
    return this.connection.call(collector, 'WaitForUpdatesEx', { version, options }, { signal });
  }

  /** Events, then what is gone, then tasks: each finds what it speaks of. */
  async #settle(changes: readonly ObjectChange[]): Promise<void> {
    const { mirror, tasks, events } = this.#options;
    const told = changes.filter(({ ref, values, kind }) => kind !== 'leave' && ref.type === 'Task' && values.info);
    const infos = told.map(({ values }) => values.info as TaskInfo);
    await tasks.meet(infos);
    if (changes.some(({ ref }) => ref.type === 'EventManager')) await events.pull();
    await mirror.leave(changes);
    await tasks.tell(infos);
    for (const { kind, ref } of changes) if (kind === 'leave') this.#leave(ref);
  }
}
