import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { HypervisorError } from '@hypostyle/contracts';
import type { ManagedObjectReference, VimFault } from '@hypostyle/vim';
import { withCopiedMachine } from '../../testing/copied-machine.ts';
import { visibleFiles } from '../../testing/disk-reading.ts';
import { newDisk } from '../../testing/host-fixture.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;
const named = (type: string) => (error: unknown) => (error as VimFault).type === type;

const instantSpec = (name: string, more: object = {}, location: object = {}) => ({
  spec: {
    _typeName: 'VirtualMachineInstantCloneSpec',
    name,
    location: { _typeName: 'VirtualMachineRelocateSpec', ...location },
    ...more,
  },
});
const option = (key: string, value: string) => ({ _typeName: 'OptionValue', key, value });
const adapter = (mac?: string) => ({
  _typeName: 'VirtualDeviceConfigSpec',
  operation: 'add',
  device: {
    _typeName: 'VirtualE1000',
    key: -4,
    backing: { _typeName: 'VirtualEthernetCardNetworkBackingInfo', deviceName: 'VM Network' },
    ...(mac === undefined ? {} : { addressType: 'manual', macAddress: mac }),
  },
});

async function withMachine(t: TestContext) {
  const fixture = await withCopiedMachine(t);
  const { computer, center, web, lock } = fixture;
  return {
    ...fixture,
    engine: (name: string) => computer.engines.engines.get(lock(name)),
    write: (name: string, value: number) => computer.engines.write(lock(name), 'scsi0u0', 0, value),
    read: (name: string) => computer.engines.read(lock(name), 'scsi0u0', 0),
    copy: (name: string, more: object = {}, location: object = {}) =>
      center.task(web, 'InstantClone_Task', instantSpec(name, more, location)) as Promise<Machine>,
  };
}

test('a machine that runs goes on in two: with what it remembers, and with what is told to the copy', async (t) => {
  const { computer, daemon, web, engine, lock, write, read, copy, folder } = await withMachine(t);
  await daemon.task(web, 'ReconfigVM_Task', {
    spec: { _typeName: 'VirtualMachineConfigSpec', deviceChange: [adapter()] },
  });
  await daemon.task(web, 'PowerOnVM_Task');
  write('web', 1);
  computer.engines.remember(lock('web'), 'counted to 7');
  const uuid = '5d5a37b2-9e0b-4c1c-9f52-7d1d0f2f0a01';
  const one = await copy('one', {
    biosUuid: uuid,
    config: [option('guestinfo.role', 'worker'), option('vc.uuid', uuid.replace('5d5a', '5d5b'))],
  });
  assert.equal(daemon.read(one, 'runtime')?.powerState, 'poweredOn');
  assert.deepEqual([engine('one')?.memory, engine('web')?.memory], ['counted to 7', 'counted to 7']);
  const config = daemon.read(one, 'config');
  assert.deepEqual([config?.uuid, config?.instanceUuid], [uuid, uuid.replace('5d5a', '5d5b')]);
  assert.equal(config?.extraConfig?.find(({ key }) => key === 'guestinfo.role')?.value, 'worker');
  const [mac, other] = ['web', 'one'].map((name) => engine(name)?.hardware.nics[0]);
  assert.match(other?.mac ?? '', /^00:0c:29:/);
  assert.notEqual(other?.mac, mac?.mac);
  assert.equal(other?.connected, true, 'its link is there again');
  // Each goes on alone.
  write('one', 2);
  assert.deepEqual([read('web'), read('one')], [1, 2]);
  write('web', 3);
  assert.deepEqual([read('web'), read('one')], [3, 2]);
  // Neither snapshot nor memory stays behind.
  assert.equal(daemon.read(web, 'snapshot'), undefined);
  assert.deepEqual(
    (await visibleFiles(folder('web'))).filter((name) => /\.(vmem|vmsn|vmss)$/.test(name)),
    [],
  );
  assert.deepEqual(await visibleFiles(folder('one')), ['one-delta.qcow2', 'one.vmdk', 'one.vmx']);
  assert.doesNotMatch(await readFile(join(folder('one'), 'one.vmx'), 'utf8'), /checkpoint\.vmState|memoryOf/);
  // A copy is a machine as others are: suspended, gone on with, copied, and gone.
  await daemon.task(one, 'SuspendVM_Task');
  await daemon.task(one, 'PowerOnVM_Task');
  assert.equal(engine('one')?.memory, 'counted to 7');
  await daemon.task(one, 'PowerOffVM_Task');
  await daemon.task(one, 'PowerOnVM_Task');
  assert.notEqual(engine('one')?.memory, 'counted to 7');
  await daemon.task(one, 'PowerOffVM_Task');
  await daemon.task(one, 'Destroy_Task');
  assert.equal(read('web'), 3);
});

test('copies that are gone leave no disks in the folder of their original, however many there were', async (t) => {
  const { daemon, web, copy, folder, write, read } = await withMachine(t);
  await daemon.task(web, 'PowerOnVM_Task');
  for (let round = 1; round <= 12; round += 1) {
    write('web', round);
    const one = await copy('one');
    assert.equal(read('one'), round);
    write('one', 9);
    await daemon.task(one, 'PowerOffVM_Task');
    await daemon.task(one, 'Destroy_Task');
    const layers = (await visibleFiles(folder('web'))).filter((name) => name.endsWith('-delta.qcow2'));
    assert.ok(layers.length <= 8, `round ${round}: ${layers}`);
  }
  await daemon.task(web, 'ConsolidateVMDisks_Task');
  assert.equal(read('web'), 12);
  assert.deepEqual(await visibleFiles(folder('web')), ['web-flat.vmdk', 'web.vmdk', 'web.vmsd', 'web.vmx']);
});

test('an instant clone is refused where it can be none, and nothing of it stays', async (t) => {
  const { computer, daemon, web, copy, folder, engine } = await withMachine(t);
  await assert.rejects(copy('one'), named('InvalidPowerState'));
  await daemon.task(web, 'PowerOnVM_Task');
  await assert.rejects(daemon.task(web, 'InstantClone_Task', instantSpec('one')), named('NotSupported'));
  await assert.rejects(copy(''), named('InvalidArgument'));
  await assert.rejects(copy('one', {}, { diskMoveType: 'createNewChildDiskBacking' }), named('NotSupported'));
  await assert.rejects(copy('one', {}, { deviceChange: [newDisk(1000)] }), named('NotSupported'));
  const elsewhere = { _typeName: 'ManagedObjectReference', type: 'Datastore', value: 'elsewhere' };
  await assert.rejects(copy('one', {}, { datastore: elsewhere }), named('InvalidDatastore'));
  daemon.hypervisor.failures.set('saveMemory', new HypervisorError('memory-failed', 'no room for it'));
  await assert.rejects(copy('one'), named('SnapshotFault'));
  assert.deepEqual(await visibleFiles(computer.datastore), ['web']);
  assert.equal(daemon.read(web, 'snapshot'), undefined);
  assert.equal(daemon.read(web, 'runtime')?.powerState, 'poweredOn');
  // One that cannot be started is there with its memory.
  daemon.hypervisor.failures.set('start', new HypervisorError('start-failed', 'no room in memory'));
  await assert.rejects(copy('one'), /no room in memory/);
  const one = daemon.machine('one') as Machine;
  assert.equal(daemon.read(one, 'runtime')?.powerState, 'suspended');
  computer.engines.remember(join(folder('web'), '.hypo', 'vm.lck'), 'later');
  await daemon.task(one, 'PowerOnVM_Task');
  assert.equal(engine('one')?.memory, 'run 1');
});
