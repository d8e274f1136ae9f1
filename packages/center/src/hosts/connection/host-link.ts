import { setTimeout as sleep } from 'node:timers/promises';
import {
  type CallOptions,
  ClientError,
  fault,
  type ManagedObjectReference,
  nextTurn,
  type Session,
  type TaskInfo,
  turnEnd,
  VimFault,
} from '@hypostyle/vim';
import type { CenterBase } from '../../center-base.ts';
import { CenterError } from '../../errors.ts';
import type { HostDocument } from '../../inventory/entity-document.ts';
import { HostEvents } from '../following/host-events.ts';
import { HostFollowing } from '../following/host-following.ts';
import { HostTasks } from '../following/host-tasks.ts';
import type { HostLayout } from '../mirror/host-layout.ts';
import { HostMirror } from '../mirror/host-mirror.ts';
import type { HostMirrorOptions } from '../mirror/mirror-context.ts';
import { boundedCaller } from './bounded-caller.ts';
import { isDefect, isSignedOut } from './connect-failure.ts';
import type { HostConnection } from './host-connection.ts';
import { hostPlace } from './host-place.ts';

export interface HostLinkOptions extends Omit<HostMirrorOptions, 'core' | 'host' | 'onRunsHere'> {
  readonly core: CenterBase;
  readonly host: string;
  readonly connect: (document: HostDocument, signal: AbortSignal) => Promise<HostConnection>;
  /** Seconds that a host may be silent. */
  readonly heartbeat: number;
  /** Resolves once the state is shown. */
  readonly onState: (state: 'connected' | 'notResponding', why: unknown) => Promise<void>;
}

const gonePrefixes: Readonly<Record<string, string>> = {
  VirtualMachine: 'vm-',
  Datastore: 'datastore-',
  Network: 'network-',
};

/** Pauses between attempts, in parts of the heartbeat. */
const firstPause = 1 / 20;
const longestPause = 1 / 2;

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
  /** The connection that there is, and whether all was taken over. */
  #following: HostFollowing | undefined;
  #established = false;
  #layout: HostLayout | undefined;
  #ready = Promise.withResolvers<void>();
  #running: Promise<void> | undefined;
  readonly #tried = Promise.withResolvers<void>();

  constructor(options: HostLinkOptions) {
    const { core, host } = options;
    this.host = host;
    this.#options = options;
    this.#core = core;
    this.mirror = new HostMirror({
      ...options,
      onRunsHere: (machine) => {
        this.tellAgain(machine).catch((error: unknown) => this.#core.onDefect(`host ${this.host}`, error));
      },
    });
    const named = (ref: ManagedObjectReference) => this.mirror.references.toCenter(ref) ?? this.#nameOfGone(ref);
    const rewrite = (value: unknown) => core.rewriter.rewriteAny(value, named);
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
    this.#events = new HostEvents({ core, host, rewrite, tasks: this.tasks });
  }

  get connected(): boolean {
    return this.#established;
  }

  /** What the host has once. Throws HostNotConnected. */
  get layout(): HostLayout {
    if (this.#layout === undefined || !this.connected) throw this.#away();
    return this.#layout;
  }

  /** Resolves when the first attempt to connect came to an end, well or not. */
  get tried(): Promise<void> {
    return this.#tried.promise;
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
    this.#tried.resolve();
    this.tasks.close(this.#away());
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
      const following = this.#alive();
      const { connection, broken } = following;
      try {
        return await boundedCaller(connection, broken).call(self as never, method as never, args as never, options);
      } catch (error) {
        if (options.signal?.aborted) throw error;
        if (broken.aborted || again || !isSignedOut(error)) throw this.#translated(error, broken);
        // The session ended there, which says that nothing was done: a new one is signed in.
        following.cut(error);
        await this.#backAgain(options.signal);
      }
    }
  }

  /** Resolves when all that the host had done before is taken over here. */
  caughtUp(): Promise<void> {
    return this.#alive().caughtUp();
  }

  /** Has a machine of the host told whole again, where the host is connected. */
  async tellAgain(machine: ManagedObjectReference): Promise<void> {
    if (this.connected) await this.#alive().tellAgain(machine);
  }

  /** A lease of the host as the center shows it to whom it belongs, until it is gone. */
  showLease(
    lease: ManagedObjectReference<'HttpNfcLease'>,
    owner: Session | undefined,
  ): Promise<ManagedObjectReference> {
    return this.#alive().showLease(lease, owner);
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
        // Many hosts that are lost at once are shown so one after another, or nobody else has a turn.
        if (performance.now() >= turnEnd()) await nextTurn();
        await this.#options.onState('notResponding', error);
        this.#tried.resolve();
        await sleep(pause * this.#options.heartbeat * 1_000, undefined, { signal }).catch(() => {});
        pause = Math.min(pause * 2, longestPause);
      }
    }
  }

  async #follow(connection: HostConnection, established: () => void): Promise<void> {
    const { heartbeat } = this.#options;
    const following = new HostFollowing({
      connection,
      mirror: this.mirror,
      tasks: this.tasks,
      events: this.#events,
      stop: this.#stop.signal,
      heartbeat,
      checkIdentity: (layout) => this.#checkIdentity(layout),
      place: () => this.#place(),
      onComplete: async (layout) => {
        this.#layout = layout;
        this.#established = true;
        established();
        await this.#options.onState('connected', undefined);
        this.#tried.resolve();
        this.#ready.resolve();
      },
    });
    this.#following = following;
    await following.run();
  }

  /** Another host at the same address is not the one that this center took in. */
  #checkIdentity({ content: { about } }: HostLayout): void {
    const { identity, name } = this.#document();
    if (about.instanceUuid === identity) return;
    throw new CenterError('another-host', `${name} answers as ${about.instanceUuid ?? 'nobody'}, and was ${identity}`);
  }

  #lost(): void {
    const wasReady = this.#established;
    const following = this.#following;
    this.#established = false;
    this.#following = undefined;
    // Whoever waits already goes on waiting.
    if (wasReady) this.#ready = Promise.withResolvers<void>();
    following?.cut(this.#away());
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
    const connection = this.#following?.caller;
    if (connection === undefined) throw this.#away();
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

  /** An event must name what it tells of, which may have come and gone while nobody looked. */
  #nameOfGone(ref: ManagedObjectReference): ManagedObjectReference | undefined {
    const prefix = gonePrefixes[ref.type];
    if (prefix === undefined) return undefined;
    const center = { _typeName: 'ManagedObjectReference', type: ref.type, value: this.#core.numbers.mint(prefix) };
    this.mirror.references.remember(ref.value, center);
    return center;
  }

  #document(): HostDocument {
    return this.#core.inventory.get('HostSystem', { value: this.#options.host });
  }

  #place() {
    return hostPlace(this.#core.inventory, this.#document());
  }

  #alive(): HostFollowing {
    if (this.#following === undefined || !this.#established) throw this.#away();
    return this.#following;
  }

  #away(): VimFault {
    const name = this.#core.inventory.find(this.#options.host)?.name ?? this.#options.host;
    return fault(
      'HostNotConnected',
      {},
      `The host '${name}' is not connected; wait until it is back, or reconnect it.`,
    );
  }

  #translated(error: unknown, broken: AbortSignal): unknown {
    if (error instanceof ClientError || broken.aborted || isSignedOut(error)) return this.#away();
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
