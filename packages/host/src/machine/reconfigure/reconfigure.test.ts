import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ManagedObjectReference } from '@hypostyle/vim';
import { Computer, newDisk, smallMachine, vmFolder } from '../../testing/host-fixture.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;
const instanceUuid = '52aa0000-1111-2222-3333-444455556666';

test('a machine gets another instance UUID while it is off and while it runs, in its folder, and copies are told', async () => {
  const computer = await Computer.make();
  try {
    const daemon = await computer.start();
    const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
    const db = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('db'))) as Machine;
    await daemon.task(web, 'PowerOnVM_Task');
    for (const machine of [web, db]) {
      await daemon.task(machine, 'ReconfigVM_Task', { spec: { instanceUuid } });
      assert.equal(daemon.read(machine, 'config')?.instanceUuid, instanceUuid);
      assert.equal(daemon.read(machine, 'summary')?.config.instanceUuid, instanceUuid);
    }
    const vmx = await readFile(join(computer.datastore, 'web', 'web.vmx'), 'utf8');
    assert.match(vmx, /vc\.uuid = "52 aa 00 00 11 11 22 22-33 33 44 44 55 55 66 66"/);
    const eventManager = { type: 'EventManager', value: 'ha-eventmgr' };
    const events = (await daemon.call(eventManager, 'QueryEvents', { filter: {} })) as {
      readonly _typeName: string;
      readonly vm?: { readonly name: string };
      readonly conflictedVm?: { readonly name: string };
    }[];
    const told = events.filter((event) => /^VmInstanceUuid(Changed|Conflict)/.test(event._typeName));
    assert.deepEqual(
      told.map((event) => [event._typeName, event.vm?.name, event.conflictedVm?.name]),
      [
        ['VmInstanceUuidChangedEvent', 'web', undefined],
        ['VmInstanceUuidChangedEvent', 'db', undefined],
        ['VmInstanceUuidConflictEvent', 'db', 'web'],
      ],
    );
    assert.deepEqual(computer.defects, []);
    await daemon.host.close();
  } finally {
    await computer.remove();
  }
});

const edit = (device: object) => ({ _typeName: 'VirtualDeviceConfigSpec', operation: 'edit', device });
const faultOf = (work: Promise<unknown>) =>
  work.then(
    () => 'none',
    (error: { readonly type?: string }) => error.type ?? String(error),
  );

test('a disk grows in place, and not below itself, on snapshots, or under another machine', async () => {
  const computer = await Computer.make();
  try {
    const daemon = await computer.start();
    const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
    const grow = (capacityInKB: bigint) => ({
      spec: {
        deviceChange: [edit({ _typeName: 'VirtualDisk', key: 2000, controllerKey: 1000, unitNumber: 0, capacityInKB })],
      },
    });
    await daemon.task(web, 'ReconfigVM_Task', grow(4096n));
    const device = (daemon.read(web, 'config')?.hardware.device ?? []).find(({ key }) => key === 2000);
    assert.equal((device as { readonly capacityInKB?: number } | undefined)?.capacityInKB, 4096);
    assert.equal((await stat(join(computer.datastore, 'web', 'web-flat.vmdk'))).size, 4 << 20);
    assert.match(await readFile(join(computer.datastore, 'web', 'web.vmdk'), 'utf8'), /^RW 8192 /m);
    assert.equal(await faultOf(daemon.task(web, 'ReconfigVM_Task', grow(1024n))), 'InvalidDeviceOperation');
    assert.equal(await faultOf(daemon.task(web, 'ReconfigVM_Task', grow(1n << 50n))), 'NoDiskSpace');
    await daemon.task(web, 'CreateSnapshot_Task', { name: 'before', memory: false, quiesce: false });
    assert.equal(await faultOf(daemon.task(web, 'ReconfigVM_Task', grow(8192n))), 'InvalidDeviceOperation');
    assert.deepEqual(computer.defects, []);
    await daemon.host.close();
  } finally {
    await computer.remove();
  }
});

test('a disk replaces one of its name that no machine has, and lies on one that another machine has', async () => {
  const computer = await Computer.make();
  try {
    const daemon = await computer.start();
    const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
    const folder = join(computer.datastore, 'web');
    const add = (fileName: string, fileOperation: string, more: object = {}) => {
      const change = newDisk(1000, fileName) as { readonly device: { readonly backing: object } };
      const device = { ...change.device, backing: { ...change.device.backing, ...more } };
      return { spec: { deviceChange: [{ ...change, fileOperation, device }] } };
    };
    await daemon.task(web, 'ReconfigVM_Task', add('[datastore1] web/data.vmdk', 'create'));
    assert.equal(
      await faultOf(daemon.task(web, 'ReconfigVM_Task', add('[datastore1] web/data.vmdk', 'replace'))),
      'FileLocked',
    );
    const remove = { operation: 'remove', device: { _typeName: 'VirtualDisk', key: 2001, capacityInKB: 0n } };
    await daemon.task(web, 'ReconfigVM_Task', { spec: { deviceChange: [remove] } });
    const before = await readFile(join(folder, 'data.vmdk'), 'utf8');
    assert.equal(
      await faultOf(daemon.task(web, 'ReconfigVM_Task', add('[datastore1] web/data.vmdk', 'create'))),
      'FileAlreadyExists',
    );
    await daemon.task(web, 'ReconfigVM_Task', add('[datastore1] web/data.vmdk', 'replace'));
    assert.notEqual(await readFile(join(folder, 'data.vmdk'), 'utf8'), before);
    const child = add('', 'create', { parent: { fileName: '[datastore1] web/web.vmdk' } });
    const db = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('db'))) as Machine;
    await daemon.task(db, 'ReconfigVM_Task', child);
    const descriptor = await readFile(join(computer.datastore, 'db', 'web-000001.vmdk'), 'utf8');
    assert.match(descriptor, /parentFileNameHint="\.\.\/web\/web\.vmdk"/);
    const grow = edit({ _typeName: 'VirtualDisk', key: 2000, capacityInKB: 4096n });
    assert.equal(
      await faultOf(daemon.task(web, 'ReconfigVM_Task', { spec: { deviceChange: [grow] } })),
      'InvalidDeviceOperation',
    );
    assert.deepEqual(computer.defects, []);
    await daemon.host.close();
  } finally {
    await computer.remove();
  }
});

test('a stale change version is refused, and a creation date is kept over a restart', async () => {
  const computer = await Computer.make();
  try {
    const daemon = await computer.start();
    const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
    const changeVersion = daemon.read(web, 'config')?.changeVersion;
    await daemon.task(web, 'ReconfigVM_Task', {
      spec: { changeVersion, annotation: 'one', createDate: '2020-01-02T03:04:05Z' },
    });
    const stale = daemon.task(web, 'ReconfigVM_Task', { spec: { changeVersion, annotation: 'two' } });
    assert.equal(await faultOf(stale), 'ConcurrentAccess');
    await daemon.host.close();
    const again = await computer.start();
    assert.equal(again.read(web, 'config')?.annotation, 'one');
    assert.equal(again.read(web, 'config')?.createDate, '2020-01-02T03:04:05Z');
    await again.host.close();
  } finally {
    await computer.remove();
  }
});

test('flags of a machine keep snapshots away', async () => {
  const computer = await Computer.make();
  try {
    const daemon = await computer.start();
    const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
    const snapshot = () =>
      faultOf(daemon.task(web, 'CreateSnapshot_Task', { name: 'a', memory: false, quiesce: false }));
    for (const [flag, fault] of [
      ['snapshotDisabled', 'SnapshotDisabled'],
      ['snapshotLocked', 'SnapshotLocked'],
    ] as const) {
      await daemon.task(web, 'ReconfigVM_Task', { spec: { flags: { [flag]: true } } });
      assert.equal(await snapshot(), fault);
      await daemon.task(web, 'ReconfigVM_Task', { spec: { flags: { [flag]: false } } });
    }
    assert.equal(await snapshot(), 'none');
    await daemon.host.close();
  } finally {
    await computer.remove();
  }
});
