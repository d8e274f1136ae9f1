import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Caller,
  type CallOptions,
  ClientError,
  fault,
  type ManagedObjectReference,
  retrieve,
  type Session,
  type TaskInfo,
  type UpdateSet,
  VimFault,
} from '@hypostyle/vim';
import type { CenterBase } from '../center-base.ts';
import { CenterError } from '../errors.ts';
import { type HostDocument, referenceOf } from '../inventory/entity-document.ts';
import { Barriers } from './barriers.ts';
import { boundedCaller } from './bounded-caller.ts';
import type { HostConnection } from './host-connection.ts';
import { HostEvents } from './host-events.ts';
import { type HostLayout, hostFilter, readHostLayout } from './host-layout.ts';
import { HostMirror, type HostMirrorOptions } from './host-mirror.ts';
import { HostTasks } from './host-tasks.ts';
import { changesOf, type ObjectChange } from './object-updates.ts';

export interface HostLinkOptions extends Omit<HostMirrorOptions, 'core' | 'host'> {
  readonly core: CenterBase;
  readonly host: string;
  readonly connect: (document: HostDocument, signal: AbortSignal) => Promise<HostConnection>;
  /** Seconds that a host may be silent. */
  readonly heartbeat: number;
  readonly onState: (state: 'connected' | 'notResponding', why: unknown) => void;
}

const firstPause = 500;
const longestPause = 5_000;

/** The center's line to one host: signs in, follows everything there, and carries calls; comes back when cut. */
export class HostLink {
  /** The host's reference value at the center. */
  readonly host: string;
  readonly mirror: HostMirror;
  readonly tasks: HostTasks;
  /** Why the host cannot be connected, where that was told already. */
  trouble: string | undefined;
  readonly #options: HostLinkOptions;
  readonly #core: CenterBase;
  readonly #events: HostEvents;
  readonly #stop = new AbortController();
  readonly #barriers = new Barriers();
  /** The connection once all was taken over, and the one that is being made. */
  #connection: HostConnection | undefined;
  #current: Caller | undefined;
  /** Ends what goes over the connection that is there. */
  #cut = new AbortController();
  #collector: ManagedObjectReference<'PropertyCollector'> | undefined;
  #layout: HostLayout | undefined;
  #ready = Promise.withResolvers<void>();
  #running: Promise<void> | undefined;

  constructor(options: HostLinkOptions) {
    const { core, host } = options;
    this.host = host;
    this.#options = options;
    this.#core = core;
    this.mirror = new HostMirror(options);
    const rewrite = (value: unknown) => core.rewriter.rewriteAny(value, (ref) => this.mirror.references.toCenter(ref));
    this.tasks = new HostTasks({
      tasks: core.tasks,
      host,
      prefix: activationPrefix(core),
      rewrite: (info) =>
        core.rewriter.rewrite({ name: 'TaskInfo', array: false }, info, (ref) => this.mirror.references.toCenter(ref)),
      cancel: async (task) => {
        await this.call(task, 'CancelTask', {});
      },
      history: (activationIds) => this.#taskHistory(activationIds),
    });
    this.#events = new HostEvents({ core, host, rewrite, chain: (key) => this.tasks.chain(key) });
  }

  get connected(): boolean {
    return this.#connection !== undefined;
  }

  /** What the host has once. Throws HostNotConnected. */
  get layout(): HostLayout {
    if (this.#layout === undefined || !this.connected) throw this.#away();
    return this.#layout;
  }

  /** Resolves when the host is connected and all of it was taken over. Rejects when the signal fires. */
  async ready(signal: AbortSignal): Promise<void> {
    const aborted = Promise.withResolvers<never>();
    const abort = () => aborted.reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    try {
      signal.throwIfAborted();
      await Promise.race([this.#ready.promise, aborted.promise]);
    } finally {
      signal.removeEventListener('abort', abort);
      aborted.promise.catch(() => {});
    }
  }

  /** Connects and stays connected. `first` is a connection that is made already. */
  start(first?: HostConnection): void {
    this.#running ??= this.#run(first).catch((error: unknown) =>
      this.#core.onDefect(`host ${this.#options.host}`, error),
    );
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error('the link is closed'));
    await this.#running;
    // Whoever waits for the host to come back waits no more.
    this.#ready.promise.catch(() => {});
    this.#ready.reject(this.#away());
  }

  /** The host's place in the inventory changed. */
  placeChanged(): void {
    if (this.#layout !== undefined) this.mirror.references.bindLayout(this.#layout, this.#place());
  }

  /** Calls a method on the host, all in the host's references. A fault speaks of the center's. */
  async call(
    self: ManagedObjectReference,
    method: string,
    args: Readonly<Record<string, unknown>>,
    options: CallOptions = {},
  ): Promise<unknown> {
    for (let again = false; ; again = true) {
      const connection = this.#alive();
      const cut = this.#cut;
      try {
        return await boundedCaller(connection, cut.signal).call(self as never, method as never, args as never, options);
      } catch (error) {
        if (options.signal?.aborted) throw error;
        if (cut.signal.aborted || again || !isSignedOut(error)) throw this.#translated(error, cut);
        // The session ended there, which says that nothing was done: a new one is signed in.
        cut.abort(error);
        await this.#backAgain(options.signal);
      }
    }
  }

  /** Resolves when all that the host had done before is taken over here. */
  async caughtUp(): Promise<void> {
    const connection = this.#alive();
    const collector = this.#collector;
    const layout = this.#layout;
    if (collector === undefined || layout === undefined) throw this.#away();
    // A new filter is told with everything that came before it.
    const spec = {
      objectSet: [{ obj: layout.content.rootFolder, skip: false }],
      propSet: [{ type: 'Folder', all: false, pathSet: ['name'] }],
    };
    const caller = boundedCaller(connection, this.#cut.signal);
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
    const connection = this.#alive();
    const collector = this.#collector;
    if (collector === undefined) throw this.#away();
    const paths = ['initializeProgress', 'transferProgress', 'mode', 'capabilities', 'info', 'state', 'error'] as const;
    const [first] = await retrieve(connection, [lease], paths);
    const shown = this.mirror.showTransient(lease, { ...first?.values }, owner);
    const spec = { objectSet: [{ obj: lease, skip: false }], propSet: [{ type: lease.type, all: true }] };
    await connection.call(collector, 'CreateFilter', { spec, partialUpdates: false });
    return shown;
  }

  async #run(first: HostConnection | undefined): Promise<void> {
    const { signal } = this.#stop;
    let pause = firstPause;
    let next = first;
    while (!signal.aborted) {
      try {
        const connection = next ?? (await this.#options.connect(this.#document(), signal));
        next = undefined;
        try {
          await this.#follow(connection, () => {
            pause = firstPause;
          });
        } finally {
          this.#lost();
          await connection.close().catch(() => {});
        }
      } catch (error) {
        if (signal.aborted) return;
        // A session that ended is no reason to call the host away.
        if (isSignedOut(error) && this.mirror.shown === 'connected' && pause === firstPause) {
          pause *= 2;
          continue;
        }
        if (isDefect(error)) this.#core.onDefect(`host ${this.host}`, error);
        this.#options.onState('notResponding', error);
        await sleep(pause, undefined, { signal }).catch(() => {});
        pause = Math.min(pause * 2, longestPause);
      }
    }
  }

  async #follow(connection: HostConnection, established: () => void): Promise<void> {
    const cut = new AbortController();
    this.#cut = cut;
    const { heartbeat } = this.#options;
    const ends = AbortSignal.any([this.#stop.signal, cut.signal]);
    // What is asked before the first update is small.
    const caller = boundedCaller(connection, AbortSignal.any([ends, AbortSignal.timeout(6 * heartbeat * 1000)]));
    this.#current = caller;
    const layout = await readHostLayout(caller);
    this.#checkIdentity(layout);
    const { propertyCollector } = layout.content;
    const collector = await caller.call(propertyCollector, 'CreatePropertyCollector', {});
    const main = await caller.call(collector, 'CreateFilter', { spec: hostFilter(layout), partialUpdates: false });
    this.#barriers.begin(main.value);
    this.#current = boundedCaller(connection, ends);
    await this.#events.begin(this.#current);
    this.mirror.begin(layout, this.#place());
    this.tasks.begin();
    let version = '';
    let first = true;
    let waiting: ObjectChange[] = [];
    for (;;) {
      const updates = await this.#wait(connection, collector, version, first, ends);
      if (updates === undefined) continue;
      version = updates.version;
      const changes = changesOf(updates);
      await this.mirror.enter(changes);
      waiting.push(...changes);
      // What a task did may come in several parts; its end counts once all are here.
      if (updates.truncated) continue;
      await this.#settle(waiting);
      waiting = [];
      if (first) {
        await this.mirror.complete();
        await this.tasks.complete();
        ends.throwIfAborted();
        first = false;
        this.#connection = connection;
        this.#collector = collector;
        this.#layout = layout;
        established();
        this.#options.onState('connected', undefined);
        this.#ready.resolve();
      }
      this.#barriers.pass(updates);
    }
  }

  /** Another host at the same address is not the one that this center took in. */
  #checkIdentity({ content: { about } }: HostLayout): void {
    const { identity, name } = this.#document();
    if (about.instanceUuid === identity) return;
    throw new CenterError('another-host', `${name} answers as ${about.instanceUuid ?? 'nobody'}, and was ${identity}`);
  }

  async #wait(
    connection: HostConnection,
    collector: ManagedObjectReference<'PropertyCollector'>,
    version: string,
    first: boolean,
    ends: AbortSignal,
  ): Promise<UpdateSet | undefined> {
    const { heartbeat } = this.#options;
    const patience = AbortSignal.timeout((first ? 6 : 2) * heartbeat * 1000);
    const signal = AbortSignal.any([ends, patience]);
    const options = { maxWaitSeconds: heartbeat, maxObjectUpdates: 500 };
    return connection.call(collector, 'WaitForUpdatesEx', { version, options }, { signal });
  }

  /** Events, then what is gone, then tasks: each finds what it speaks of. */
  async #settle(changes: readonly ObjectChange[]): Promise<void> {
    const told = changes.filter(({ ref, values, kind }) => kind !== 'leave' && ref.type === 'Task' && values.info);
    const infos = told.map(({ values }) => values.info as TaskInfo);
    await this.tasks.meet(infos);
    if (changes.some(({ ref }) => ref.type === 'EventManager')) await this.#events.pull();
    await this.mirror.leave(changes);
    await this.tasks.tell(infos);
    for (const { kind, ref } of changes) if (kind === 'leave' && ref.type === 'Task') this.tasks.forget(ref.value);
  }

  #lost(): void {
    const wasReady = this.#connection !== undefined;
    this.#connection = undefined;
    this.#current = undefined;
    this.#collector = undefined;
    this.#cut.abort(this.#away());
    // Whoever waits already goes on waiting.
    if (wasReady) this.#ready = Promise.withResolvers<void>();
    this.#barriers.end();
  }

  /** Resolves when a session that ended has been signed in anew. Throws HostNotConnected when that takes too long. */
  async #backAgain(signal: AbortSignal | undefined): Promise<void> {
    // The line notices in its own turn.
    await sleep(0);
    const patience = AbortSignal.timeout(this.#options.heartbeat * 1000);
    try {
      await this.ready(signal === undefined ? patience : AbortSignal.any([signal, patience]));
    } catch (error) {
      throw signal?.aborted ? error : this.#away();
    }
  }

  async #taskHistory(activationIds: readonly string[]): Promise<readonly TaskInfo[]> {
    const connection = this.#current ?? this.#alive();
    const { taskManager } = await connection.content();
    if (taskManager === undefined) return [];
    const filter = { activationId: activationIds };
    const collector = await connection.call(taskManager, 'CreateCollectorForTasks', { filter });
    try {
      await connection.call(collector, 'RewindCollector', {});
      return (await connection.call(collector, 'ReadNextTasks', { maxCount: 1_000 })) ?? [];
    } finally {
      await connection.call(collector, 'DestroyCollector', {}).catch(() => {});
    }
  }

  #document(): HostDocument {
    return this.#core.inventory.get('HostSystem', { value: this.#options.host });
  }

  /** What stands at the center for what a host has once. */
  #place() {
    const { inventory } = this.#core;
    const document = this.#document();
    const compute = inventory.above(document.value, ['ComputeResource', 'ClusterComputeResource']);
    const datacenter = inventory.above(document.value, ['Datacenter']);
    if (compute === undefined || datacenter === undefined) throw new Error(`${document.value} is in no datacenter`);
    const to = (type: string, value: string) => ({ _typeName: 'ManagedObjectReference', type, value });
    return {
      datacenter: referenceOf(datacenter),
      vmFolder: to('Folder', datacenter.vmFolder),
      hostFolder: to('Folder', datacenter.hostFolder),
      datastoreFolder: to('Folder', datacenter.datastoreFolder),
      networkFolder: to('Folder', datacenter.networkFolder),
      computeResource: referenceOf(compute),
      rootPool: to('ResourcePool', compute.pool),
      host: referenceOf(document),
      environmentBrowser: to('EnvironmentBrowser', compute.environmentBrowser),
    };
  }

  #alive(): HostConnection {
    if (this.#connection === undefined) throw this.#away();
    return this.#connection;
  }

  #away(): VimFault {
    const name = this.#core.inventory.find(this.#options.host)?.name ?? this.#options.host;
    return fault(
      'HostNotConnected',
      {},
      `The host '${name}' is not connected; wait until it is back, or reconnect it.`,
    );
  }

  #translated(error: unknown, cut: AbortController): unknown {
    if (error instanceof ClientError || cut.signal.aborted || isSignedOut(error)) return this.#away();
    if (!(error instanceof VimFault)) return error;
    const map = (ref: ManagedObjectReference) => this.mirror.references.toCenter(ref) ?? ref;
    const detail = this.#core.rewriter.rewriteAny(error.detail, map) as VimFault['detail'];
    return detail === error.detail ? error : new VimFault(error.type, detail, error.message, { cause: error });
  }
}

function isSignedOut(error: unknown): boolean {
  return error instanceof VimFault && error.type === 'NotAuthenticated';
}

/** What a host or the way to it does is none. */
function isDefect(error: unknown): boolean {
  if (error instanceof ClientError || error instanceof VimFault || error instanceof CenterError) return false;
  return !(error instanceof DOMException && error.name === 'TimeoutError');
}

/** Start of the token by which a center finds its own tasks on a host. */
export function activationPrefix(core: CenterBase): string {
  return `${core.about.instanceUuid}:`;
}
