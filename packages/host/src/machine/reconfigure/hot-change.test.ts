import assert from 'node:assert/strict';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { HypervisorError } from '@hypostyle/contracts';
import type { ManagedObjectReference } from '@hypostyle/vim';
import { Computer, type Daemon, newDisk, smallMachine, vmFolder } from '../../testing/host-fixture.ts';
import { deaths, killedAt, killLimit } from '../../testing/killed.ts';
import { gateFiles } from '../../testing/mortal-files.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;

const change = (operation: 'add' | 'edit' | 'remove', device: object, more: object = {}) => ({
  _typeName: 'VirtualDeviceConfigSpec',
  operation,
  device,
  ...more,
});
const nic = {
  _typeName: 'VirtualVmxnet3',
  key: -4,
  backing: { _typeName: 'VirtualEthernetCardNetworkBackingInfo', deviceName: 'VM Network' },
};
const cdrom = { _typeName: 'VirtualCdrom', key: -5, controllerKey: 200 };

/** A machine that runs, with a disk, an adapter and a drive. */
async function running(computer: Computer, daemon: Daemon, spec: object = {}): Promise<Machine> {
  const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
  const deviceChange = [change('add', nic), change('add', cdrom)];
  await daemon.task(web, 'ReconfigVM_Task', { spec: { deviceChange, ...spec } });
  await daemon.task(web, 'PowerOnVM_Task');
  assert.ok(engineOf(computer));
  return web;
}

const engineOf = (computer: Computer) =>
  computer.engines.engines.get(join(computer.datastore, 'web', '.hypo', 'vm.lck')) as NonNullable<
    ReturnType<typeof computer.engines.engines.get>
  >;

async function withComputer(use: (computer: Computer) => Promise<void>): Promise<void> {
  const computer = await Computer.make();
  try {
    await use(computer);
    assert.deepEqual(computer.defects, []);
  } finally {
    await computer.remove();
  }
}

const reconfigure = (daemon: Daemon, machine: Machine, spec: object) =>
  daemon.task(machine, 'ReconfigVM_Task', { spec });

async function faultOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'none';
  } catch (error) {
    return (error as { readonly type?: string }).type ?? String(error);
  }
}

test('disks, adapters, processors and memory come and go while a machine runs', () =>
  withComputer(async (computer) => {
    const daemon = await computer.start();
    const web = await running(computer, daemon, {
      cpuHotAddEnabled: true,
      cpuHotRemoveEnabled: true,
      memoryHotAddEnabled: true,
    });
    assert.deepEqual(engineOf(computer).hardware.hotPlug, { maxCpus: 8, maxMemoryMiB: 2048 });
    const scsi = { _typeName: 'ParaVirtualSCSIController', key: -9, busNumber: 1 };
    await reconfigure(daemon, web, {
      numCPUs: 3,
      memoryMB: 256n,
      deviceChange: [newDisk(1000), change('add', scsi), newDisk(-9), change('add', nic)],
    });
    const { hardware } = engineOf(computer);
    assert.deepEqual([hardware.cpus, hardware.memoryMiB, hardware.disks.length], [3, 256, 3]);
    assert.deepEqual(
      hardware.controllers.map(({ id, model }) => `${id} ${model}`),
      ['ide0 ide', 'scsi0 lsilogic', 'scsi1 pvscsi'],
    );
    assert.match(hardware.nics[1]?.mac ?? '', /^00:0c:29:/);
    const vmx = await readFile(join(computer.datastore, 'web', 'web.vmx'), 'utf8');
    assert.match(vmx, /scsi1:0\.fileName = "web_2\.vmdk"/);
    assert.match(vmx, new RegExp(`ethernet1.generatedAddress = "${hardware.nics[1]?.mac}"`));
    // What is removed goes with its file only where that is asked.
    await reconfigure(daemon, web, {
      numCPUs: 2,
      deviceChange: [
        change('remove', { _typeName: 'VirtualDisk', key: 2001, capacityInKB: 0n }),
        change('remove', { _typeName: 'VirtualDisk', key: 2016, capacityInKB: 0n }, { fileOperation: 'destroy' }),
        change('remove', { _typeName: 'ParaVirtualSCSIController', key: 1001, busNumber: 1 }),
        change('remove', { _typeName: 'VirtualVmxnet3', key: 4000 }),
      ],
    });
    const left = engineOf(computer).hardware;
    assert.deepEqual([left.cpus, left.disks.length, left.nics.map(({ id }) => id)], [2, 1, ['ethernet1']]);
    const files = (await readdir(join(computer.datastore, 'web'))).filter((name) => name.endsWith('.vmdk')).sort();
    assert.deepEqual(files, ['web-flat.vmdk', 'web.vmdk', 'web_1-flat.vmdk', 'web_1.vmdk']);
    await daemon.host.close();
  }));

test('a guest is told that its disk has grown', () =>
  withComputer(async (computer) => {
    const daemon = await computer.start();
    const web = await running(computer, daemon);
    const disk = { _typeName: 'VirtualDisk', key: 2000, capacityInKB: 3072n };
    await reconfigure(daemon, web, { deviceChange: [change('edit', disk)] });
    assert.deepEqual([...engineOf(computer).grown], [['scsi0u0', 3 << 20]]);
    assert.equal((await stat(join(computer.datastore, 'web', 'web-flat.vmdk'))).size, 3 << 20);
    await daemon.host.close();
  }));

test('an adapter and a disc are connected and disconnected, shown so, and remembered over a restart', () =>
  withComputer(async (computer) => {
    let daemon = await computer.start();
    const web = await running(computer, daemon);
    const connectable = (connected: boolean) => ({
      _typeName: 'VirtualDeviceConnectInfo',
      startConnected: true,
      allowGuestControl: true,
      connected,
    });
    const iso = { _typeName: 'VirtualCdromIsoBackingInfo', fileName: '[datastore1] web/web.iso' };
    await reconfigure(daemon, web, {
      deviceChange: [
        change('edit', { ...nic, key: 4000, connectable: connectable(false) }),
        change('edit', { ...cdrom, key: 3000, backing: iso, connectable: connectable(true) }),
      ],
    });
    const shown = (key: number) =>
      (daemon.read(web, 'config')?.hardware.device ?? []).find((device) => device.key === key)?.connectable;
    assert.equal(engineOf(computer).hardware.nics[0]?.connected, false);
    assert.equal(basename(engineOf(computer).hardware.cdroms[0]?.path ?? ''), 'web.iso');
    assert.deepEqual([shown(4000)?.connected, shown(4000)?.startConnected], [false, true]);
    daemon.die();
    daemon = await computer.start();
    assert.deepEqual([shown(4000)?.connected, shown(3000)?.connected], [false, true]);
    await reconfigure(daemon, web, {
      deviceChange: [
        change('edit', { ...nic, key: 4000, connectable: connectable(true) }),
        change('edit', { ...cdrom, key: 3000, connectable: connectable(false) }),
      ],
    });
    assert.equal(engineOf(computer).hardware.nics[0]?.connected, true);
    assert.equal(engineOf(computer).hardware.cdroms[0]?.path, undefined);
    // The next start is as it was set to be.
    await daemon.task(web, 'PowerOffVM_Task');
    await daemon.task(web, 'PowerOnVM_Task');
    assert.equal(basename(engineOf(computer).hardware.cdroms[0]?.path ?? ''), 'web.iso');
    await daemon.host.close();
  }));

test('what cannot be done while a machine runs has its own fault, and changes nothing', () =>
  withComputer(async (computer) => {
    const daemon = await computer.start();
    const web = await running(computer, daemon);
    const before = engineOf(computer).hardware;
    const remove = (device: object) => ({ deviceChange: [change('remove', device)] });
    const cases: readonly [string, object][] = [
      ['CpuHotPlugNotSupported', { numCPUs: 2 }],
      ['MemoryHotPlugNotSupported', { memoryMB: 256n }],
      ['InvalidPowerState', { firmware: 'efi' }],
      ['InvalidPowerState', { guestId: 'debian11_64Guest' }],
      ['InvalidPowerState', { version: 'vmx-20' }],
      ['InvalidPowerState', { cpuHotAddEnabled: true }],
      ['InvalidPowerState', { deviceChange: [change('add', { _typeName: 'VirtualSerialPort', key: -1 })] }],
      ['DeviceHotPlugNotSupported', { deviceChange: [newDisk(200)] }],
      ['DeviceHotPlugNotSupported', { deviceChange: [change('add', { ...cdrom, controllerKey: 201 })] }],
      ['DeviceHotPlugNotSupported', remove({ ...cdrom, key: 3000 })],
      ['DeviceHotPlugNotSupported', { deviceChange: [change('add', { _typeName: 'VirtualAHCIController', key: -1 })] }],
      ['DeviceHotPlugNotSupported', { deviceChange: [change('add', { _typeName: 'VirtualUSBController', key: -1 })] }],
      ['DeviceHotPlugNotSupported', { deviceChange: [change('add', { _typeName: 'VirtualHdAudioCard', key: -1 })] }],
      [
        'DeviceHotPlugNotSupported',
        { deviceChange: [change('edit', { ...nic, key: 4000, _typeName: 'VirtualE1000' })] },
      ],
      [
        'DeviceHotPlugNotSupported',
        {
          deviceChange: [
            change('edit', {
              _typeName: 'VirtualDisk',
              key: 2000,
              capacityInKB: 1024n,
              backing: {
                _typeName: 'VirtualDiskFlatVer2BackingInfo',
                fileName: '',
                diskMode: 'independent_persistent',
              },
            }),
          ],
        },
      ],
    ];
    for (const [fault, spec] of cases) {
      assert.equal(
        await faultOf(reconfigure(daemon, web, spec)),
        fault,
        JSON.stringify(spec, (_k, v) => String(v)),
      );
    }
    // What is as it is may be said again.
    await reconfigure(daemon, web, { numCPUs: 1, memoryMB: 128n, firmware: 'bios', annotation: 'said again' });
    assert.equal(engineOf(computer).hardware, before);
    await daemon.task(web, 'SuspendVM_Task');
    assert.equal(await faultOf(reconfigure(daemon, web, { deviceChange: [newDisk(1000)] })), 'InvalidPowerState');
    await reconfigure(daemon, web, { annotation: 'suspended' });
    await daemon.host.close();
  }));

test('a change that the engine refuses is taken back, in the folder too', () =>
  withComputer(async (computer) => {
    const daemon = await computer.start();
    const web = await running(computer, daemon);
    const folder = join(computer.datastore, 'web');
    const before = { vmx: await readFile(join(folder, 'web.vmx'), 'utf8'), files: (await readdir(folder)).sort() };
    for (const [code, fault] of [
      ['hot-plug-failed', 'GenericVmConfigFault'],
      ['unsupported-hardware', 'DeviceHotPlugNotSupported'],
    ] as const) {
      daemon.hypervisor.failures.set('changeHardware', new HypervisorError(code, 'the guest does not let go'));
      assert.equal(await faultOf(reconfigure(daemon, web, { deviceChange: [newDisk(1000)] })), fault);
      assert.equal(await readFile(join(folder, 'web.vmx'), 'utf8'), before.vmx);
      assert.deepEqual((await readdir(folder)).sort(), before.files);
      assert.deepEqual([...engineOf(computer).disks.keys()], ['scsi0u0']);
    }
    await reconfigure(daemon, web, { deviceChange: [newDisk(1000)] });
    assert.equal(engineOf(computer).disks.size, 2);
    await daemon.host.close();
  }));

test(
  'wherever the process dies amid a change, the engine and the folder agree, and the task tells what is so',
  killLimit,
  async (t) => {
    const ungate = gateFiles();
    t.after(ungate);
    const outcomes = { before: 0, after: 0 };
    let whole = false;
    for (const dies of deaths(6)) {
      if (whole) break;
      await withComputer(async (computer) => {
        let daemon = await computer.start();
        const web = await running(computer, daemon);
        await reconfigure(daemon, web, { deviceChange: [newDisk(1000)] });
        const remove = change(
          'remove',
          { _typeName: 'VirtualDisk', key: 2001, capacityInKB: 0n },
          { fileOperation: 'destroy' },
        );
        const spec = {
          deviceChange: [remove, { ...newDisk(1000), device: { ...(newDisk(1000).device as object), unitNumber: 3 } }],
        };
        ({ daemon, whole } = await killedAt({ computer, daemon, dies }, (alive) => reconfigure(alive, web, spec)));
        const folder = join(computer.datastore, 'web');
        const vmx = await readFile(join(folder, 'web.vmx'), 'utf8');
        const named = [...vmx.matchAll(/^scsi0:(\d)\.fileName = "(.*)\.vmdk"/gm)].map(([, unit, stem]) => [
          `scsi0u${unit}`,
          `${stem}-flat.vmdk`,
        ]);
        const open = [...engineOf(computer).disks].map(([id, [top]]) => [id, basename(top?.path ?? '')]);
        assert.deepEqual(open.sort(), named.sort(), `killed at ${dies}`);
        const files = (await readdir(folder)).filter((name) => name.endsWith('-flat.vmdk'));
        assert.deepEqual(files.sort(), named.map(([, file]) => file).sort(), `killed at ${dies}`);
        const units = named.map(([id]) => id);
        if (units.includes('scsi0u3')) outcomes.after += 1;
        else outcomes.before += 1;
        assert.deepEqual(units, units.includes('scsi0u3') ? ['scsi0u0', 'scsi0u3'] : ['scsi0u0', 'scsi0u1']);
        assert.deepEqual(
          (daemon.read(web, 'config')?.hardware.device ?? []).filter(({ _typeName }) => _typeName === 'VirtualDisk')
            .length,
          2,
        );
        await daemon.host.close();
      });
    }
    assert.ok(outcomes.before > 0 && outcomes.after > 0, JSON.stringify(outcomes));
  },
);
