import assert from 'node:assert/strict';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import type { ManagedObjectReference } from '@hypostyle/vim';
import { Computer, type Daemon, smallMachine, vmFolder } from '../../testing/host-fixture.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;

const cdrom = (operation: 'add' | 'edit', device: object) => ({
  spec: {
    deviceChange: [
      {
        _typeName: 'VirtualDeviceConfigSpec',
        operation,
        device: { _typeName: 'VirtualCdrom', key: 3000, controllerKey: 200, unitNumber: 0, ...device },
      },
    ],
  },
});
const iso = (fileName: string) => ({ backing: { _typeName: 'VirtualCdromIsoBackingInfo', fileName } });
const connectable = {
  _typeName: 'VirtualDeviceConnectInfo',
  startConnected: true,
  allowGuestControl: true,
  connected: true,
};

const faultOf = (work: Promise<unknown>) =>
  work.then(
    () => 'none',
    (error: { readonly type?: string }) => error.type ?? String(error),
  );

/** What the machine's engine has in its drive, and whether clients are told of the tools. */
function drive(computer: Computer, daemon: Daemon, web: Machine): (string | boolean | undefined)[] {
  const engine = computer.engines.engines.get(join(computer.datastore, 'web', '.hypo', 'vm.lck'));
  const path = engine?.hardware.cdroms[0]?.path;
  return [path === undefined ? undefined : basename(path), daemon.read(web, 'runtime')?.toolsInstallerMounted];
}

test('the disc with the tools comes into a drive, outlives a restart, and goes with what takes its place', async () => {
  const computer = await Computer.make();
  try {
    let daemon = await computer.start();
    const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
    const now = () => drive(computer, daemon, web);
    const mount = () => daemon.call(web, 'MountToolsInstaller');
    const unmount = () => daemon.call(web, 'UnmountToolsInstaller');
    assert.equal(await faultOf(mount()), 'InvalidPowerState');
    await daemon.task(web, 'PowerOnVM_Task');
    assert.equal(await faultOf(mount()), 'InvalidVmConfig');
    await daemon.task(web, 'PowerOffVM_Task');
    await daemon.task(web, 'ReconfigVM_Task', cdrom('add', iso('[datastore1] web/own.iso')));
    await daemon.task(web, 'PowerOnVM_Task');
    assert.deepEqual(now(), ['own.iso', false]);
    await unmount();
    await mount();
    await mount();
    assert.deepEqual(now(), ['tools.iso', true]);
    // Other changes leave it where it is.
    await daemon.task(web, 'ReconfigVM_Task', { spec: { annotation: 'more' } });
    daemon.die();
    daemon = await computer.start();
    assert.deepEqual(now(), ['tools.iso', true]);
    await unmount();
    assert.deepEqual(now(), ['own.iso', false]);
    // Whoever wants another disc in the drive has it there.
    await mount();
    const other = { ...iso('[datastore1] web/other.iso'), connectable };
    await daemon.task(web, 'ReconfigVM_Task', cdrom('edit', other));
    assert.deepEqual(now(), ['other.iso', false]);
    await mount();
    await daemon.task(web, 'SuspendVM_Task');
    await daemon.task(web, 'PowerOnVM_Task');
    assert.deepEqual(now(), ['tools.iso', true]);
    await daemon.task(web, 'PowerOffVM_Task');
    await daemon.task(web, 'PowerOnVM_Task');
    assert.deepEqual(now(), ['other.iso', false]);
    assert.deepEqual(computer.defects, []);
    await daemon.host.close();
  } finally {
    await computer.remove();
  }
});
