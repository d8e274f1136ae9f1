import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Daemon } from '@hypostyle/host/testing';
import { type ManagedObjectReference, MemoryPersistence, VimFault } from '@hypostyle/vim';
import { type HostDocument, referenceOf } from '../../inventory/entity-document.ts';
import { HostNetwork, TestCenter } from '../center-fixture.ts';
import { EventTruth } from './event-truth.ts';
import { FollowingClient } from './following-client.ts';
import { checkHost } from './host-union.ts';
import { checkLists, checkReferences, checkRequired } from './inventory-checks.ts';

/** A center, hosts that it has or may have, and clients of it. */
export class ModelWorld {
  readonly network = new HostNetwork();
  disk = new MemoryPersistence();
  readonly names: readonly string[];
  readonly clients: FollowingClient[] = [];
  /** `.vmx` files that there are or were, by host. */
  readonly paths = new Map<string, Set<string>>();
  /** Older disks of hosts. */
  readonly backups = new Map<string, MemoryPersistence>();
  /** An older disk of the center. */
  centerBackup: MemoryPersistence | undefined;
  readonly truth = new EventTruth();
  #center: TestCenter | undefined;
  #died = Promise.withResolvers<void>();
  /** References of machines, datastores and networks at the last rest, by host and the host's reference. */
  #seen = new Map<string, string>();
  /** What each host ever had, by its own references. */
  readonly #had = new Map<string, Set<string>>();
  readonly #ends = new WeakMap<Daemon, PromiseWithResolvers<void>>();
  #running = new Set<Promise<unknown>>();

  constructor(hosts: number) {
    this.names = ['local', ...Array.from({ length: hosts - 1 }, (_, index) => `host${index + 1}`)];
  }

  get center(): TestCenter {
    assert.ok(this.#center);
    return this.#center;
  }

  async open(): Promise<void> {
    for (const name of this.names) await this.network.add(name);
    await this.openCenter();
  }

  async openCenter(): Promise<void> {
    this.#died = Promise.withResolvers();
    // The host of the same process is never far.
    this.network.heal('local');
    this.#center = await TestCenter.open(this.network, this.disk, 'local');
    for (const waits of [false, true]) this.clients.push(await FollowingClient.open(this.center, waits));
    for (const host of this.center.center.core.inventory.all('HostSystem')) this.truth.joined(this, nameOf(host));
  }

  async closeCenter(): Promise<void> {
    const { center } = this;
    this.#leaveClients();
    this.#died.resolve();
    await center.close();
    assert.deepEqual(center.defects, []);
  }

  killCenter(): void {
    const { center } = this;
    this.#leaveClients();
    this.#died.resolve();
    center.kill();
    this.network.hangUp();
    assert.deepEqual(center.defects, []);
  }

  #leaveClients(): void {
    for (const client of this.clients) client.end();
    this.clients.length = 0;
  }

  /** Ends when a host's process does. */
  endOf(daemon: Daemon): Promise<void> {
    return Promise.race([daemon.store.died, this.#endOf(daemon).promise]);
  }

  /** Ends the host's process, and starts another one. */
  async restart(name: string): Promise<void> {
    const daemon = this.daemon(name);
    await this.network.restart(name);
    this.#endOf(daemon).resolve();
  }

  #endOf(daemon: Daemon): PromiseWithResolvers<void> {
    const end = this.#ends.get(daemon) ?? Promise.withResolvers<void>();
    this.#ends.set(daemon, end);
    return end;
  }

  daemon(name: string): Daemon {
    const daemon = this.network.daemons.get(name);
    assert.ok(daemon);
    return daemon;
  }

  /** The host at the center, if it is there. */
  hostOf(name: string) {
    return [...this.center.center.core.inventory.all('HostSystem')].find((host) => nameOf(host) === name);
  }

  /** Does something that may be refused; waits for its end if told, or until the process that does it is gone. */
  async attempt(
    work: () => Promise<unknown>,
    wait: boolean,
    process: Promise<unknown> = this.#died.promise,
  ): Promise<void> {
    const done = work().catch((error: unknown) => {
      if (!(error instanceof VimFault)) throw error;
      return error;
    });
    const ended = Promise.race([done, process]);
    this.#running.add(ended);
    ended.finally(() => this.#running.delete(ended)).catch(() => {});
    if (!wait) return;
    // What waits for a host that is away would wait for good, and one may be left alone at any moment.
    await Promise.race([ended, this.#someAway(ended)]);
  }

  /** Waits until everything is quiet, and looks whether all is as it must be. */
  async rest(): Promise<void> {
    for (const name of this.names) this.network.heal(name);
    const { center } = this;
    const { core } = center.center;
    while (this.#running.size > 0) {
      await Promise.race([Promise.all(this.#running), sleep(100)]);
      // What a host has begun ends when it is back.
      for (const host of core.inventory.all('HostSystem'))
        if (host.disconnected && core.tasks.owned.of(host.value).length > 0)
          await center.task(referenceOf(host), 'ReconnectHost_Task').catch(() => {});
    }
    for (let version = -1; version !== center.center.registry.version; ) {
      version = center.center.registry.version;
      for (const host of core.inventory.all('HostSystem')) if (!host.disconnected) await this.#catchUp(host);
      await center.until(() => center.all('Task').every((task) => this.#isOver(task)));
    }
    await core.events.flush();
    for (const host of core.inventory.all('HostSystem'))
      if (!host.disconnected) checkHost(center, host, this.daemon(nameOf(host)), this.had(nameOf(host)));
    checkLists(center);
    checkRequired(center);
    for (const client of this.clients) await client.check();
    checkReferences(center.center.registry, 'center');
    for (const [name, { host }] of this.network.daemons) checkReferences(host.registry, name);
    await this.truth.check(this);
    this.#checkSeen();
    assert.deepEqual(center.defects, []);
    for (const [name, computer] of this.network.computers) assert.deepEqual(computer.defects, [], name);
  }

  /** What is not over yet: for whoever wonders why it does not end. */
  describe(): string {
    const { center } = this;
    const open = center.all('Task').filter((task) => !this.#isOver(task));
    const hosts = [...center.center.core.inventory.all('HostSystem')];
    return [
      ...open.map((task) =>
        JSON.stringify(center.read(task, 'info'), (_, v) => (typeof v === 'bigint' ? String(v) : v)),
      ),
      ...hosts.map(
        (host) =>
          `${nameOf(host)} ${host.value}: ${center.state(referenceOf(host))} ${host.disconnected ? 'disconnected' : ''} ${this.network.isCut(nameOf(host)) ? 'cut' : ''}`,
      ),
      `${this.#running.size} calls are under way`,
    ].join('\n');
  }

  /** What a host has now, or any, is no more what it had, though it may be called alike. */
  forgetSeen(name?: string): void {
    for (const key of this.#seen.keys()) if (name === undefined || key.startsWith(`${name}/`)) this.#seen.delete(key);
  }

  async remove(): Promise<void> {
    this.#leaveClients();
    await this.#center?.close();
    await this.network.remove();
  }

  /** Ends soon after a host is cut off or disconnected. */
  async #someAway(ended: Promise<unknown>): Promise<void> {
    const isAway = () =>
      this.names.some((name) => this.network.isCut(name) || this.hostOf(name)?.disconnected === true);
    let over = false;
    ended
      .finally(() => {
        over = true;
      })
      .catch(() => {});
    while (!over && !isAway()) await sleep(20);
    await sleep(20);
  }

  /** A task of a host that somebody disconnected ends when it is back. */
  #isOver(task: ManagedObjectReference<'Task'>): boolean {
    const { core } = this.center.center;
    const info = this.center.read(task, 'info');
    if (info === undefined || info.state === 'success' || info.state === 'error') return true;
    const away = [...core.inventory.all('HostSystem')].filter((host) => host.disconnected);
    return away.some((host) => core.tasks.owned.of(host.value).some(({ ref }) => ref.value === task.value));
  }

  /** All that a host has is at the center. */
  async #catchUp(host: HostDocument): Promise<void> {
    const link = this.center.center.core.hosts.link(host.value);
    for (;;) {
      await this.daemon(nameOf(host)).idle();
      try {
        await link?.ready(AbortSignal.timeout(30_000));
        await link?.caughtUp();
        return;
      } catch (error) {
        // The line is lost, and has not been noticed before.
        if (!(error instanceof VimFault) || error.type !== 'HostNotConnected') throw error;
        if (this.hostOf(nameOf(host))?.disconnected !== false) return;
      }
    }
  }

  /** What a host is known to have had, by its own references. */
  had(name: string): Set<string> {
    const had = this.#had.get(name) ?? new Set();
    this.#had.set(name, had);
    return had;
  }

  /** What survives keeps its reference. */
  #checkSeen(): void {
    const now = new Map<string, string>();
    for (const machine of this.center.center.core.inventory.all('VirtualMachine')) {
      const host = this.center.center.core.inventory.get('HostSystem', { value: machine.host });
      if (machine.hostValue !== undefined) now.set(`${nameOf(host)}/${host.value}/${machine.hostValue}`, machine.value);
    }
    for (const host of this.center.center.core.inventory.all('HostSystem')) {
      const { core } = this.center.center;
      for (const value of core.hosts.shared.ofHost(host.value)) {
        const there = core.hosts.link(host.value)?.mirror.references.toHost({ type: '', value });
        if (there !== undefined) now.set(`${nameOf(host)}/${host.value}/${there.value}`, value);
      }
    }
    for (const [key, value] of this.#seen) {
      const other = now.get(key);
      if (other !== undefined) assert.equal(other, value, `${key} keeps its reference`);
    }
    this.#seen = now;
  }
}

export function nameOf(host: {
  readonly address: { readonly local: true } | { readonly local: false; readonly host: string };
}) {
  return host.address.local ? 'local' : host.address.host;
}

export function pick<T>(values: readonly T[], at: number): T | undefined {
  return values.length === 0 ? undefined : values[at % values.length];
}
