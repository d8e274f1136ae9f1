import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ManagedObjectReference } from '@hypostyle/vim';
import { CenterCalls } from '../../testing/center-calls.ts';
import { Computer, type Daemon, newDisk, smallMachine, vmFolder } from '../../testing/host-fixture.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;

const shared = '[datastore1] web/shared.vmdk';

/** A change that adds a disk; `file` alone attaches one that is there. */
function disk(backing: object, { create = false, controllerKey = 1000 } = {}): Record<string, unknown> {
  const { device, fileOperation, ...change } = newDisk(controllerKey) as {
    readonly device: { readonly backing: object };
    readonly fileOperation: string;
  };
  const flat = { _typeName: 'VirtualDiskFlatVer2BackingInfo', diskMode: 'persistent' };
  return { ...change, ...(create ? { fileOperation } : {}), device: { ...device, backing: { ...flat, ...backing } } };
}

const multiWriter = { sharing: 'sharingMultiWriter' };
const eager = { thinProvisioned: false, eagerlyScrub: true };
const edit = (key: number, fileName: string, backing: object) => ({
  _typeName: 'VirtualDeviceConfigSpec',
  operation: 'edit',
  device: {
    _typeName: 'VirtualDisk',
    key,
    capacityInKB: 1024n,
    backing: { _typeName: 'VirtualDiskFlatVer2BackingInfo', diskMode: 'persistent', fileName, ...backing },
  },
});

const faultOf = (work: Promise<unknown>) =>
  work.then(
    () => 'none',
    (error: { readonly type?: string }) => error.type ?? String(error),
  );

class Cluster {
  readonly computer: Computer;
  readonly daemon: Daemon;
  readonly web: Machine;
  readonly db: Machine;

  private constructor(computer: Computer, daemon: Daemon, web: Machine, db: Machine) {
    this.computer = computer;
    this.daemon = daemon;
    this.web = web;
    this.db = db;
  }

  /** Two machines with a disk of their own each, and what `use` does with them. */
  static async with(use: (cluster: Cluster) => Promise<void>): Promise<void> {
    const computer = await Computer.make();
    try {
      const daemon = await computer.start();
      const [web, db] = [await machine(daemon, 'web'), await machine(daemon, 'db')];
      await use(new Cluster(computer, daemon, web, db));
      assert.deepEqual(computer.defects, []);
      await daemon.host.close();
    } finally {
      await computer.remove();
    }
  }

  /** Gives both the same disk. */
  async share(backing: object = multiWriter): Promise<void> {
    await this.change(this.web, disk({ fileName: shared, ...eager, ...backing }, { create: true }));
    await this.change(this.db, disk({ fileName: shared, ...backing }));
  }

  change(self: Machine, ...deviceChange: object[]): Promise<unknown> {
    return this.daemon.task(self, 'ReconfigVM_Task', { spec: { deviceChange } });
  }

  on = (self: Machine) => this.daemon.task(self, 'PowerOnVM_Task');
  off = (self: Machine) => this.daemon.task(self, 'PowerOffVM_Task');

  engineDisks(name: string): (boolean | undefined)[] {
    const engine = this.computer.engines.engines.get(join(this.computer.datastore, name, '.hypo', 'vm.lck'));
    return (engine?.hardware.disks ?? []).map((one) => one.shared);
  }
}

async function machine(daemon: Daemon, name: string): Promise<Machine> {
  return (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine(name))) as Machine;
}

test('two machines run with a disk that both say is shared, and not with one that only one of them shares', () =>
  Cluster.with(async (cluster) => {
    const { web, db, daemon, computer } = cluster;
    await cluster.share();
    const vmx = await readFile(join(computer.datastore, 'db', 'db.vmx'), 'utf8');
    assert.match(vmx, /scsi0:1\.sharing = "multi-writer"/);
    const backings = (daemon.read(db, 'config')?.hardware.device ?? [])
      .filter(({ _typeName }) => _typeName === 'VirtualDisk')
      .map(({ backing }) => (backing as { readonly sharing?: string }).sharing);
    assert.deepEqual(backings, ['sharingNone', 'sharingMultiWriter']);
    await cluster.on(web);
    await cluster.on(db);
    assert.deepEqual(cluster.engineDisks('db'), [undefined, true]);
    // Who shares it is the matter of a machine that is off.
    const alone = edit(2001, shared, { sharing: 'sharingNone' });
    assert.equal(await faultOf(cluster.change(db, alone)), 'DeviceHotPlugNotSupported');
    await cluster.off(db);
    await cluster.change(db, alone);
    assert.equal(await faultOf(cluster.on(db)), 'FileLocked');
    // The older way to say it.
    const extraConfig = [{ _typeName: 'OptionValue', key: 'scsi0:1.sharing', value: 'multi-writer' }];
    await daemon.task(db, 'ReconfigVM_Task', { spec: { extraConfig } });
    await cluster.on(db);
    // A third one gets it while it runs.
    const third = await machine(daemon, 'third');
    await cluster.on(third);
    assert.equal(await faultOf(cluster.change(third, disk({ fileName: shared }))), 'FileLocked');
    await cluster.change(third, disk({ fileName: shared, ...multiWriter }));
    assert.deepEqual(cluster.engineDisks('third'), [undefined, true]);
  }));

test('disks of a shared SCSI bus are shared', () =>
  Cluster.with(async (cluster) => {
    const { web, db, daemon, computer } = cluster;
    const bus = {
      _typeName: 'VirtualDeviceConfigSpec',
      operation: 'add',
      device: { _typeName: 'ParaVirtualSCSIController', key: -9, busNumber: 1, sharedBus: 'virtualSharing' },
    };
    const thin = disk({ fileName: shared, thinProvisioned: true }, { create: true, controllerKey: -9 });
    assert.equal(await faultOf(cluster.change(web, bus, thin)), 'InvalidDeviceBacking');
    await cluster.change(web, bus, disk({ fileName: shared, ...eager }, { create: true, controllerKey: -9 }));
    await cluster.change(db, bus, disk({ fileName: shared }, { controllerKey: -9 }));
    await cluster.on(web);
    await cluster.on(db);
    const vmx = await readFile(join(computer.datastore, 'web', 'web.vmx'), 'utf8');
    assert.match(vmx, /scsi1\.sharedBus = "virtual"/);
    const controller = (daemon.read(web, 'config')?.hardware.device ?? []).find(({ key }) => key === 1001);
    assert.equal((controller as { readonly sharedBus?: string } | undefined)?.sharedBus, 'virtualSharing');
    assert.equal(
      await faultOf(daemon.task(web, 'CreateSnapshot_Task', { name: 'a', memory: false, quiesce: false })),
      'SnapshotIncompatibleDeviceInVm',
    );
  }));

test('what cannot be shared is refused: thin disks, disks on others, disks with snapshots', () =>
  Cluster.with(async (cluster) => {
    const { web, daemon } = cluster;
    const refused = (...change: object[]) => faultOf(cluster.change(web, ...change));
    assert.equal(
      await refused(disk({ ...multiWriter, thinProvisioned: true }, { create: true })),
      'InvalidDeviceBacking',
    );
    assert.equal(
      await refused(disk({ ...multiWriter, thinProvisioned: false }, { create: true })),
      'InvalidDeviceBacking',
    );
    assert.equal(await refused(edit(2000, '[datastore1] web/web.vmdk', multiWriter)), 'InvalidDeviceBacking');
    const child = { ...multiWriter, ...eager, parent: { fileName: '[datastore1] db/db.vmdk' } };
    assert.equal(await refused(disk(child, { create: true })), 'InvalidDeviceSpec');
    await cluster.share({});
    await daemon.task(web, 'CreateSnapshot_Task', { name: 'a', memory: false, quiesce: false });
    assert.equal(await refused(edit(2001, '', multiWriter)), 'InvalidDeviceBacking');
  }));

test('what several machines write is not snapshotted, suspended, copied, grown or tracked under them', () =>
  Cluster.with(async (cluster) => {
    const { web, db, daemon, computer } = cluster;
    await cluster.share();
    await cluster.on(web);
    const snapshot = () => daemon.task(web, 'CreateSnapshot_Task', { name: 'a', memory: false, quiesce: false });
    assert.equal(await faultOf(snapshot()), 'SnapshotIncompatibleDeviceInVm');
    assert.equal(await faultOf(daemon.task(web, 'SuspendVM_Task')), 'NotSupported');
    const center = await CenterCalls.of(daemon);
    const location = { _typeName: 'VirtualMachineRelocateSpec', transform: 'flat' };
    const clone = (self: Machine) =>
      center.task(self, 'CloneVM_Task', {
        folder: vmFolder,
        name: 'copy',
        spec: { _typeName: 'VirtualMachineCloneSpec', location, powerOn: false, template: false },
      });
    assert.equal(await faultOf(clone(web)), 'MultiWriterNotSupported');
    assert.equal(await faultOf(center.task(web, 'RelocateVM_Task', { spec: location })), 'MultiWriterNotSupported');
    // The other one is off, and its disk is written all the same.
    assert.equal(await faultOf(clone(db)), 'FileLocked');
    assert.equal(await faultOf(center.task(db, 'RelocateVM_Task', { spec: location })), 'FileLocked');
    assert.equal(await faultOf(daemon.call(db, 'ExportVm')), 'FileLocked');
    const grown = edit(2001, shared, multiWriter);
    const larger = { ...grown, device: { ...grown.device, capacityInKB: 4096n } };
    assert.equal(await faultOf(cluster.change(web, larger)), 'InvalidDeviceOperation');
    await cluster.off(web);
    await daemon.task(web, 'ReconfigVM_Task', { spec: { changeTrackingEnabled: true } });
    await cluster.on(web);
    const engine = computer.engines.engines.get(join(computer.datastore, 'web', '.hypo', 'vm.lck'));
    const changes = (engine?.hardware.disks ?? []).map(({ layers }) => layers[0]?.changesPath !== undefined);
    assert.deepEqual(changes, [true, false]);
    // A disk that no snapshot holds is in nobody's way.
    await cluster.off(web);
    await cluster.change(web, edit(2001, shared, { ...multiWriter, diskMode: 'independent_persistent' }));
    await snapshot();
    await cluster.on(web);
    await cluster.on(db);
  }));
