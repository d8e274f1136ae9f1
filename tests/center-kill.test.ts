import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { cp, mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, data, type ManagedObjectReference, type TaskInfo, VimFault } from '@hypostyle/vim';
import { added, eventually, type Machine, machineSpec, signedIn } from './harness/guest-machine.ts';
import { connectSpecOf, HostNetwork, joinHost, type NetworkNode, networksRefused } from './harness/host-network.ts';
import { sameAsTruth } from './harness/inventory-view.ts';

type Task = ManagedObjectReference<'Task'>;
type HostSystem = ManagedObjectReference<'HostSystem'>;

const skip = (await networksRefused()) ?? false;

/** Milliseconds from the calls to the center's end: from before the first is written down to after the last is over. */
const moments = [25, 100, 400, 1_000];

describe('a center that is killed', { skip }, () => {
  let network: HostNetwork;
  let client: Client;

  before(async () => {
    network = await HostNetwork.make();
    await network.center.start();
    client = await signedIn(network.center.daemon);
    await network.addHost('remote');
  });

  after(async () => {
    await client?.[Symbol.asyncDispose]().catch(() => {});
    await network?.remove();
  });

  async function restart(between: () => Promise<void> = async () => {}): Promise<void> {
    await network.center.kill();
    await client[Symbol.asyncDispose]().catch(() => {});
    await between();
    await network.center.start();
    client = await signedIn(network.center.daemon);
  }

  async function read<T>(object: ManagedObjectReference, path: string): Promise<T> {
    const [found] = await client.retrieve(object as Machine, [path]);
    return found?.values[path] as T;
  }

  /** Every object of a type by its name. */
  async function named<T extends 'HostSystem' | 'VirtualMachine' | 'Folder'>(type: T) {
    const { viewManager, rootFolder } = await client.content();
    assert.ok(viewManager);
    const selection = { container: rootFolder, type: [type], recursive: true };
    const view = await client.call(viewManager, 'CreateContainerView', selection);
    const refs = (await read<ManagedObjectReference<T>[] | undefined>(view, 'view')) ?? [];
    await client.call(view, 'DestroyView', {});
    const found = refs.length === 0 ? [] : await client.retrieve(refs, ['name']);
    return new Map(found.map(({ ref, values }) => [`${(values as { name?: string }).name}`, ref]));
  }

  async function isConnected(host: HostSystem): Promise<void> {
    const state = () => read<string>(host, 'runtime.connectionState');
    await eventually(async () => (await state()) === 'connected', `${host.value} is connected`, 60_000);
  }

  async function ended(task: Task): Promise<TaskInfo> {
    await client.waitForTask(task, { signal: AbortSignal.timeout(60_000) }).catch(() => {});
    return read<TaskInfo>(task, 'info');
  }

  async function run(call: Promise<Task>): Promise<unknown> {
    return client.waitForTask(await call);
  }

  async function unfinished(): Promise<string[]> {
    const { taskManager } = await client.content();
    assert.ok(taskManager);
    const tasks = await read<Task[]>(taskManager, 'recentTask');
    const infos = tasks.length === 0 ? [] : await client.retrieve(tasks, ['info']);
    return infos.flatMap(({ values: { info } }) =>
      info === undefined || info.state === 'success' || info.state === 'error'
        ? []
        : `${info.descriptionId} ${info.state}`,
    );
  }

  /** A host as the tests work with it: what the center calls it, and what it really has. */
  class Place {
    readonly node: NetworkNode;
    readonly host: HostSystem;
    readonly label: string;
    datastore = '';
    pool: ManagedObjectReference<'ResourcePool'> = { type: 'ResourcePool', value: '' };
    folder: ManagedObjectReference<'Folder'> = { type: 'Folder', value: '' };
    datacenter: ManagedObjectReference<'Datacenter'> = { type: 'Datacenter', value: '' };

    constructor(node: NetworkNode, host: HostSystem, label: string) {
      this.node = node;
      this.host = host;
      this.label = label;
    }

    async look(): Promise<this> {
      const compute = await read<ManagedObjectReference>(this.host, 'parent');
      this.pool = await read(compute, 'resourcePool');
      const [datastore] = await read<ManagedObjectReference[]>(this.host, 'datastore');
      this.datastore = await read(datastore as ManagedObjectReference, 'name');
      const { rootFolder } = await client.content();
      const [datacenter] = await read<ManagedObjectReference[]>(rootFolder, 'childEntity');
      this.datacenter = datacenter as ManagedObjectReference<'Datacenter'>;
      this.folder = await read(this.datacenter, 'vmFolder');
      return this;
    }

    spec(name: string) {
      const files = data('VirtualMachineFileInfo', { vmPathName: `[${this.datastore}]` });
      return { ...machineSpec(name), files };
    }

    create(config: ReturnType<Place['spec']>): Promise<Task> {
      return client.call(this.folder, 'CreateVM_Task', { config, pool: this.pool, host: this.host });
    }

    /** Files and folders of its datastore. */
    async files(): Promise<string[]> {
      return readdir(this.node.daemon.datastore, { recursive: true });
    }

    path(file: string): string {
      return join(this.node.daemon.datastore, file);
    }

    /** A signed-in client of the host's own endpoint. */
    own(): Promise<Client> {
      return signedIn({
        ...this.node.daemon,
        url: this.node.daemon.hostUrl,
        username: 'root',
        password: this.node.daemon.password,
      } as never);
    }

    async runs(machine: Machine): Promise<boolean> {
      const uuid = await read<string>(machine, 'config.uuid');
      const engines = await this.node.daemon.engines();
      return engines.some((engine) => engine.arguments.some((argument) => argument.includes(uuid)));
    }
  }

  const places: Place[] = [];

  /** The center shows what its hosts have, and nothing is under way anywhere. */
  async function atRest(): Promise<void> {
    for (const place of places) {
      await isConnected(place.host);
      const own = await place.own();
      try {
        await sameAsTruth({ client, host: place.host }, own);
        const { taskManager } = await own.content();
        assert.ok(taskManager);
        const [found] = await own.retrieve(taskManager, ['recentTask']);
        const infos = await own.retrieve(found?.values.recentTask ?? [], ['info.state', 'info.descriptionId']);
        const open = infos.filter(({ values }) => /queued|running/.test(`${values['info.state']}`));
        assert.deepEqual(open, [], `nothing is under way on the ${place.label} host`);
      } finally {
        await own[Symbol.asyncDispose]();
      }
    }
    assert.deepEqual(await unfinished(), []);
  }

  test('a host is there once it is added, or not at all, at whatever moment the center ends', async () => {
    const [remote] = network.hosts;
    assert.ok(remote);
    for (const moment of [20, 150, 600]) {
      const { rootFolder } = await client.content();
      const [datacenter] = await read<ManagedObjectReference[]>(rootFolder, 'childEntity');
      const folder = await read<ManagedObjectReference<'Folder'>>(datacenter as ManagedObjectReference, 'hostFolder');
      const spec = await connectSpecOf(remote);
      const asked = client.call(folder, 'AddStandaloneHost_Task', { spec, addConnected: true }).catch(() => undefined);
      await sleep(moment);
      await restart();
      const task = await asked;
      const info = task === undefined ? undefined : await ended(task);
      if (info !== undefined) assert.match(info.state, /success|error/, `killed after ${moment} ms`);
      const host = (await named('HostSystem')).get(remote.address);
      if (info !== undefined) assert.equal(host !== undefined, info.state === 'success', `killed after ${moment} ms`);
      if (host !== undefined) {
        await isConnected(host);
        await run(client.call(host, 'Destroy_Task', {}));
      }
      assert.ok(!(await named('HostSystem')).has(remote.address));
    }
    places.push(
      await new Place(network.center, (await named('HostSystem')).get(hostname()) as HostSystem, 'local').look(),
    );
    const host = await joinHost(client, remote);
    places.push(await new Place(remote, host, 'remote').look());
    for (const place of places) await place.look();
    await atRest();
  });

  test('tasks end truthfully at whatever moment the center ends', async () => {
    for (const place of places) {
      const file = await open(place.path('source.bin'), 'w');
      for (let mebibyte = 0; mebibyte < 64; mebibyte += 1) await file.write(randomBytes(2 ** 20));
      await file.close();
    }
    for (const [round, moment] of moments.entries()) await killedAfter(moment, round);
  });

  test('a task that goes on at a host is found again, and cancelled there from here', async () => {
    const remote = places.find(({ label }) => label === 'remote') as Place;
    const busy = (await run(remote.create(remote.spec('busy')))) as Machine;
    await run(client.call(busy, 'PowerOnVM_Task', {}));
    const task = await client.call(remote.host, 'EnterMaintenanceMode_Task', { timeout: 0 });
    await eventually(async () => (await read<TaskInfo>(task, 'info')).state === 'running', 'it waits for the machine');
    await restart();
    await isConnected(remote.host);
    assert.equal((await read<TaskInfo>(task, 'info')).state, 'running');
    await client.call(task, 'CancelTask', {});
    const info = await ended(task);
    assert.equal(info.state, 'error');
    assert.equal(info.error?.fault._typeName, 'RequestCanceled');
    assert.equal(await read(remote.host, 'runtime.inMaintenanceMode'), false);
    assert.ok(await remote.runs(busy));
    await atRest();
    await run(client.call(busy, 'PowerOffVM_Task', {}));
    await run(client.call(busy, 'Destroy_Task', {}));
  });

  test('an import ends with its center, and leaves nothing', async () => {
    for (const place of places) {
      const before = (await place.files()).sort();
      const configSpec = { ...place.spec(`import-${place.label}`), deviceChange: [] };
      const spec = data('VirtualMachineImportSpec', { configSpec });
      const { folder, host } = place;
      const lease = await client.call(place.pool, 'ImportVApp', { spec, folder, host });
      await eventually(async () => (await read(lease, 'state')) === 'ready', 'the lease is ready');
      await restart();
      await isConnected(place.host);
      await eventually(async () => (await unfinished()).length === 0, 'the import is over', 60_000);
      assert.ok(!(await named('VirtualMachine')).has(`import-${place.label}`));
      assert.deepEqual((await place.files()).sort(), before);
    }
    await atRest();
  });

  test("a center on a copy of yesterday's state shows today's hosts, and what it knew keeps its reference", async () => {
    const copy = await mkdtemp(join(tmpdir(), 'hypostyle-yesterday-'));
    try {
      const store = join(network.center.home, 'store');
      const remote = places.find(({ label }) => label === 'remote') as Place;
      const make = async (name: string) => (await run(remote.create(remote.spec(name)))) as Machine;
      const [kept, renamed, dropped] = [await make('kept'), await make('old-name'), await make('dropped')];
      await network.center.daemon.stop();
      await cp(store, copy, { recursive: true, filter: (path) => !/host\.db/.test(path) });
      await restart();

      await isConnected(remote.host);
      const future = [
        await client.call(kept, 'PowerOnVM_Task', {}),
        await client.call(renamed, 'Rename_Task', { newName: 'new-name' }),
        await remote.create(remote.spec('newer')),
      ];
      for (const task of future) assert.equal((await ended(task)).state, 'success');
      await client.call(dropped, 'UnregisterVM', {});
      const pids = await remote.node.enginePids();
      assert.equal(pids.length, 1);
      await restart(async () => {
        for (const file of await readdir(store)) if (file.startsWith('center.db')) await rm(join(store, file));
        await cp(copy, store, { recursive: true });
      });

      await Promise.all(places.map(({ host }) => isConnected(host)));
      await atRest();
      const now = await named('VirtualMachine');
      assert.deepEqual([now.get('kept'), now.get('new-name')], [kept, renamed]);
      assert.ok(now.has('newer') && !now.has('dropped') && !now.has('old-name'));
      assert.deepEqual(await remote.node.enginePids(), pids, 'no machine was touched');
      for (const task of future)
        await assert.rejects(
          client.retrieve(task, ['info']),
          (error) => error instanceof VimFault && error.type === 'ManagedObjectNotFound',
        );
      // Tasks of today must not be taken for those that are forgotten, which their hosts still know.
      const waiting = await client.call(remote.host, 'EnterMaintenanceMode_Task', { timeout: 0 });
      assert.deepEqual(waiting, future[0], 'numbers are given again');
      await restart();
      await Promise.all(places.map(({ host }) => isConnected(host)));
      assert.equal((await read<TaskInfo>(waiting, 'info')).state, 'running');
      await client.call(waiting, 'CancelTask', {});
      assert.equal((await ended(waiting)).state, 'error');
      for (const name of ['a', 'b', 'c', 'd', 'e']) {
        const task = await client.call(renamed, 'Rename_Task', { newName: name });
        await client.waitForTask(task);
        assert.equal(await read(renamed, 'name'), name);
      }
      await run(client.call(kept, 'PowerOffVM_Task', {}));
      await atRest();
      assert.deepEqual((await named('VirtualMachine')).get('e'), renamed);
    } finally {
      await rm(copy, { recursive: true, force: true });
    }
  });

  async function killedAfter(moment: number, round: number): Promise<void> {
    const { fileManager } = await client.content();
    assert.ok(fileManager);
    const prepared = await Promise.all(
      places.map(async (place) => {
        const name = (what: string) => `${what}-${place.label}-${round}`;
        const make = async (what: string) => (await run(place.create(place.spec(name(what))))) as Machine;
        const [on, rename, destroy, register] = await Promise.all(['on', 'rename', 'destroy', 'register'].map(make));
        assert.ok(on && rename && destroy && register);
        await client.call(register, 'UnregisterVM', {});
        return { place, name, on, rename, destroy };
      }),
    );
    const known = await named('VirtualMachine');
    const calls = prepared.flatMap(({ place, name, on, rename, destroy }) => {
      const { datacenter, pool, host, datastore } = place;
      const disk = eagerDisk();
      const copy = {
        sourceName: `[${datastore}] source.bin`,
        sourceDatacenter: datacenter,
        destinationName: `[${datastore}] ${name('copy')}.bin`,
        destinationDatacenter: datacenter,
      };
      const path = `[${datastore}] ${name('register')}/${name('register')}.vmx`;
      return [
        { place, kind: 'on', call: client.call(on, 'PowerOnVM_Task', {}) },
        { place, kind: 'rename', call: client.call(rename, 'Rename_Task', { newName: name('renamed') }) },
        { place, kind: 'destroy', call: client.call(destroy, 'Destroy_Task', {}) },
        { place, kind: 'create', call: place.create({ ...place.spec(name('create')), deviceChange: [disk] }) },
        {
          place,
          kind: 'register',
          call: client.call(place.folder, 'RegisterVM_Task', { path, asTemplate: false, pool, host }),
        },
        { place, kind: 'copy', call: client.call(fileManager, 'CopyDatastoreFile_Task', copy) },
      ].map(({ call, ...rest }) => ({ ...rest, call: call.catch((error: unknown) => error as Error) }));
    });
    await sleep(moment);
    await restart();

    const outcomes = new Map<string, TaskInfo | undefined>();
    for (const { place, kind, call } of calls) {
      const task = await call;
      const info = task instanceof Error ? undefined : await ended(task);
      const what = `${kind} at the ${place.label} host, killed after ${moment} ms`;
      if (info !== undefined) assert.match(info.state, /^(success|error)$/, what);
      outcomes.set(`${kind} ${place.label}`, info);
    }
    await Promise.all(places.map(({ host }) => isConnected(host)));
    await eventually(async () => (await unfinished()).length === 0, 'nothing is under way any more', 60_000);
    const now = await named('VirtualMachine');
    for (const { place, name, on } of prepared) {
      const files = await place.files();
      const is = (kind: string, done: boolean, half: boolean) => {
        const info = outcomes.get(`${kind} ${place.label}`);
        const what = `${kind} at the ${place.label} host, killed after ${moment} ms: ${info?.state} ${info?.error?.localizedMessage ?? ''}`;
        if (info !== undefined) assert.equal(done, info.state === 'success', what);
        assert.ok(!half, `${what}: it is half done`);
      };
      const engine = await place.runs(on);
      is('on', engine, engine !== ((await read(on, 'runtime.powerState')) === 'poweredOn'));
      is('rename', now.has(name('renamed')), now.has(name('renamed')) === now.has(name('rename')));
      is('destroy', !now.has(name('destroy')), now.has(name('destroy')) !== files.includes(name('destroy')));
      is('create', now.has(name('create')), now.has(name('create')) !== files.includes(name('create')));
      is('register', now.has(name('register')), !files.includes(name('register')));
      const copied = files.includes(`${name('copy')}.bin`);
      const whole = copied && (await sameContent(place.path('source.bin'), place.path(`${name('copy')}.bin`)));
      is('copy', whole, copied !== whole);
      for (const each of ['on', 'rename'] as const) {
        const ref = known.get(name(each));
        const shown = each === 'rename' && now.has(name('renamed')) ? name('renamed') : name(each);
        assert.deepEqual(now.get(shown), ref, 'a machine that stays keeps its reference');
      }
      if (engine) await run(client.call(on, 'PowerOffVM_Task', {}));
      await rm(place.path(`${name('copy')}.bin`), { force: true });
    }
    await atRest();
    const left = [...now].filter(([shown]) => shown.endsWith(`-${round}`)).map(([, ref]) => ref);
    await Promise.all(left.map((machine) => run(client.call(machine, 'Destroy_Task', {}))));
  }
});

function eagerDisk() {
  const backing = data('VirtualDiskFlatVer2BackingInfo', {
    fileName: '',
    diskMode: 'persistent',
    thinProvisioned: false,
    eagerlyScrub: true,
  });
  const disk = data('VirtualDisk', { key: -9, controllerKey: 200, capacityInKB: 2 ** 17, backing });
  return { ...added(disk), fileOperation: 'create' as const };
}

async function sameContent(a: string, b: string): Promise<boolean> {
  return (await readFile(a)).equals(await readFile(b));
}
