import assert from 'node:assert/strict';
import type { Daemon } from '@hypostyle/host/testing';
import { type Caller, createLocalCaller, type ManagedObjectReference, type TaskInfo } from '@hypostyle/vim';
import type { Center } from '../../center.ts';
import { activationPrefix } from '../../hosts/connection/host-link.ts';
import type { HostDocument } from '../../inventory/entity-document.ts';
import type { TestCenter } from '../center-fixture.ts';

/** A center, and the hosts that it may have. */
interface TruthfulWorld {
  readonly center: TestCenter;
  readonly names: readonly string[];
  daemon(name: string): Daemon;
  hostOf(name: string): HostDocument | undefined;
}

interface SeenEvent {
  readonly _typeName?: string;
  readonly key: number;
  readonly createdTime: string;
  readonly vm?: { readonly name: string; readonly vm: ManagedObjectReference };
  readonly userName: string;
}

interface Endpoint {
  readonly sessions: Center['sessions'];
  readonly dispatcher: Center['dispatcher'];
  readonly registry: Center['registry'];
}

function callerOf({ sessions, dispatcher, registry }: Endpoint, userName: string): Caller {
  const { session } = sessions.openInternal({ userName });
  return createLocalCaller({ dispatcher, registry, session });
}

/** All events of an endpoint, oldest first. */
async function eventsOf(endpoint: Endpoint, userName: string): Promise<SeenEvent[]> {
  const caller = callerOf(endpoint, userName);
  const { eventManager } = await caller.content();
  assert.ok(eventManager);
  const collector = await caller.call(eventManager, 'CreateCollectorForEvents', { filter: {} });
  await caller.call(collector, 'RewindCollector', {});
  const all: SeenEvent[] = [];
  for (;;) {
    const page = (await caller.call(collector, 'ReadNextEvents', { maxCount: 500 })) ?? [];
    all.push(...(page as unknown as SeenEvent[]));
    if (page.length < 500) break;
  }
  await caller.call(collector, 'DestroyCollector', {});
  return all.sort((a, b) => a.key - b.key);
}

async function tasksOf(endpoint: Endpoint, userName: string): Promise<TaskInfo[]> {
  const caller = callerOf(endpoint, userName);
  const { taskManager } = await caller.content();
  assert.ok(taskManager);
  const collector = await caller.call(taskManager, 'CreateCollectorForTasks', { filter: {} });
  await caller.call(collector, 'RewindCollector', {});
  const all: TaskInfo[] = [];
  for (;;) {
    const page = (await caller.call(collector, 'ReadNextTasks', { maxCount: 500 })) ?? [];
    all.push(...page);
    if (page.length < 500) break;
  }
  await caller.call(collector, 'DestroyCollector', {});
  return all;
}

const administrator = 'VSPHERE.LOCAL\\administrator';

/** Events that a host posts of machines: no center posts them of itself. */
const ofMachines =
  /^Vm(Created|BeingCreated|Registered|Removed|Renamed|Reconfigured|PoweredOn|PoweredOff|Suspended|Starting|Stopping|Resuming|Suspending|Resetting|InstanceUuidChanged|UuidChanged)Event$/;

/** What is known of each host's events: all of a time in which it was surely followed must be at the center, once. */
export class EventTruth {
  /** Key of the first event that the center must have, by host; none while it need not have any. */
  readonly #from = new Map<string, number>();
  /** When the center was put back to an older state. */
  #restoredAt = 0;
  /** Hosts that somebody disconnected: whatever waited for them was told that they are away. */
  readonly #letGo = new Set<string>();

  /** The center follows the host from now on, or did already. */
  joined(world: TruthfulWorld, name: string): void {
    if (this.#from.has(name)) return;
    this.#from.set(name, latest(world, name) + 1);
  }

  /** Somebody disconnects the host. */
  letGo(name: string): void {
    this.#letGo.add(name);
  }

  /** The center follows the host no more, or the host counts anew. */
  left(name: string): void {
    this.#from.delete(name);
  }

  /** The center was put back to an older state: what it had done since it knows no more. */
  restored(names: readonly string[]): void {
    this.#restoredAt = Date.now();
    for (const name of names) {
      this.left(name);
      // The older state may be one in which the host was let go.
      this.letGo(name);
    }
  }

  async check(world: TruthfulWorld): Promise<void> {
    const { center } = world;
    const here = (await eventsOf(center.center, administrator)).filter(isOfMachine);
    const counts = new Map<string, number>();
    for (const event of here) counts.set(signOf(event), (counts.get(signOf(event)) ?? 0) + 1);
    // Two hosts may post alike in one millisecond.
    const most = new Map<string, number>();
    const least = new Map<string, number>();
    const add = (to: Map<string, number>, sign: string) => to.set(sign, (to.get(sign) ?? 0) + 1);
    for (const name of world.names) {
      const from = this.#from.get(name) ?? Number.POSITIVE_INFINITY;
      const isFollowed = world.hostOf(name)?.disconnected === false;
      for (const event of (await eventsOf(world.daemon(name).host, 'root')).filter(isOfMachine)) {
        add(most, signOf(event));
        if (isFollowed && event.key >= from) add(least, signOf(event));
      }
      if (isFollowed) this.joined(world, name);
    }
    for (const [sign, count] of counts)
      if (most.has(sign)) assert.ok(count <= (most.get(sign) ?? 0), `${sign} is at the center ${count} times`);
    for (const [sign, count] of least)
      assert.ok((counts.get(sign) ?? 0) >= count, `${sign} is at the center: ${counts.get(sign) ?? 0} of ${count}`);
    for (const event of here)
      if (event.vm !== undefined)
        assert.match(event.vm.vm.value, /^vm-\d+$/, `${event._typeName} names the machine as the center does`);
    await this.#checkTasks(world);
  }

  /** Every task that the center began on a host ended there as it ended here. */
  async #checkTasks(world: TruthfulWorld): Promise<void> {
    const { center } = world;
    const prefix = activationPrefix(center.center.core);
    const here = new Map((await tasksOf(center.center, administrator)).map((info) => [tokenOf(info), info]));
    for (const name of world.names) {
      if (world.hostOf(name)?.disconnected !== false) continue;
      const seen = new Set<string>();
      for (const info of await tasksOf(world.daemon(name).host, 'root')) {
        if (!info.activationId?.startsWith(prefix)) continue;
        const key = info.activationId.slice(prefix.length);
        assert.ok(!seen.has(key), `${name}: ${key} was begun once`);
        seen.add(key);
        // A part of a task of the center ends as it will.
        const own = here.get(key.split('/', 1)[0] ?? '');
        if (own === undefined && begunAt(key) <= this.#restoredAt) continue;
        assert.ok(own !== undefined, `${name}: ${info.descriptionId} ${key} is a task of the center`);
        if (key.includes('/') || this.#from.get(name) === undefined) continue;
        if (own.error?.fault._typeName === 'HostNotConnected' && this.#letGo.has(name)) continue;
        assert.equal(
          own.state,
          info.state,
          `${name}: ${info.descriptionId} ${key} ends alike: ${own.error?.localizedMessage}`,
        );
        if (own.error !== undefined)
          assert.equal(own.error.fault._typeName, info.error?.fault._typeName, `${name}: ${key} fails alike`);
      }
    }
  }
}

function isOfMachine({ _typeName = '' }: SeenEvent): boolean {
  return ofMachines.test(_typeName);
}

/** By what a host's task names the center's that it was begun for. */
function tokenOf({ key, queueTime }: TaskInfo): string {
  return `${key}@${Date.parse(queueTime).toString(36)}`;
}

/** When the center's task was begun that a token names. */
function begunAt(token: string): number {
  return Number.parseInt(token.split(/[@/]/)[1] ?? '', 36);
}

/** What makes an event the same there and here. */
function signOf({ _typeName, createdTime, vm }: SeenEvent): string {
  return `${_typeName} ${createdTime} ${vm?.name}`;
}

function latest(world: TruthfulWorld, name: string): number {
  const event = world
    .daemon(name)
    .host.registry.get({ type: 'EventManager', value: 'ha-eventmgr' })
    ?.value('latestEvent');
  return (event as { readonly key?: number } | undefined)?.key ?? 0;
}
