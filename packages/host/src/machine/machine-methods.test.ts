import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ManagedObjectReference, VimFault } from '@hypostyle/vim';
import { Computer, smallMachine, vmFolder } from '../testing/host-fixture.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;

test('what nobody does here has its documented fault, and what is left of it its effect', async () => {
  const computer = await Computer.make();
  const daemon = await computer.start();
  try {
    const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
    const outcome = (name: string, args: Record<string, unknown> = {}) => {
      const work = name.endsWith('_Task') ? daemon.task(web, name, args) : daemon.call(web, name, args);
      return work.then(
        () => 'done',
        (error: VimFault) => error.type,
      );
    };
    const outcomes = async (...names: string[]) =>
      Object.fromEntries(await Promise.all(names.map(async (name) => [name, await outcome(name)] as const)));
    assert.deepEqual(
      await outcomes(
        'MountToolsInstaller',
        'UpgradeTools_Task',
        'StandbyGuest',
        'TerminateVM',
        'ExtractOvfEnvironment',
      ),
      {
        MountToolsInstaller: 'InvalidPowerState',
        UpgradeTools_Task: 'InvalidPowerState',
        StandbyGuest: 'InvalidPowerState',
        TerminateVM: 'InvalidPowerState',
        ExtractOvfEnvironment: 'InvalidState',
      },
    );
    assert.deepEqual(await outcomes('DefragmentAllDisks', 'ResetGuestInformation', 'QueryUnownedFiles'), {
      DefragmentAllDisks: 'done',
      ResetGuestInformation: 'done',
      QueryUnownedFiles: 'done',
    });
    assert.equal(await outcome('UpgradeVM_Task', { version: 'vmx-20' }), 'done');
    assert.equal(daemon.read(web, 'config')?.version, 'vmx-20');
    assert.equal(await outcome('UpgradeVM_Task', { version: 'vmx-19' }), 'AlreadyUpgraded');
    assert.equal(await outcome('UpgradeVM_Task', { version: 'vmx-99' }), 'InvalidArgument');
    assert.equal(await outcome('UpgradeVM_Task'), 'done');
    assert.equal(await outcome('UpgradeVM_Task'), 'AlreadyUpgraded');

    await daemon.task(web, 'PowerOnVM_Task');
    assert.deepEqual(
      await outcomes(
        'MountToolsInstaller',
        'UnmountToolsInstaller',
        'UpgradeTools_Task',
        'StandbyGuest',
        'DefragmentAllDisks',
        'ResetGuestInformation',
        'CreateSecondaryVM_Task',
        'StopRecording_Task',
      ),
      {
        MountToolsInstaller: 'InvalidVmConfig',
        UnmountToolsInstaller: 'done',
        UpgradeTools_Task: 'ToolsUnavailable',
        StandbyGuest: 'ToolsUnavailable',
        DefragmentAllDisks: 'InvalidPowerState',
        ResetGuestInformation: 'InvalidPowerState',
        CreateSecondaryVM_Task: 'HostIncompatibleForFaultTolerance',
        StopRecording_Task: 'InvalidState',
      },
    );
    assert.equal(await outcome('UpgradeVM_Task', { version: 'vmx-21' }), 'InvalidPowerState');
    assert.equal(await outcome('AttachDisk_Task', { diskId: { id: 'x' }, datastore: vmFolder }), 'NotFound');
    assert.equal(await outcome('StartRecording_Task', { name: 'x' }), 'RecordReplayDisabled');
    assert.equal(await outcome('TerminateVM'), 'done');
    assert.equal(daemon.read(web, 'runtime')?.powerState, 'poweredOff');
    assert.equal(computer.engines.engines.size, 0);
    assert.deepEqual(computer.defects, []);
  } finally {
    await daemon.host.close();
    await computer.remove();
  }
});
