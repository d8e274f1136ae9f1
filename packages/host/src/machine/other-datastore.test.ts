import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ManagedObjectReference, VimFault, VirtualDevice } from '@hypostyle/vim';
import { references } from '../inventory/references.ts';
import { CenterCalls } from '../testing/center-calls.ts';
import { Computer, type Daemon, newDisk, smallMachine, vmFolder } from '../testing/host-fixture.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;
type Datastore = ManagedObjectReference<'Datastore'>;
interface Backing {
  readonly fileName?: string;
  readonly datastore?: ManagedObjectReference;
  readonly parent?: Backing;
}

const named = (type: string) => (error: unknown) => (error as VimFault).type === type;

/** A host with the datastores datastore1 and other, and a machine on the first. */
async function twoDatastores() {
  const computer = await Computer.make();
  const daemon = await computer.start();
  const path = join(computer.directory, 'other');
  const other = (await daemon.call(references.datastoreSystem, 'CreateLocalDatastore', {
    name: 'other',
    path,
  })) as Datastore;
  const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
  const files = async () => (await readdir(path, { recursive: true })).filter((name) => !name.startsWith('.')).sort();
  return { computer, daemon, other, web, path, files };
}

/** A new disk that a client wants on a datastore, by its reference or by its name. */
function diskOn(fileName: string, datastore?: ManagedObjectReference) {
  const change = newDisk(1000, fileName) as {
    readonly fileOperation?: string;
    readonly device: { readonly backing: object };
  };
  const { device } = change;
  return {
    spec: {
      deviceChange: [
        {
          ...change,
          device: { ...device, backing: { ...device.backing, ...(datastore === undefined ? {} : { datastore }) } },
        },
      ],
    },
  };
}

function disksOf(daemon: Daemon, machine: Machine): VirtualDevice[] {
  const devices = daemon.read(machine, 'config')?.hardware.device ?? [];
  return devices.filter(({ _typeName }) => _typeName === 'VirtualDisk');
}

const backingsOf = (daemon: Daemon, machine: Machine) =>
  disksOf(daemon, machine).map(({ backing }) => backing as Backing | undefined);

test('disks of a machine are made on another datastore, are shown there, and go with the machine', {
  timeout: 120_000,
}, async () => {
  const { computer, daemon, other, web, path, files } = await twoDatastores();
  try {
    await daemon.task(web, 'ReconfigVM_Task', diskOn('', other));
    assert.deepEqual(await files(), ['web', 'web/web_1-flat.vmdk', 'web/web_1.vmdk']);
    await daemon.task(web, 'ReconfigVM_Task', diskOn('[other]'));
    await assert.rejects(daemon.task(web, 'ReconfigVM_Task', diskOn('[other] data/d.vmdk')), named('FileNotFound'));
    await mkdir(join(path, 'data'));
    await daemon.task(web, 'ReconfigVM_Task', diskOn('[other] data/d.vmdk'));
    assert.deepEqual(
      backingsOf(daemon, web).map((backing) => [backing?.fileName, backing?.datastore?.value === other.value]),
      [
        ['[datastore1] web/web.vmdk', false],
        ['[other] web/web_1.vmdk', true],
        ['[other] web/web_2.vmdk', true],
        ['[other] data/d.vmdk', true],
      ],
    );
    assert.match(
      await readFile(join(computer.datastore, 'web', 'web.vmx'), 'utf8'),
      new RegExp(`fileName = "/vmfs/volumes/${other.value}/web/web_1.vmdk"`),
    );
    assert.equal(daemon.read(web, 'datastore')?.length, 2);
    assert.deepEqual(
      daemon.host.registry.read(other, 'vm')?.map(({ value }) => value),
      [web.value],
    );
    const usage = daemon.read(web, 'storage')?.perDatastoreUsage ?? [];
    assert.equal(usage.length, 2);
    assert.ok(usage.every(({ uncommitted }) => Number(uncommitted) > 0));
    const layout = daemon.read(web, 'layoutEx')?.file?.map(({ name }) => name) ?? [];
    assert.ok(layout.includes('[other] web/web_1-flat.vmdk'), String(layout));
    await assert.rejects(daemon.call(other, 'DestroyDatastore'), named('ResourceInUse'));

    // What it has is its own: nobody deletes it, or writes it too.
    const second = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('second'))) as Machine;
    const attach = diskOn('[other] web/web_1.vmdk').spec.deviceChange.map(({ fileOperation: _, ...change }) => change);
    await daemon.task(second, 'ReconfigVM_Task', { spec: { deviceChange: attach } });
    await daemon.task(web, 'PowerOnVM_Task');
    await assert.rejects(daemon.task(second, 'PowerOnVM_Task'), named('FileLocked'));
    const disks = { type: 'VirtualDiskManager', value: 'ha-vdiskmanager' };
    await assert.rejects(
      daemon.task(disks, 'DeleteVirtualDisk_Task', { name: '[other] web/web_2.vmdk' }),
      named('FileLocked'),
    );
    await daemon.task(second, 'Destroy_Task');
    assert.ok((await files()).includes('web/web_1-flat.vmdk'), 'the other machine has it still');

    await daemon.task(web, 'PowerOffVM_Task');
    const [, , third] = disksOf(daemon, web);
    const destroy = { operation: 'remove', fileOperation: 'destroy', device: third };
    await daemon.task(web, 'ReconfigVM_Task', { spec: { deviceChange: [destroy] } });
    assert.deepEqual(await files(), [
      'data',
      'data/d-flat.vmdk',
      'data/d.vmdk',
      'web',
      'web/web_1-flat.vmdk',
      'web/web_1.vmdk',
    ]);
    await daemon.task(web, 'Destroy_Task');
    assert.deepEqual(await files(), []);
    await daemon.call(other, 'DestroyDatastore');
    assert.deepEqual(computer.defects, []);
    await daemon.host.close();
  } finally {
    await computer.remove();
  }
});

test('snapshots lie beside a disk of another datastore, a copy has all its disks, and a restart finds them', {
  timeout: 120_000,
}, async () => {
  const { computer, daemon, other, web, path, files } = await twoDatastores();
  try {
    await writeFile(join(path, 'disc.iso'), 'disc');
    await daemon.task(web, 'ReconfigVM_Task', diskOn('', other));
    await daemon.task(web, 'PowerOnVM_Task');
    // One more comes while it runs.
    await daemon.task(web, 'ReconfigVM_Task', diskOn('[other]'));
    const snapshot = { name: 'before', memory: false, quiesce: false };
    await daemon.task(web, 'CreateSnapshot_Task', snapshot);
    assert.ok((await files()).includes('web/web_1-000001.vmdk'), String(await files()));
    assert.deepEqual(
      backingsOf(daemon, web).map((backing) => [backing?.fileName, backing?.parent?.fileName]),
      [
        ['[datastore1] web/web-000001.vmdk', '[datastore1] web/web.vmdk'],
        ['[other] web/web_1-000001.vmdk', '[other] web/web_1.vmdk'],
        ['[other] web/web_2-000001.vmdk', '[other] web/web_2.vmdk'],
      ],
    );
    await daemon.host.close();

    const again = await computer.start();
    assert.equal(again.read(web, 'runtime')?.powerState, 'poweredOn');
    assert.equal(again.read(web, 'summary')?.overallStatus, 'green');
    await again.task(web, 'PowerOffVM_Task');
    await again.task(web, 'RevertToCurrentSnapshot_Task');
    await again.task(web, 'PowerOnVM_Task');
    await again.task(web, 'PowerOffVM_Task');
    await again.task(web, 'RemoveAllSnapshots_Task', { consolidate: true });
    assert.deepEqual(
      (await files()).filter((name) => name.endsWith('.vmdk')),
      ['web/web_1-flat.vmdk', 'web/web_1.vmdk', 'web/web_2-flat.vmdk', 'web/web_2.vmdk'],
    );
    const center = await CenterCalls.of(again);
    const copy = (await center.task(web, 'CloneVM_Task', {
      folder: vmFolder,
      name: 'copy',
      spec: {
        _typeName: 'VirtualMachineCloneSpec',
        template: false,
        powerOn: true,
        location: { _typeName: 'VirtualMachineRelocateSpec' },
      },
    })) as Machine;
    assert.deepEqual(
      backingsOf(again, copy).map((backing) => backing?.fileName),
      ['[datastore1] copy/copy.vmdk', '[datastore1] copy/copy_1.vmdk', '[datastore1] copy/copy_2.vmdk'],
    );
    await again.task(copy, 'PowerOffVM_Task');
    await again.task(copy, 'Destroy_Task');
    // A copy of which each disk comes where its locator says.
    const [home] = again.read(web, 'datastore') ?? [];
    const disk = [2000, 2001].map((diskId) => ({
      _typeName: 'VirtualMachineRelocateSpecDiskLocator',
      diskId,
      datastore: diskId === 2000 ? other : home,
    }));
    const spread = (await center.task(web, 'CloneVM_Task', {
      folder: vmFolder,
      name: 'spread',
      spec: {
        _typeName: 'VirtualMachineCloneSpec',
        template: false,
        powerOn: false,
        location: { _typeName: 'VirtualMachineRelocateSpec', disk },
      },
    })) as Machine;
    assert.deepEqual(
      backingsOf(again, spread).map((backing) => backing?.fileName),
      ['[other] spread/spread.vmdk', '[datastore1] spread/spread_1.vmdk', '[datastore1] spread/spread_2.vmdk'],
    );
    await again.task(spread, 'PowerOnVM_Task');
    await again.task(spread, 'PowerOffVM_Task');
    await again.task(spread, 'Destroy_Task');
    assert.ok(!(await files()).some((name) => name.startsWith('spread')));
    // An image that lies there is in a drive.
    const device = {
      _typeName: 'VirtualCdrom',
      key: -5,
      controllerKey: 200,
      backing: { _typeName: 'VirtualCdromIsoBackingInfo', fileName: '[other] disc.iso' },
      connectable: {
        _typeName: 'VirtualDeviceConnectInfo',
        startConnected: true,
        connected: true,
        allowGuestControl: true,
      },
    };
    await again.task(web, 'ReconfigVM_Task', { spec: { deviceChange: [{ operation: 'add', device }] } });
    await again.task(web, 'PowerOnVM_Task');
    await again.task(web, 'PowerOffVM_Task');
    // A move brings the disks together.
    const location = { _typeName: 'VirtualMachineRelocateSpec', datastore: other };
    await again.task(web, 'RelocateVM_Task', { spec: location });
    const moved = backingsOf(again, web).map((backing) => backing?.fileName ?? '');
    assert.ok(
      moved.every((name) => name.startsWith('[other] ')),
      String(moved),
    );
    assert.equal(new Set(moved).size, 3);
    assert.deepEqual(
      again.read(web, 'datastore')?.map(({ value }) => value),
      [other.value],
    );
    await again.task(web, 'PowerOnVM_Task');
    await again.task(web, 'PowerOffVM_Task');
    await again.task(web, 'Destroy_Task');
    assert.deepEqual(await files(), ['disc.iso']);
    assert.deepEqual(computer.defects, []);
    await again.host.close();
  } finally {
    await computer.remove();
  }
});
