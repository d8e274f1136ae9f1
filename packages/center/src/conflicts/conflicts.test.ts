import assert from 'node:assert/strict';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Daemon, rootPool, smallMachine, vmFolder } from '@hypostyle/host/testing';
import type { ManagedObjectReference } from '@hypostyle/vim';
import { HostNetwork, TestCenter } from '../testing/center-fixture.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;

/** A center with hosts `a` and `b`. */
async function twoHosts(t: TestContext) {
  const network = new HostNetwork();
  const a = await network.add('a');
  const b = await network.add('b');
  const center = await TestCenter.open(network);
  t.after(async () => {
    await center.close();
    await network.remove();
  });
  await center.addHost('a');
  await center.addHost('b');
  const uuidOf = (machine: Machine) => center.read(machine, 'config')?.instanceUuid;
  const hostOf = (machine: Machine) => center.read(machine, 'runtime')?.host?.value;
  return { network, a, b, center, uuidOf, hostOf };
}

const register = (daemon: Daemon, path: string, name: string) =>
  daemon.task(vmFolder, 'RegisterVM_Task', { path, name, asTemplate: false, pool: rootPool });

test('a copy of a machine gets an instanceUuid of its own, once it is off', { timeout: 60_000 }, async (t) => {
  const { network, a, b, center, uuidOf } = await twoHosts(t);
  await a.task(vmFolder, 'CreateVM_Task', smallMachine('one'));
  await center.until(() => center.all('VirtualMachine').length === 1);
  const [one] = center.all('VirtualMachine') as [Machine];
  const before = uuidOf(one);
  const from = join(network.computers.get('a')?.datastore ?? '', 'one');
  const name = [...b.host.registry.all('Datastore')][0]?.value('name');
  await cp(from, join(network.computers.get('b')?.datastore ?? '', 'two'), { recursive: true });
  await register(b, `[${name}] two/one.vmx`, 'two');
  await center.until(
    () => center.all('VirtualMachine').length === 2 && uuidOf(center.named('VirtualMachine', 'two')) !== before,
  );
  const two = center.named('VirtualMachine', 'two');
  assert.equal(uuidOf(one), before, 'the one that was there keeps it');
  await center.until(() => center.center.core.inventory.machinesOfInstance(before ?? '').length === 1);
  const told = (await center.events()).filter((type) => /Uuid(Conflict|Changed)/.test(type));
  assert.deepEqual(told, ['VmInstanceUuidConflictEvent', 'VmUuidConflictEvent', 'VmInstanceUuidChangedEvent']);
  // The host has it written down.
  const there = b.machines()[0];
  assert.equal(there && b.read(there, 'config')?.instanceUuid, uuidOf(two));

  // A copy that runs is left alone until it is off.
  await cp(from, join(network.computers.get('b')?.datastore ?? '', 'three'), { recursive: true });
  network.cut('b');
  await register(b, `[${name}] three/one.vmx`, 'three');
  const running = b.machine('three');
  assert.ok(running);
  await b.task(running, 'PowerOnVM_Task');
  network.heal('b');
  await center.until(() => center.all('VirtualMachine').length === 3);
  const three = center.named('VirtualMachine', 'three');
  await center.events();
  assert.equal(uuidOf(three), before);
  await center.task(three, 'PowerOffVM_Task');
  await center.until(() => uuidOf(three) !== before);
  assert.equal(uuidOf(one), before);
  assert.deepEqual(
    center.defects.filter((defect) => (defect as string[])[0]?.startsWith('host')),
    [],
  );
});

test('a machine registered on two hosts is one, where it runs', { timeout: 60_000 }, async (t) => {
  const { a, b, center, uuidOf, hostOf } = await twoHosts(t);
  const shared = await mkdtemp(join(tmpdir(), 'hypostyle-shared-'));
  t.after(() => rm(shared, { recursive: true, force: true }));
  const system = { type: 'HostDatastoreSystem', value: 'ha-datastoresystem' };
  for (const daemon of [a, b]) {
    const [ref] = [...daemon.host.registry.all('HostDatastoreSystem')];
    await daemon.call(ref?.ref ?? system, 'CreateLocalDatastore', { name: 'shared', path: shared });
  }
  await a.task(vmFolder, 'CreateVM_Task', smallMachine('one', '[shared]'));
  // Whose word comes first is whose machine it is, while it runs nowhere.
  await center.until(() => center.all('VirtualMachine').length === 1);
  await register(b, '[shared] one/one.vmx', 'one');
  const [hostA, hostB] = [center.named('HostSystem', 'a').value, center.named('HostSystem', 'b').value];
  await center.until(() => center.all('VirtualMachine').length === 1);
  const [one] = center.all('VirtualMachine') as [Machine];
  const uuid = uuidOf(one);
  assert.equal(center.all('Datastore').filter((ref) => center.read(ref, 'name') === 'shared').length, 1);
  assert.equal(hostOf(one), hostA);
  // It starts on the other host behind the center's back.
  const onB = b.machine('one') as Machine;
  await b.task(onB, 'PowerOnVM_Task');
  await center.until(() => hostOf(one) === hostB);
  assert.equal(center.read(one, 'runtime')?.powerState, 'poweredOn');
  assert.deepEqual(center.all('VirtualMachine'), [one]);
  assert.deepEqual(center.read(center.named('HostSystem', 'a'), 'vm'), []);
  await center.task(one, 'PowerOffVM_Task');
  assert.equal(b.read(onB, 'runtime')?.powerState, 'poweredOff');
  // The host that shows it lets go of it: the other one has it still, under the same reference.
  await center.call(one, 'UnregisterVM');
  await center.until(() => hostOf(one) === hostA);
  assert.deepEqual([center.all('VirtualMachine'), uuidOf(one)], [[one], uuid]);
  await center.task(one, 'PowerOnVM_Task');
  assert.equal(a.read(a.machines()[0] as Machine, 'runtime')?.powerState, 'poweredOn');
  await center.task(one, 'PowerOffVM_Task');
  await center.call(one, 'UnregisterVM');
  assert.deepEqual(center.all('VirtualMachine'), []);
  assert.deepEqual(center.defects, []);
});

test('a datastore has one name on all its hosts', { timeout: 60_000 }, async (t) => {
  const { a, b, center } = await twoHosts(t);
  const shared = await mkdtemp(join(tmpdir(), 'hypostyle-shared-'));
  t.after(() => rm(shared, { recursive: true, force: true }));
  const add = async (daemon: Daemon, name: string) => {
    const [system] = [...daemon.host.registry.all('HostDatastoreSystem')];
    assert.ok(system);
    await daemon.call(system.ref, 'CreateLocalDatastore', { name, path: shared });
  };
  const namesOn = (daemon: Daemon) => [...daemon.host.registry.all('Datastore')].map((object) => object.value('name'));
  await add(a, 'left');
  await center.until(() => center.all('Datastore').some((ref) => center.read(ref, 'name') === 'left'));
  await add(b, 'right');
  await center.until(() => namesOn(b).includes('left'));
  assert.equal(center.all('Datastore').length, 3);
  const [there] = [...a.host.registry.all('Datastore')].filter((object) => object.value('name') === 'left');
  assert.ok(there);
  await a.call(there.ref, 'RenameDatastore', { newName: 'both' });
  await center.until(() => namesOn(b).includes('both'));
  assert.equal(center.read(center.named('Datastore', 'both'), 'host')?.length, 2);
  assert.deepEqual(center.defects, []);
});
