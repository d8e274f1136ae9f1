import assert from 'node:assert/strict';
import { test } from 'node:test';
import { smallMachine, vmFolder } from '@hypostyle/host/testing';
import { type ManagedObjectReference, MemoryPersistence, type VimFault } from '@hypostyle/vim';
import { connectSpec, HostNetwork, TestCenter } from '../testing/center-fixture.ts';

const named = (type: string) => (error: unknown) => (error as VimFault).type === type;
const timeout = 60_000;

async function withNetwork(work: (network: HostNetwork) => Promise<void>): Promise<void> {
  const network = new HostNetwork();
  try {
    await work(network);
  } finally {
    await network.remove();
  }
}

test('a host is added by its name and password, with its machines, and leaves with them', { timeout }, async () => {
  await withNetwork(async (network) => {
    const daemon = await network.add('one.example');
    await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'));
    const center = await TestCenter.open(network);
    const compute = await center.addHost('one.example');
    assert.equal(compute.type, 'ComputeResource');
    assert.match(compute.value, /^domain-s\d+$/);
    const host = center.named('HostSystem', 'one.example');
    assert.equal(center.state(host), 'connected');
    const web = center.named('VirtualMachine', 'web');
    assert.deepEqual(center.read(host, 'vm'), [web]);
    assert.equal(center.read(host, 'summary')?.config.name, 'one.example');
    assert.equal(network.enrolled, 1);
    assert.deepEqual(
      (await center.events()).filter((name) => name.startsWith('Host')),
      ['HostAddedEvent', 'HostConnectedEvent'],
    );
    const written = JSON.stringify([...(await center.center.core.store.list('task'))]);
    assert.ok(!written.includes('Very-secret-1'), 'the password is not written down');

    await assert.rejects(center.addHost('one.example'), named('AlreadyConnected'));
    assert.equal(network.enrolled, 1, 'a host that is in stays trusted');
    await assert.rejects(center.addHost('two.example'), named('NoHost'));
    await assert.rejects(center.addHost('one.example', { sslThumbprint: 'BB' }), (error: VimFault) => {
      assert.equal((error.detail as unknown as { thumbprint: string }).thumbprint, 'AA');
      return error.type === 'SSLVerifyFault';
    });
    await network.add('three.example');
    await assert.rejects(center.addHost('three.example', { password: 'wrong' }), named('InvalidLogin'));
    assert.ok((await center.events()).includes('HostCnxFailedBadUsernameEvent'));
    assert.equal(center.all('HostSystem').length, 1);

    await center.task(host, 'Destroy_Task');
    for (const type of [
      'HostSystem',
      'ComputeResource',
      'VirtualMachine',
      'Datastore',
      'Network',
      'ResourcePool',
    ] as const)
      assert.deepEqual(center.all(type), [], type);
    assert.deepEqual(center.all('HostDatastoreBrowser'), [], 'its parts go with it');
    assert.equal(network.enrolled, 0);
    assert.ok((await center.events()).includes('HostRemovedEvent'));
    assert.equal(daemon.machines().length, 1, 'its machines stay');
    await center.addHost('one.example');
    assert.notDeepEqual(center.named('VirtualMachine', 'web'), web, 'no reference is given twice');
    await center.close();
  });
});

test('a host that is disconnected is left alone until it is reconnected', { timeout }, async () => {
  await withNetwork(async (network) => {
    const daemon = await network.add('one');
    await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'));
    const disk = new MemoryPersistence();
    const first = await TestCenter.open(network, disk);
    await first.addHost('one');
    const host = first.named('HostSystem', 'one');
    const web = first.named('VirtualMachine', 'web');
    await first.task(host, 'DisconnectHost_Task');
    assert.equal(first.state(host), 'disconnected');
    assert.equal(first.read(web, 'runtime')?.connectionState, 'disconnected');
    await assert.rejects(first.call(web, 'PowerOnVM_Task'), named('HostNotConnected'));
    const told = (await first.events()).filter((type) => type !== 'AlarmStatusChangedEvent');
    assert.deepEqual(told.slice(-2), ['HostDisconnectedEvent', 'VmDisconnectedEvent']);
    await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('db'));
    await first.close();

    const center = await TestCenter.open(network, disk);
    assert.equal(center.state(host), 'disconnected');
    assert.equal(center.read(web, 'name'), 'web');
    await center.task(host, 'ReconnectHost_Task');
    assert.equal(center.state(host), 'connected');
    assert.equal(center.read(web, 'runtime')?.connectionState, 'connected');
    assert.deepEqual(center.named('VirtualMachine', 'web'), web);
    center.named('VirtualMachine', 'db');
    await assert.rejects(center.call(host, 'ReconnectHost_Task'), named('InvalidState'));
    await center.task(host, 'DisconnectHost_Task');
    network.cut('one');
    await assert.rejects(center.task(host, 'ReconnectHost_Task'));
    assert.equal(center.state(host), 'disconnected');
    assert.ok((await center.events()).includes('HostReconnectionFailedEvent'));
    await center.task(host, 'Destroy_Task');
    assert.deepEqual(center.all('VirtualMachine'), []);
    await center.close();
  });
});

test('a host that is added disconnected is shown, and followed once it is reconnected', { timeout }, async () => {
  await withNetwork(async (network) => {
    const daemon = await network.add('one');
    await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'));
    const center = await TestCenter.open(network);
    await center.addHost('one', {}, false);
    const host = center.named('HostSystem', 'one');
    assert.equal(center.state(host), 'disconnected');
    assert.ok((center.read(host, 'summary')?.hardware?.numCpuCores ?? 0) > 0);
    assert.deepEqual(center.all('VirtualMachine'), []);
    network.others = true;
    const cnxSpec = { ...connectSpec('one'), hostName: undefined };
    await assert.rejects(center.task(host, 'ReconnectHost_Task', { cnxSpec }), named('AlreadyBeingManaged'));
    await center.task(host, 'ReconnectHost_Task', { cnxSpec: { ...cnxSpec, force: true } });
    center.named('VirtualMachine', 'web');
    await center.close();
  });
});

test('what a host would bring is told before it is added', { timeout }, async () => {
  await withNetwork(async (network) => {
    const daemon = await network.add('one');
    await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'));
    const center = await TestCenter.open(network);
    const [datacenter] = center.all('Datacenter');
    assert.ok(datacenter);
    const spec = connectSpec('one');
    const info = (await center.call(datacenter, 'QueryConnectionInfoViaSpec', { spec })) as {
      vm: { config: { name: string }; vm?: unknown }[];
    };
    assert.deepEqual(
      info.vm.map(({ config, vm }) => [config.name, vm]),
      [['web', undefined]],
    );
    const { sslThumbprint: _, ...unconfirmed } = spec;
    await assert.rejects(
      center.call(datacenter, 'QueryConnectionInfoViaSpec', { spec: unconfirmed }),
      named('SSLVerifyFault'),
    );
    const infos = (await center.call(datacenter, 'BatchQueryConnectInfo', {
      hostSpecs: [spec, connectSpec('two')],
    })) as { numVm?: number; error?: { fault: { _typeName: string } } }[];
    assert.deepEqual(
      infos.map(({ numVm, error }) => numVm ?? error?.fault._typeName),
      [1, 'NoHost'],
    );
    await center.close();
  });
});

test('maintenance mode is entered and left where the host is', { timeout }, async () => {
  await withNetwork(async (network) => {
    const daemon = await network.add('one');
    const center = await TestCenter.open(network);
    const compute = (await center.addHost('one')) as ManagedObjectReference<'ComputeResource'>;
    const host = center.named('HostSystem', 'one');
    await center.task(host, 'EnterMaintenanceMode_Task', { timeout: 0 });
    assert.equal(center.read(host, 'runtime')?.inMaintenanceMode, true);
    assert.equal(center.read(compute, 'summary')?.numEffectiveHosts, 0);
    await assert.rejects(daemon.call(vmFolder, 'CreateVM_Task', smallMachine('web')), named('InvalidState'));
    await center.task(host, 'ExitMaintenanceMode_Task', { timeout: 0 });
    assert.equal(center.read(host, 'runtime')?.inMaintenanceMode, false);
    await assert.rejects(center.call(host, 'Rename_Task', { newName: 'x' }), named('NotSupported'));
    await center.task(compute, 'Destroy_Task');
    assert.deepEqual(center.all('HostSystem'), []);
    await center.close();
  });
});
