import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { GuestConsole } from '@hypostyle/contracts/testing';
import { type Client, data, type Event, type ManagedObjectReference, VimFault } from '@hypostyle/vim';
import { serialSocketOf } from './harness/engines.ts';
import {
  createGuest,
  createMachine,
  eventually,
  type Machine,
  machineSpec,
  powerOn,
  references,
  signedIn,
} from './harness/guest-machine.ts';
import { connectSpecOf, HostNetwork, joinHost, type NetworkNode, networksRefused } from './harness/host-network.ts';
import { sameAsTruth } from './harness/inventory-view.ts';

type HostSystem = ManagedObjectReference<'HostSystem'>;

/** Milliseconds: 1,000 where nobody else computes. */
const truthLimit = 5_000;
/** A silent host is noticed after twice the heartbeat of 10 s. */
const silenceLimit = 60_000;

const skip = (await networksRefused()) ?? false;

describe('hosts that leave a center and come back', { skip }, () => {
  let network: HostNetwork;
  let client: Client;
  let one: NetworkNode;
  let two: NetworkNode;
  let three: NetworkNode;
  /** A client of each host's own endpoint. */
  const own = new Map<NetworkNode, Client>();
  /** Milliseconds from a host's being connected to the center's showing what it has. */
  const times: number[] = [];
  const shown = new Map<NetworkNode, HostSystem>();

  before(async () => {
    network = await HostNetwork.make();
    await network.center.start();
    client = await signedIn(network.center.daemon);
    [one, two, three] = await Promise.all([network.addHost('one'), network.addHost('two'), network.addHost('three')]);
    for (const host of network.hosts) await signInAt(host);
  });

  after(async () => {
    console.log(`hosts were shown as they are ${times.join(', ')} ms after they were connected`);
    for (const each of [client, ...own.values()]) await each?.[Symbol.asyncDispose]().catch(() => {});
    await network?.remove();
  });

  async function signInAt(host: NetworkNode): Promise<Client> {
    await own
      .get(host)
      ?.[Symbol.asyncDispose]()
      .catch(() => {});
    const fresh = await signedIn(host.daemon);
    own.set(host, fresh);
    return fresh;
  }

  const at = (host: NetworkNode) => own.get(host) as Client;
  const systemOf = (host: NetworkNode) => shown.get(host) as HostSystem;

  async function read<T>(object: ManagedObjectReference, path: string, by = client): Promise<T> {
    const [found] = await by.retrieve(object as Machine, [path]);
    return found?.values[path] as T;
  }

  const stateOf = (host: NetworkNode) => read<string>(systemOf(host), 'runtime.connectionState');

  async function becomes(host: NetworkNode, state: string, limit = 30_000): Promise<void> {
    await eventually(async () => (await stateOf(host)) === state, `${host.name} is ${state}`, limit);
  }

  /** The host is connected, and the center shows what it has. */
  async function isBack(host: NetworkNode): Promise<void> {
    await becomes(host, 'connected');
    const time = await sameAsTruth({ client, host: systemOf(host) }, at(host));
    times.push(Math.round(time));
    assert.ok(time < truthLimit, `it took ${time} ms`);
  }

  /** The center's machines of a host by their names. */
  async function machinesOf(host: NetworkNode): Promise<Map<string, Machine>> {
    const machines = await read<Machine[]>(systemOf(host), 'vm');
    const found = machines.length === 0 ? [] : await client.retrieve(machines, ['name']);
    return new Map(found.map(({ ref, values }) => [`${values.name}`, ref]));
  }

  async function machineOf(host: NetworkNode, name: string): Promise<Machine> {
    const machine = (await machinesOf(host)).get(name);
    assert.ok(machine, `${host.name} has no ${name}`);
    return machine;
  }

  async function ownMachine(host: NetworkNode, name: string): Promise<Machine> {
    const machines = await read<Machine[]>(references.vmFolder, 'childEntity', at(host));
    const found = await at(host).retrieve(machines, ['name']);
    const machine = found.find(({ values }) => values.name === name)?.ref;
    assert.ok(machine, `${host.name} has no ${name} of its own`);
    return machine;
  }

  /** Events of the center that came after a key, oldest first. */
  async function eventsAfter(key: number): Promise<Event[]> {
    const { eventManager } = await client.content();
    assert.ok(eventManager);
    const filter = data('EventFilterSpec', {});
    const collector = await client.call(eventManager, 'CreateCollectorForEvents', { filter });
    const events: Event[] = [];
    await client.call(collector, 'RewindCollector', {});
    for (;;) {
      const page = (await client.call(collector, 'ReadNextEvents', { maxCount: 500 })) ?? [];
      if (page.length === 0) break;
      events.push(...page);
    }
    await client.call(collector, 'DestroyCollector', {});
    return events.filter((event) => event.key > key).sort((a, b) => a.key - b.key);
  }

  async function lastKey(): Promise<number> {
    const { eventManager } = await client.content();
    return (await read<Event>(eventManager as ManagedObjectReference, 'latestEvent')).key;
  }

  /** Types of the events of a host and its machines since a key. */
  async function told(host: NetworkNode, since: number): Promise<string[]> {
    const { value } = systemOf(host);
    return (await eventsAfter(since))
      .filter((event) => event.host?.host.value === value)
      .map(({ _typeName = '' }) => _typeName);
  }

  /** System names of the alarms that are red on a host. */
  async function redAlarms(host: NetworkNode): Promise<string[]> {
    type States = { readonly alarm: ManagedObjectReference; readonly overallStatus: string }[];
    const states = (await read<States | undefined>(systemOf(host), 'triggeredAlarmState')) ?? [];
    const red = states.filter(({ overallStatus }) => overallStatus === 'red');
    return Promise.all(red.map(({ alarm }) => read<string>(alarm, 'info.systemName')));
  }

  /** A machine made at the host's own endpoint, on the datastore that it has. */
  async function makeAt(host: NetworkNode, name: string): Promise<Machine> {
    const [datastore] = await read<ManagedObjectReference[]>(
      { type: 'HostSystem', value: 'ha-host' },
      'datastore',
      at(host),
    );
    const label = await read<string>(datastore as ManagedObjectReference, 'name', at(host));
    const files = data('VirtualMachineFileInfo', { vmPathName: `[${label}]` });
    return createMachine(at(host), { ...machineSpec(name), files });
  }

  /** Everything by its reference that must stay what it is while hosts come and go. */
  async function identity(host: NetworkNode): Promise<unknown> {
    const machines = await machinesOf(host);
    return {
      machines: [...machines].map(([name, { value }]) => `${name} ${value}`).sort(),
      datastores: (await read<ManagedObjectReference[]>(systemOf(host), 'datastore')).map(({ value }) => value).sort(),
      networks: (await read<ManagedObjectReference[]>(systemOf(host), 'network')).map(({ value }) => value).sort(),
      parent: (await read<ManagedObjectReference>(systemOf(host), 'parent')).value,
    };
  }

  /** Runs something that must touch no machine of the host. */
  async function untouched(host: NetworkNode, work: () => Promise<void>): Promise<void> {
    const before = { pids: await host.enginePids(), identity: await identity(host) };
    await work();
    assert.deepEqual(await host.enginePids(), before.pids, 'the same engines run');
    assert.deepEqual(await identity(host), before.identity, 'the same references');
  }

  const refused = (call: Promise<unknown>, type: string) =>
    assert.rejects(call, (error) => error instanceof VimFault && error.type === type);

  async function inGuest(host: NetworkNode, command: string, timeoutMs = 20_000): Promise<string> {
    const [engine] = await host.daemon.engines();
    assert.ok(engine);
    const console = await GuestConsole.connect(serialSocketOf(engine));
    try {
      return await console.run(command, timeoutMs);
    } finally {
      console.close();
    }
  }

  async function task(call: Promise<ManagedObjectReference<'Task'>>, by = client): Promise<unknown> {
    return by.waitForTask(await call);
  }

  test('three hosts join with their machines', async () => {
    for (const host of [one, two]) {
      await powerOn(
        at(host),
        await createGuest(at(host), host.daemon, { name: `guest-${host.name}`, controller: 'scsi' }),
      );
      await createMachine(at(host), machineSpec(`cold-${host.name}`));
    }
    await createMachine(at(three), machineSpec('cold-three'));
    const pids = await Promise.all(network.hosts.map((host) => host.enginePids()));
    const before = await lastKey();

    const { rootFolder } = await client.content();
    const [datacenter] = await read<ManagedObjectReference[]>(rootFolder, 'childEntity');
    const folder = await read<ManagedObjectReference<'Folder'>>(datacenter as ManagedObjectReference, 'hostFolder');
    const cluster = await client.call(folder, 'CreateClusterEx', { name: 'cluster', spec: {} });
    shown.set(one, await joinHost(client, one));
    shown.set(two, await joinHost(client, two, cluster));
    shown.set(three, await joinHost(client, three));

    for (const host of network.hosts) {
      await isBack(host);
      assert.deepEqual(
        (await told(host, before)).filter((type) => type.startsWith('Host')),
        ['HostAddedEvent', 'HostConnectedEvent'],
      );
      const managedBy = await read<string>(
        { type: 'HostSystem', value: 'ha-host' },
        'summary.managementServerIp',
        at(host),
      );
      assert.equal(managedBy, network.center.address);
    }
    assert.deepEqual(await Promise.all(network.hosts.map((host) => host.enginePids())), pids, 'no machine was touched');
    await refused(joinHost(client, one), 'AlreadyConnected');
    const { sslThumbprint: _, ...unconfirmed } = await connectSpecOf(one);
    await refused(
      task(client.call(folder, 'AddStandaloneHost_Task', { spec: unconfirmed, addConnected: true })),
      'SSLVerifyFault',
    );
  });

  test('a host that is killed is shown as it was, and its machines run on', async () => {
    await eventually(
      () =>
        inGuest(one, 'echo here >/tmp/mark', 2_000).then(
          () => true,
          () => false,
        ),
      'the guest answers',
      90_000,
    );
    await untouched(one, async () => {
      const before = await lastKey();
      const guest = await machineOf(one, 'guest-one');
      const cold = await machineOf(one, 'cold-one');
      await one.kill();
      await becomes(one, 'notResponding');
      assert.equal(await read(guest, 'runtime.connectionState'), 'disconnected');
      assert.equal(await read(guest, 'runtime.powerState'), 'poweredOn', 'as it was last');
      await refused(client.call(cold, 'PowerOnVM_Task', {}), 'HostNotConnected');
      assert.equal(await stateOf(two), 'connected');
      assert.deepEqual(
        (await told(one, before)).filter((type) => /onnect/.test(type)),
        ['HostConnectionLostEvent', 'VmDisconnectedEvent', 'VmDisconnectedEvent'],
      );
      await eventually(
        async () => (await redAlarms(one)).includes('alarm.HostConnectionStateAlarm'),
        'the alarm of lost hosts is raised',
      );
      assert.equal(await read(systemOf(one), 'overallStatus'), 'red');
      assert.deepEqual(await redAlarms(two), []);

      const lost = await lastKey();
      await one.start();
      await signInAt(one);
      await isBack(one);
      const since = await told(one, lost);
      assert.deepEqual(
        since.filter((type) => /onnect/.test(type)),
        ['HostConnectedEvent', 'VmConnectedEvent', 'VmConnectedEvent'],
      );
      await eventually(
        async () => !(await redAlarms(one)).includes('alarm.HostConnectionStateAlarm'),
        'the alarm of lost hosts is over',
      );
      assert.equal(await read(guest, 'runtime.connectionState'), 'connected');
      assert.equal(await inGuest(one, 'cat /tmp/mark'), 'here', 'the same run of the guest');
      await task(client.call(cold, 'PowerOnVM_Task', {}));
      await task(client.call(cold, 'PowerOffVM_Task', {}));
    });
  });

  test('a host that is cut off is noticed by its silence, and what changed meanwhile is shown when it is back', async () => {
    const before = await lastKey();
    const known = await machinesOf(two);
    const [guest, cold] = [await machineOf(two, 'guest-two'), await machineOf(two, 'cold-two')];
    const away = await makeAt(two, 'away');
    await eventually(async () => (await machinesOf(two)).has('away'), 'a machine made on the host is shown');
    const gone = await machineOf(two, 'away');
    const pids = await two.enginePids();

    await two.cutOff();
    const asked = client.call(cold, 'PowerOnVM_Task', {});
    // What is under way when silence falls fails once it is called that.
    const [outcome] = await Promise.all([
      asked.then(
        () => 'begun',
        (error: unknown) => (error as VimFault).type,
      ),
      becomes(two, 'notResponding', silenceLimit),
      // Behind the center's back, at the host's own endpoint.
      (async () => {
        await at(two).call(away, 'UnregisterVM', {});
        await makeAt(two, 'newcomer');
        const renamed = await ownMachine(two, 'cold-two');
        await task(at(two).call(renamed, 'Rename_Task', { newName: 'warm-two' }), at(two));
        await task(
          at(two).call(renamed, 'ReconfigVM_Task', { spec: { _typeName: 'VirtualMachineConfigSpec', memoryMB: 128 } }),
          at(two),
        );
        await powerOn(at(two), renamed);
      })(),
    ]);
    assert.equal(outcome, 'HostNotConnected');
    assert.deepEqual(
      (await told(two, before)).filter((type) => /ConnectionLost/.test(type)),
      ['HostConnectionLostEvent'],
    );
    assert.equal(await read(guest, 'runtime.connectionState'), 'disconnected');
    assert.equal(await read(cold, 'name'), 'cold-two', 'as it was last');

    await two.reach();
    await isBack(two);
    const now = await machinesOf(two);
    assert.deepEqual([...now.keys()].sort(), ['guest-two', 'newcomer', 'warm-two']);
    assert.deepEqual(now.get('warm-two'), cold, 'renamed and changed, it is the same machine');
    assert.deepEqual(now.get('guest-two'), guest);
    assert.ok(
      ![...known.values()].some(({ value }) => value === now.get('newcomer')?.value),
      'a new one has a new reference',
    );
    await refused(client.retrieve(gone, ['name']), 'ManagedObjectNotFound');
    assert.equal(await read(cold, 'runtime.powerState'), 'poweredOn');
    assert.equal(await read(cold, 'config.hardware.memoryMB'), 128);
    const later = await told(two, before);
    for (const type of [
      'VmRenamedEvent',
      'VmReconfiguredEvent',
      'VmPoweredOnEvent',
      'VmRemovedEvent',
      'HostConnectedEvent',
    ])
      assert.ok(later.includes(type), `${type} of the time away is told`);
    for (const pid of pids) assert.ok((await two.enginePids()).includes(pid), 'no machine was touched');
    await task(client.call(cold, 'PowerOffVM_Task', {}));
  });

  test('a host that is stopped and started again comes back by itself', async () => {
    await untouched(two, async () => {
      await two.daemon.stop();
      await becomes(two, 'notResponding');
      await two.start();
      await signInAt(two);
      await isBack(two);
    });
  });

  test('a host that is disconnected stays so, over restarts of the center too, until it is reconnected', async () => {
    const cold = await machineOf(three, 'cold-three');
    const before = await lastKey();
    await untouched(one, () =>
      untouched(two, async () => {
        await task(client.call(systemOf(three), 'DisconnectHost_Task', {}));
        assert.equal(await stateOf(three), 'disconnected');
        assert.equal(await read(cold, 'runtime.connectionState'), 'disconnected');
        await refused(client.call(cold, 'PowerOnVM_Task', {}), 'HostNotConnected');
        assert.deepEqual(
          (await told(three, before)).filter((type) => /onnect/.test(type)),
          ['HostDisconnectedEvent', 'VmDisconnectedEvent'],
        );
        await powerOn(at(three), await ownMachine(three, 'cold-three'));

        await network.center.kill();
        await client[Symbol.asyncDispose]().catch(() => {});
        await network.center.start();
        client = await signedIn(network.center.daemon);
        await Promise.all([isBack(one), isBack(two)]);
        assert.equal(await stateOf(three), 'disconnected');
        assert.equal(await read(cold, 'name'), 'cold-three', 'it is shown as it was last');
        assert.equal(await read(cold, 'runtime.powerState'), 'poweredOff');

        await task(client.call(systemOf(three), 'ReconnectHost_Task', {}));
        await isBack(three);
        assert.equal(await read(cold, 'runtime.powerState'), 'poweredOn');
        assert.equal((await three.enginePids()).length, 1);
      }),
    );
  });

  test('a host with another certificate is refused until somebody confirms it', async () => {
    await untouched(three, async () => {
      const before = await lastKey();
      await three.daemon.stop();
      await becomes(three, 'notResponding');
      await rm(join(three.home, 'tls'), { recursive: true });
      await three.start();
      await signInAt(three);
      await eventually(async () => (await told(three, before)).includes('HostCnxFailedEvent'), 'the refusal is told');
      assert.equal(await stateOf(three), 'notResponding');
      await refused(task(client.call(systemOf(three), 'ReconnectHost_Task', {})), 'SSLVerifyFault');
      const cnxSpec = await connectSpecOf(three);
      await task(client.call(systemOf(three), 'ReconnectHost_Task', { cnxSpec }));
      await isBack(three);
    });
  });

  test('a host that is removed keeps its machines, and is another one when it joins again', async () => {
    const pids = await three.enginePids();
    const before = await lastKey();
    const cold = await machineOf(three, 'cold-three');
    const left = systemOf(three);
    await task(client.call(left, 'Destroy_Task', {}));
    await refused(client.retrieve(left, ['name']), 'ManagedObjectNotFound');
    await refused(client.retrieve(cold, ['name']), 'ManagedObjectNotFound');
    assert.ok((await told(three, before)).includes('HostRemovedEvent'));
    const host = { type: 'HostSystem', value: 'ha-host' } as const;
    assert.equal(await read(host, 'summary.managementServerIp', at(three)), undefined);
    assert.deepEqual(await three.enginePids(), pids);
    assert.equal(await read(await ownMachine(three, 'cold-three'), 'runtime.powerState', at(three)), 'poweredOn');

    shown.set(three, await joinHost(client, three));
    await isBack(three);
    assert.notDeepEqual(systemOf(three), left, 'no reference is given twice');
    assert.notDeepEqual(await machineOf(three, 'cold-three'), cold);
    assert.deepEqual(await three.enginePids(), pids);
  });
});
