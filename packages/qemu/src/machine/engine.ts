import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, qemuErrors } from '../errors.ts';
import type { EngineIdentity } from '../process/identity.ts';
import { isProcessAlive } from '../process/process-status.ts';
import type { EngineExit } from '../process/spawner.ts';
import { QmpClient, QmpError } from '../qmp/qmp-client.ts';
import type { QmpEvent } from '../qmp/qmp-message.ts';
import type { RunDirectory } from './run-directory.ts';

/** How long an engine may take to end by itself before it is killed, and to be gone after that. */
const quitDeadlineMs = 5_000;
const killDeadlineMs = 10_000;
/** How long an engine whose monitor was closed may take to be gone, or to answer again. */
const closedPatienceMs = 2_000;

/** Work that waits for its answers as long as the engine lives. */
const patient = new AsyncLocalStorage<true>();

export interface EngineOptions {
  readonly identity: EngineIdentity;
  readonly run: RunDirectory;
  readonly monitor: QmpClient;
  /** Told by the process that started the engine; none after adoption. */
  readonly exit?: Promise<EngineExit | undefined>;
}

/** A machine's engine process and its monitor, connected again when the connection is lost. */
export class Engine {
  readonly identity: EngineIdentity;
  readonly run: RunDirectory;
  /** Resolves when the process is gone, and its lock with it; undefined when nobody saw how it ended. */
  readonly gone: Promise<EngineExit | undefined>;
  #monitor: QmpClient;
  readonly #exit: Promise<EngineExit | undefined> | undefined;
  readonly #detached = new AbortController();
  readonly #listeners = new Set<(event: QmpEvent) => void>();
  readonly #reconnectListeners = new Set<() => void>();
  #isGone = false;

  constructor(options: EngineOptions) {
    this.identity = options.identity;
    this.run = options.run;
    this.#monitor = options.monitor;
    this.#exit = options.exit;
    this.#attach(options.monitor);
    this.gone = this.#watch();
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  /** The answer unsubscribes. */
  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The connection was lost for a while: events may be missing. */
  onReconnect(listener: () => void): void {
    this.#reconnectListeners.add(listener);
  }

  /** Runs a monitor command; rejects with `HypervisorError`. */
  async execute(command: string, args?: object, options?: { readonly timeoutMs?: number }): Promise<unknown> {
    const { uuid } = this.identity;
    if (this.#isGone) throw qemuErrors.notRunning(uuid);
    const timeoutMs = options?.timeoutMs ?? (patient.getStore() ? Number.POSITIVE_INFINITY : undefined);
    try {
      return await this.#monitor.execute(command, args, timeoutMs === undefined ? {} : { timeoutMs });
    } catch (error) {
      // One that is killed closes its monitor before it is gone, and whoever is told that it is must find it so.
      if (error instanceof QmpError && error.kind === 'closed' && (await this.#isEnding()))
        throw qemuErrors.notRunning(uuid);
      const refused = error instanceof QmpError && error.kind === 'command';
      throw refused ? qemuErrors.refused(error.message, error) : qemuErrors.engineLost(uuid, messageOf(error), error);
    }
  }

  /**
   * Has work wait for every answer as long as the engine lives, however long that hangs, as on storage that does not
   * answer: what it was asked for it does one day, and whoever gave up before would take back what is done after.
   */
  patiently<R>(work: () => Promise<R>): Promise<R> {
    return patient.run(true, work);
  }

  isAlive(): Promise<boolean> {
    return isProcessAlive(this.identity.pid, this.identity.startTime);
  }

  /** Ends the process: asked first, then killed once it is proved to be the one. Rejects with `engine-lost`. */
  async quit(): Promise<void> {
    if (await this.#askToQuit()) {
      if (await this.#goneWithin(quitDeadlineMs)) return;
    }
    if (await this.isAlive()) process.kill(this.identity.pid, 'SIGKILL');
    if (await this.#goneWithin(killDeadlineMs)) return;
    throw qemuErrors.engineLost(this.identity.uuid, `process ${this.identity.pid} does not end, even when killed`);
  }

  /** Lets go without touching the engine. */
  detach(): void {
    this.#detached.abort();
    this.#listeners.clear();
    this.#reconnectListeners.clear();
    this.#monitor.close();
  }

  async #askToQuit(): Promise<boolean> {
    try {
      await this.#monitor.execute('quit', undefined, { timeoutMs: 2_000 });
      return true;
    } catch (error) {
      // A monitor that closes has done what it was asked, or the engine is gone.
      if (error instanceof QmpError && error.kind === 'closed' && !(await this.isAlive())) return true;
    }
    try {
      const rescue = await QmpClient.connect({ path: this.run.rescueMonitor, timeoutMs: 1_000, waitForSocketMs: 0 });
      rescue.execute('quit').catch(() => {});
      return true;
    } catch {
      return false;
    }
  }

  async #isEnding(): Promise<boolean> {
    const { signal } = this.#detached;
    if (signal.aborted) return false;
    const { promise: lives, resolve } = Promise.withResolvers<false>();
    const answers = () => resolve(false);
    this.#reconnectListeners.add(answers);
    signal.addEventListener('abort', answers);
    try {
      return await Promise.race([this.#goneWithin(closedPatienceMs), lives]);
    } finally {
      this.#reconnectListeners.delete(answers);
      signal.removeEventListener('abort', answers);
    }
  }

  async #goneWithin(milliseconds: number): Promise<boolean> {
    const timer = new AbortController();
    const late = sleep(milliseconds, false, { signal: timer.signal }).catch(() => false);
    const gone = await Promise.race([this.gone.then(() => true), late]);
    timer.abort();
    return gone;
  }

  #attach(monitor: QmpClient): void {
    this.#monitor = monitor;
    monitor.onEvent((event) => {
      for (const listener of this.#listeners) listener(event);
    });
  }

  async #watch(): Promise<EngineExit | undefined> {
    const { promise: never } = Promise.withResolvers<never>();
    const exit = this.#exit !== undefined ? this.#exit.then((end) => end ?? never) : never;
    for (;;) {
      const closed = new Promise<undefined>((resolve) => this.#monitor.onClose(() => resolve(undefined)));
      let end = await Promise.race([exit, closed]);
      if (this.#detached.signal.aborted) return never;
      const connected = await this.#connectAgain(exit);
      if (this.#detached.signal.aborted) return never;
      if (connected) {
        for (const listener of this.#reconnectListeners) listener();
        continue;
      }
      // The process is gone; its parent may be about to say how.
      if (this.#exit && !end) end = await Promise.race([exit, sleep(200, undefined)]);
      this.#isGone = true;
      this.#monitor.close();
      return end ?? undefined;
    }
  }

  /** True when connected; false when the process is gone, as `exit` tells at once, or this driver let go. */
  async #connectAgain(exit: Promise<unknown>): Promise<boolean> {
    const { signal } = this.#detached;
    for (let pause = 4; !signal.aborted && (await this.isAlive()); pause = Math.min(pause * 2, 500)) {
      try {
        const path = this.run.monitor;
        this.#attach(await QmpClient.connect({ path, timeoutMs: 2_000, waitForSocketMs: 0, signal }));
        return true;
      } catch {
        await Promise.race([exit, sleep(pause, undefined, { signal }).catch(() => {})]);
      }
    }
    return false;
  }
}
