import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { smallMachine, vmFolder } from '@hypostyle/host/testing';
import type { ManagedObjectReference, ManagedTypeName, VirtualMachineConfigInfo } from '@hypostyle/vim';
import fc from 'fast-check';
import { connectSpec, type TestCenter } from '../center-fixture.ts';
import { FollowingClient } from './following-client.ts';
import { type ModelWorld, nameOf, pick } from './model-world.ts';

type Ref = ManagedObjectReference;
type Machine = ManagedObjectReference<'VirtualMachine'>;

/** What an operation is done with: numbers that choose among what there is. */
export interface Choice {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  /** False where the next operation does not wait for its end. */
  readonly wait: boolean;
}

type Operation = (world: ModelWorld, choice: Choice) => Promise<unknown>;

/** Milliseconds that an operation may take on a machine with other work. */
const patience = 15_000;

const machineName = (at: number) => `machine ${at % 6}`;
const folderName = (at: number) => `folder ${at % 4}`;
const uuids = ['a', 'b', 'c'].map((letter) => `52000000-0000-4000-8000-00000000000${letter}`);

function config(name: string, { a, b }: Choice): Record<string, unknown> {
  const { config } = smallMachine(name) as { config: Record<string, unknown> };
  return a % 4 === 0 ? { ...config, instanceUuid: pick(uuids, b) } : config;
}

function change({ a, b, c }: Choice): Record<string, unknown> {
  const changes = [
    { annotation: `note ${b}` },
    { numCPUs: 1 + (b % 4) },
    { memoryMB: 64 * (1 + (b % 4)) },
    { instanceUuid: pick(uuids, b) },
    { name: machineName(c) },
    { extraConfig: [{ _typeName: 'OptionValue', key: 'guestinfo.x', value: String(c) }] },
  ];
  return { spec: { _typeName: 'VirtualMachineConfigSpec', ...pick(changes, a) } };
}

const powerMethods = ['PowerOnVM_Task', 'PowerOffVM_Task', 'SuspendVM_Task', 'ResetVM_Task'];

/** A task of the center: begun, and waited for if told. */
function atCenter(
  type: ManagedTypeName,
  call: (choice: Choice, center: TestCenter) => [string, Record<string, unknown>],
): Operation {
  return async (world, choice) => {
    const { center } = world;
    const self = pick(center.all(type), choice.a + choice.c);
    if (self === undefined) return;
    const [method, args] = call(choice, center);
    await world.attempt(() => invoke(center, self, method, args), choice.wait);
  };
}

function invoke(center: TestCenter, self: Ref, method: string, args: Record<string, unknown>): Promise<unknown> {
  return method.endsWith('_Task') ? center.task(self, method, args) : center.call(self, method, args);
}

function onHost(
  call: (
    choice: Choice,
    machines: readonly Machine[],
    world: ModelWorld,
    name: string,
  ) => [Ref, string, Record<string, unknown>] | undefined,
): Operation {
  return async (world, choice) => {
    const name = pick(world.names, choice.b);
    if (name === undefined) return;
    const daemon = world.daemon(name);
    remember(world, name);
    const found = call(choice, daemon.machines(), world, name);
    if (found === undefined) return;
    const [self, method, args] = found;
    const work = () => (method.endsWith('_Task') ? daemon.task(self, method, args) : daemon.call(self, method, args));
    await world.attempt(work, choice.wait, world.endOf(daemon));
  };
}

/** Keeps what a host has, and its path, so that it can be registered again. */
function remember(world: ModelWorld, name: string): void {
  const paths = world.paths.get(name) ?? new Set<string>();
  world.paths.set(name, paths);
  const daemon = world.daemon(name);
  for (const machine of daemon.machines()) {
    world.had(name).add(machine.value);
    const path = (daemon.read(machine, 'config') as VirtualMachineConfigInfo | undefined)?.files?.vmPathName;
    if (path !== undefined) paths.add(path);
  }
}

function onMachine(call: (choice: Choice) => [string, Record<string, unknown>]): Operation {
  return onHost((choice, machines) => {
    const machine = pick(machines, choice.a);
    return machine === undefined ? undefined : [machine, ...call(choice)];
  });
}

const places = (center: TestCenter, { b, c }: Choice) => {
  const folders = center.all('Folder').filter((folder) => folder.value.startsWith('group-v'));
  return { folder: pick(folders, b), pool: pick(center.all('ResourcePool'), c) };
};

export const operations: Readonly<Record<string, readonly [weight: number, Operation]>> = {
  'center: create': [
    6,
    async (world, choice) => {
      const { center } = world;
      const { folder, pool } = places(center, choice);
      if (folder === undefined || pool === undefined) return;
      const args = { config: config(machineName(choice.c), choice), pool };
      await world.attempt(() => center.task(folder, 'CreateVM_Task', args), choice.wait);
    },
  ],
  'center: register': [
    3,
    async (world, choice) => {
      const { center } = world;
      const { folder, pool } = places(center, choice);
      for (const name of world.names) remember(world, name);
      const path = pick([...(world.paths.get(pick(world.names, choice.a) ?? '') ?? [])], choice.c);
      if (folder === undefined || pool === undefined || path === undefined) return;
      const args = { path, asTemplate: false, pool, ...(choice.a % 2 === 0 ? {} : { name: machineName(choice.b) }) };
      await world.attempt(() => center.task(folder, 'RegisterVM_Task', args), choice.wait);
    },
  ],
  'center: unregister': [2, atCenter('VirtualMachine', () => ['UnregisterVM', {}])],
  'center: destroy machine': [2, atCenter('VirtualMachine', () => ['Destroy_Task', {}])],
  'center: rename machine': [3, atCenter('VirtualMachine', ({ b }) => ['Rename_Task', { newName: machineName(b) }])],
  'center: reconfigure': [4, atCenter('VirtualMachine', (choice) => ['ReconfigVM_Task', change(choice)])],
  'center: power': [4, atCenter('VirtualMachine', ({ b }) => [pick(powerMethods, b) ?? '', {}])],
  'center: create folder': [2, atCenter('Folder', ({ b }) => ['CreateFolder', { name: folderName(b) }])],
  'center: rename folder': [1, atCenter('Folder', ({ b }) => ['Rename_Task', { newName: folderName(b) }])],
  'center: destroy folder': [1, atCenter('Folder', () => ['Destroy_Task', {}])],
  'center: move machines': [
    3,
    atCenter('Folder', ({ b, c }, center) => {
      const machines = center.all('VirtualMachine');
      const list = [pick(machines, b), pick(machines, c)].filter((machine) => machine !== undefined);
      return ['MoveIntoFolder_Task', { list }];
    }),
  ],
  'center: move folder': [
    2,
    atCenter('Folder', ({ b }, center) => ['MoveIntoFolder_Task', { list: [pick(center.all('Folder'), b)] }]),
  ],
  'center: create datacenter': [
    1,
    atCenter('Folder', ({ b }) => ['CreateDatacenter', { name: `datacenter ${b % 2}` }]),
  ],
  'center: create cluster': [
    1,
    async (world, choice) => {
      const { center } = world;
      const args = { name: `cluster ${choice.b % 2}`, spec: { _typeName: 'ClusterConfigSpecEx' } };
      await world.attempt(() => center.call(center.hostFolder(), 'CreateClusterEx', args), choice.wait);
    },
  ],
  'center: create pool': [
    2,
    atCenter('ResourcePool', ({ b }) => ['CreateResourcePool', { name: `pool ${b % 3}`, spec: poolSpec() }]),
  ],
  'center: destroy pool': [1, atCenter('ResourcePool', () => ['Destroy_Task', {}])],
  'center: move into pool': [
    2,
    atCenter('ResourcePool', ({ b, c }, center) => {
      const list = b % 2 === 0 ? [pick(center.all('ResourcePool'), c)] : [pick(center.all('VirtualMachine'), c)];
      return ['MoveIntoResourcePool', { list: list.filter((one) => one !== undefined) }];
    }),
  ],
  'center: rename datastore': [1, atCenter('Datastore', ({ b }) => ['RenameDatastore', { newName: `store ${b % 3}` }])],
  'center: maintenance': [
    1,
    atCenter('HostSystem', ({ b }) => [
      b % 3 === 0 ? 'EnterMaintenanceMode_Task' : 'ExitMaintenanceMode_Task',
      { timeout: 1 },
    ]),
  ],
  'center: add host': [
    4,
    async (world, choice) => {
      const { center } = world;
      const name = pick(world.names.slice(1), choice.a);
      if (name === undefined) return;
      const clusters = center.all('ClusterComputeResource');
      const cluster = choice.b % 2 === 0 ? pick(clusters, choice.c) : undefined;
      const work =
        cluster === undefined
          ? () => center.addHost(name)
          : () => center.task(cluster, 'AddHost_Task', { spec: connectSpec(name), asConnected: true });
      await world.attempt(work, choice.wait);
    },
  ],
  'center: disconnect host': [
    1,
    async (world, { a, wait }) => {
      const host = pick([...world.center.center.core.inventory.all('HostSystem')], a);
      if (host === undefined) return;
      world.truth.letGo(nameOf(host));
      const self = { type: 'HostSystem', value: host.value } as const;
      await world.attempt(() => world.center.task(self, 'DisconnectHost_Task'), wait);
    },
  ],
  'center: reconnect host': [2, atCenter('HostSystem', () => ['ReconnectHost_Task', {}])],
  'center: remove host': [
    1,
    async (world, choice) => {
      const { center } = world;
      const host = pick(
        [...center.center.core.inventory.all('HostSystem')].filter(({ address }) => !address.local),
        choice.a,
      );
      if (host === undefined) return;
      world.truth.left(nameOf(host));
      const self = {
        type: choice.b % 2 === 0 ? 'HostSystem' : 'ComputeResource',
        value: choice.b % 2 === 0 ? host.value : (host.parent ?? ''),
      };
      await world.attempt(async () => {
        await center
          .task({ type: 'HostSystem', value: host.value }, 'EnterMaintenanceMode_Task', { timeout: 1 })
          .catch(() => {});
        await center.task(self, 'Destroy_Task');
      }, true);
    },
  ],

  'host: create': [
    5,
    onHost((choice) => [
      vmFolder,
      'CreateVM_Task',
      { ...smallMachine(''), config: config(machineName(choice.c), choice) },
    ]),
  ],
  'host: register': [
    3,
    onHost(({ a, c }, _machines, world, name) => {
      const path = pick([...(world.paths.get(name) ?? [])], c);
      const named = a % 2 === 0 ? {} : { name: machineName(a) };
      return path === undefined
        ? undefined
        : [
            vmFolder,
            'RegisterVM_Task',
            { path, asTemplate: false, pool: { type: 'ResourcePool', value: 'ha-root-pool' }, ...named },
          ];
    }),
  ],
  'host: unregister': [2, onMachine(() => ['UnregisterVM', {}])],
  'host: destroy machine': [2, onMachine(() => ['Destroy_Task', {}])],
  'host: rename machine': [2, onMachine(({ c }) => ['Rename_Task', { newName: machineName(c) }])],
  'host: reconfigure': [4, onMachine((choice) => ['ReconfigVM_Task', change(choice)])],
  'host: power': [4, onMachine(({ c }) => [pick(powerMethods, c) ?? '', {}])],
  'host: engine ends': [
    1,
    async (world, { a, b }) => {
      const computer = world.network.computers.get(pick(world.names, b) ?? '');
      const lock = pick([...(computer?.engines.engines.keys() ?? [])], a);
      if (lock !== undefined) computer?.engines.end(lock, a % 2 === 0 ? 'crashed' : 'guest-shutdown');
    },
  ],
  'host: add datastore': [
    2,
    onHost(({ a, c }, _machines, world, name) => {
      // Now and then a folder that another host has too.
      const owner = a % 3 === 0 ? pick(world.names, c) : name;
      const directory = join(world.network.computers.get(owner ?? name)?.directory ?? '', `store${a % 2}`);
      return [
        { type: 'HostDatastoreSystem', value: 'ha-datastoresystem' },
        'CreateLocalDatastore',
        { name: `store ${c % 3}`, path: directory },
      ];
    }),
  ],
  'host: remove datastore': [
    1,
    async (world, choice) => {
      const name = pick(world.names, choice.b) ?? '';
      const daemon = world.daemon(name);
      const store = pick([...daemon.host.registry.all('Datastore')], choice.a);
      if (store === undefined) return;
      await world.attempt(() => daemon.call(store.ref, 'DestroyDatastore'), choice.wait, world.endOf(daemon));
    },
  ],
  'host: rename datastore': [
    2,
    async (world, choice) => {
      const daemon = world.daemon(pick(world.names, choice.b) ?? '');
      const store = pick([...daemon.host.registry.all('Datastore')], choice.a);
      if (store === undefined) return;
      await world.attempt(
        () => daemon.call(store.ref, 'RenameDatastore', { newName: `store ${choice.c % 3}` }),
        choice.wait,
        world.endOf(daemon),
      );
    },
  ],
  'host: copy a machine': [
    2,
    async (world, { a, b, c }) => {
      const from = pick(world.names, a) ?? '';
      const to = pick(world.names, b) ?? '';
      remember(world, from);
      const path = pick([...(world.paths.get(from) ?? [])], c);
      const match = /^\[datastore1\] (?<folder>[^/]+)\/(?<file>.*)$/.exec(path ?? '');
      const there = world.network.computers.get(from)?.datastore;
      const here = world.network.computers.get(to)?.datastore;
      if (!match?.groups || there === undefined || here === undefined) return;
      const { folder = '', file = '' } = match.groups;
      const copy = `copy ${c % 3}`;
      await cp(join(there, folder), join(here, copy), { recursive: true }).catch(() => {});
      const daemon = world.daemon(to);
      const args = {
        path: `[datastore1] ${copy}/${file}`,
        asTemplate: false,
        pool: { type: 'ResourcePool', value: 'ha-root-pool' },
      };
      await world.attempt(() => daemon.task(vmFolder, 'RegisterVM_Task', args), true, world.endOf(daemon));
    },
  ],

  'the line is cut': [3, async (world, { a }) => world.network.cut(pick(world.names, a) ?? '')],
  'the line is back': [3, async (world, { a }) => world.network.heal(pick(world.names, a) ?? '')],
  'sessions end': [1, async (world, { a }) => world.network.endSessions(pick(world.names, a) ?? '')],
  'a host restarts': [2, async (world, { a }) => world.restart(pick(world.names, a) ?? '')],
  'a host is killed': [2, async (world, { a }) => void (await world.network.kill(pick(world.names, a) ?? ''))],
  'a host is backed up': [
    1,
    async (world, { a }) => {
      const name = pick(world.names, a) ?? '';
      const disk = world.network.computers.get(name)?.disk;
      if (disk !== undefined) world.backups.set(name, disk.copy());
    },
  ],
  'a host is restored': [
    1,
    async (world, { a }) => {
      const name = pick([...world.backups.keys()], a);
      const disk = name === undefined ? undefined : world.backups.get(name);
      if (name === undefined || disk === undefined) return;
      world.truth.left(name);
      world.forgetSeen(name);
      await world.network.kill(name, disk.copy());
    },
  ],
  'the center restarts': [
    1,
    async (world) => {
      await world.closeCenter();
      await world.openCenter();
    },
  ],
  'the center is killed': [
    2,
    async (world) => {
      world.killCenter();
      await world.openCenter();
    },
  ],
  'the center is backed up': [
    1,
    async (world) => {
      world.centerBackup = world.disk.copy();
    },
  ],
  'the center is restored': [
    2,
    async (world) => {
      if (world.centerBackup === undefined) return;
      world.killCenter();
      world.disk = world.centerBackup.copy();
      world.forgetSeen();
      world.truth.restored(world.names);
      await world.openCenter();
    },
  ],
  'a client comes': [
    1,
    async (world) => {
      if (world.clients.length < 5) world.clients.push(await FollowingClient.open(world.center));
    },
  ],
  'a client looks': [4, async (world, { a }) => pick(looking(world), a)?.pull()],
  'a client loses an answer': [2, async (world, { a }) => pick(looking(world), a)?.pull(true)],
  'all is quiet': [2, (world) => world.rest()],
};

function looking({ clients }: ModelWorld): FollowingClient[] {
  return clients.filter(({ waits }) => !waits);
}

function poolSpec(): Record<string, unknown> {
  const allocation = {
    _typeName: 'ResourceAllocationInfo',
    reservation: 0n,
    expandableReservation: true,
    limit: -1n,
    shares: { _typeName: 'SharesInfo', shares: 4000, level: 'normal' },
  };
  return { _typeName: 'ResourceConfigSpec', cpuAllocation: allocation, memoryAllocation: allocation };
}

/** A name of an operation and what it is done with. */
export interface Step extends Choice {
  readonly name: string;
}

export function anyStep(): fc.Arbitrary<Step> {
  const number = fc.nat({ max: 60 });
  const names = Object.entries(operations).map(([name, [weight]]) => ({ weight, arbitrary: fc.constant(name) }));
  return fc.record({ name: fc.oneof(...names), a: number, b: number, c: number, wait: fc.boolean() });
}

export async function play(world: ModelWorld, { name, ...choice }: Step): Promise<void> {
  const done = Promise.resolve(operations[name]?.[1](world, choice));
  await inTime(world, name, done);
}

/** The promise, or what is not over when it takes very long. */
export async function inTime(world: ModelWorld, what: string, done: Promise<unknown>): Promise<void> {
  const given = new AbortController();
  const late = sleep(patience, undefined, { signal: given.signal }).then(() => {
    throw new Error(`'${what}' does not end\n${world.describe()}`);
  });
  await Promise.race([done, late]).finally(() => given.abort());
}
