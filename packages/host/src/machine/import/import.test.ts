import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ManagedObjectReference, VimFault } from '@hypostyle/vim';
import { references } from '../../inventory/references.ts';
import { Computer, type Daemon, newDisk, rootPool, smallMachine } from '../../testing/host-fixture.ts';

type Lease = ManagedObjectReference<'HttpNfcLease'>;
const named = (type: string) => (error: unknown) => (error as VimFault).type === type;
const folders = async (computer: Computer) => (await readdir(computer.datastore)).filter((name) => name[0] !== '.');
const settle = () => new Promise((resolve) => setTimeout(resolve, 20));

async function begin(daemon: Daemon, more: readonly object[] = []): Promise<Lease> {
  const { config } = smallMachine('web') as { config: { readonly deviceChange: readonly object[] } };
  const configSpec = { ...config, deviceChange: [...config.deviceChange, ...more] };
  const spec = { _typeName: 'VirtualMachineImportSpec', configSpec };
  const lease = (await daemon.call(rootPool, 'ImportVApp', { spec })) as Lease;
  while (daemon.host.registry.read(lease, 'state') === 'initializing') await settle();
  assert.equal(daemon.host.registry.read(lease, 'state'), 'ready');
  return lease;
}

test('a machine that is being imported is left alone, and its lease takes it back', async () => {
  const computer = await Computer.make();
  try {
    const daemon = await computer.start();
    const lease = await begin(daemon);
    const [machine] = daemon.machines();
    assert.ok(machine);
    for (const method of ['PowerOnVM_Task', 'Destroy_Task', 'UnregisterVM']) {
      await assert.rejects(daemon.call(machine, method), named('TaskInProgress'), method);
    }
    await daemon.call(lease, 'HttpNfcLeaseAbort');
    await daemon.idle();
    assert.deepEqual([daemon.machines(), await folders(computer)], [[], []]);
    // Its name is free again, and another import ends well.
    const second = await begin(daemon);
    await daemon.call(second, 'HttpNfcLeaseComplete');
    await daemon.idle();
    await daemon.task(daemon.machine('web')!, 'PowerOnVM_Task');
    assert.deepEqual(computer.defects, []);
    await daemon.host.close();
  } finally {
    await computer.remove();
  }
});

test('an import that a process left behind is undone, and ends its task', async () => {
  const computer = await Computer.make();
  try {
    const daemon = await computer.start();
    await begin(daemon);
    daemon.store.stepsLeft = 0;
    daemon.bury();
    const next = await computer.start();
    await next.idle();
    assert.deepEqual([next.machines(), await folders(computer)], [[], []]);
    await next.host.close();
  } finally {
    await computer.remove();
  }
});

test('disks that are imported come to the datastores that are named for them, or nothing of them stays', async () => {
  const computer = await Computer.make();
  try {
    let daemon = await computer.start();
    const path = join(computer.directory, 'other');
    const datastore = await daemon.call(references.datastoreSystem, 'CreateLocalDatastore', { name: 'other', path });
    const there = async () => (await readdir(path, { recursive: true })).filter((name) => name[0] !== '.').sort();
    const byName = newDisk(-1, '[other] disk2.vmdk') as { readonly device: { readonly backing: object } };
    const byReference = {
      ...byName,
      device: { ...byName.device, backing: { ...byName.device.backing, fileName: 'disk3.vmdk', datastore } },
    };
    const disks = [byName, byReference];
    const lease = await begin(daemon, disks);
    assert.deepEqual(await there(), ['web']);
    assert.deepEqual(
      daemon.host.registry.read(lease, 'info')?.deviceUrl?.map(({ targetId }) => targetId),
      ['web.vmdk', 'web_1.vmdk', 'web_2.vmdk'],
    );
    await daemon.call(lease, 'HttpNfcLeaseAbort');
    await daemon.idle();
    assert.deepEqual([daemon.machines(), await folders(computer), await there()], [[], [], []]);
    await begin(daemon, disks);
    daemon.store.stepsLeft = 0;
    daemon.bury();
    daemon = await computer.start();
    await daemon.idle();
    assert.deepEqual([daemon.machines(), await folders(computer), await there()], [[], [], []]);
    await daemon.call(await begin(daemon, disks), 'HttpNfcLeaseComplete');
    await daemon.idle();
    assert.deepEqual(await there(), [
      'web',
      'web/web_1-flat.vmdk',
      'web/web_1.vmdk',
      'web/web_2-flat.vmdk',
      'web/web_2.vmdk',
    ]);
    await daemon.task(daemon.machine('web')!, 'PowerOnVM_Task');
    assert.deepEqual(computer.defects, []);
    await daemon.host.close();
  } finally {
    await computer.remove();
  }
});
