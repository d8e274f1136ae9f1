import { setTimeout as sleep } from 'node:timers/promises';
import {
  type CallOptions,
  ClientError,
  fault,
  type ManagedObjectReference,
  retrieve,
  type TaskInfo,
  type UpdateSet,
  VimFault,
} from '@hypostyle/vim';
import type { CenterBase } from '../center-base.ts';
import { type HostDocument, referenceOf } from '../inventory/entity-document.ts';
import type { HostConnection } from './host-connection.ts';
import { HostEvents } from './host-events.ts';
import { type HostLayout, hostFilter, readHostLayout } from './host-layout.ts';
import { HostMirror, type HostMirrorOptions } from './host-mirror.ts';
import { HostTasks } from './host-tasks.ts';
import { changesOf, type ObjectChange } from './object-updates.ts';

export interface HostLinkOptions extends Omit<HostMirrorOptions, 'core' | 'host'> {
  readonly core: CenterBase;
  readonly host: string;
  readonly connect: (document: HostDocument) => Promise<HostConnection>;
  /** Seconds that a host may be silent. */
  readonly heartbeat: number;
  readonly onState: (state: 'connected' | 'notResponding', why: unknown) => void;
}

interface Barrier {
  readonly filter: string;
  readonly passed: () => void;
}

const firstPause = 500;
const longestPause = 5_000;

/** The center's line to one host: signs in, follows everything there, and carries calls; comes back when cut. */
export class HostLink {
  /** The host's reference value at the center. */
  readonly host: string;
  readonly mirror: HostMirror;
  readonly tasks: HostTasks;
  readonly #options: HostLinkOptions;
  readonly #core: CenterBase;
  readonly #events: HostEvents;
  readonly #stop = new AbortController();
  readonly #barriers = new Set<Barrier>();
  /** The connection once all was taken over, and the one that is being made. */
  #connection: HostConnection | undefined;
  #current: HostConnection | undefined;
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

  /** Forgets what was taken over, as the host leaves the center. */
  async forget(): Promise<void> {
    await this.#events.forget();
  }

  /** The connection as it is, for work at the joining and leaving of the host. Throws HostNotConnected. */
  connection(): HostConnection {
    return this.#alive();
  }

  /** Calls a method on the host, all in the host's references. A fault speaks of the center's. */
  async call(
    self: ManagedObjectReference,
    method: string,
    args: Readonly<Record<string, unknown>>,
    options: CallOptions = {},
  ): Promise<unknown> {
    const connection = this.#alive();
    try {
      return await connection.call(self as never, method as never, args as never, options);
    } catch (error) {
      throw this.#translated(error);
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
    const filter = await connection.call(collector, 'CreateFilter', { spec, partialUpdates: false });
    await new Promise<void>((resolve) => {
      this.#barriers.add({ filter: filter.value, passed: resolve });
    });
    await connection.call(filter, 'DestroyPropertyFilter', {}).catch(() => {});
  }

  /** A lease of the host as the center shows it, until it is gone. */
  async showLease(lease: ManagedObjectReference<'HttpNfcLease'>): Promise<ManagedObjectReference> {
    const connection = this.#alive();
    const collector = this.#collector;
    if (collector === undefined) throw this.#away();
    const paths = ['initializeProgress', 'transferProgress', 'mode', 'capabilities', 'info', 'state', 'error'] as const;
    const [first] = await retrieve(connection, [lease], paths);
    const shown = this.mirror.showTransient(lease, { ...first?.values });
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
        const connection = next ?? (await this.#options.connect(this.#document()));
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
        this.#options.onState('notResponding', error);
        await sleep(pause, undefined, { signal }).catch(() => {});
        pause = Math.min(pause * 2, longestPause);
      }
    }
  }

  async #follow(connection: HostConnection, established: () => void): Promise<void> {
    this.#current = connection;
    const layout = await readHostLayout(connection);
    const { propertyCollector } = layout.content;
    const collector = await connection.call(propertyCollector, 'CreatePropertyCollector', {});
    await connection.call(collector, 'CreateFilter', { spec: hostFilter(layout), partialUpdates: false });
    await this.#events.begin(connection);
    this.mirror.begin(layout, this.#place());
    this.tasks.begin();
    let version = '';
    let first = true;
    let waiting: ObjectChange[] = [];
    for (;;) {
      const updates = await this.#wait(connection, collector, version, first);
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
        first = false;
        this.#connection = connection;
        this.#collector = collector;
        this.#layout = layout;
        this.mirror.setState('connected');
        established();
        this.#options.onState('connected', undefined);
        this.#ready.resolve();
      }
      this.#pass(updates);
    }
  }

  async #wait(
    connection: HostConnection,
    collector: ManagedObjectReference<'PropertyCollector'>,
    version: string,
    first: boolean,
  ): Promise<UpdateSet | undefined> {
    const { heartbeat } = this.#options;
    const patience = AbortSignal.timeout((first ? 6 : 2) * heartbeat * 1000);
    const signal = AbortSignal.any([this.#stop.signal, patience]);
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

  #pass(updates: UpdateSet): void {
    const told = new Set((updates.filterSet ?? []).map(({ filter }) => filter.value));
    for (const barrier of this.#barriers) {
      if (!told.has(barrier.filter)) continue;
      this.#barriers.delete(barrier);
      barrier.passed();
    }
  }

  #lost(): void {
    this.#connection = undefined;
    this.#current = undefined;
    this.#collector = undefined;
    this.#ready = Promise.withResolvers<void>();
    for (const barrier of this.#barriers) barrier.passed();
    this.#barriers.clear();
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

  #translated(error: unknown): unknown {
    if (error instanceof ClientError) return this.#away();
    if (!(error instanceof VimFault)) return error;
    const map = (ref: ManagedObjectReference) => this.mirror.references.toCenter(ref) ?? ref;
    const detail = this.#core.rewriter.rewriteAny(error.detail, map) as VimFault['detail'];
    return detail === error.detail ? error : new VimFault(error.type, detail, error.message, { cause: error });
  }
}

/** Start of the token by which a center finds its own tasks on a host. */
export function activationPrefix(core: CenterBase): string {
  return `${core.about.instanceUuid}:`;
}
