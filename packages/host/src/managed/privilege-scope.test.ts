import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ManagedObjectReference, VimFault } from '@hypostyle/vim';
import { Computer, type Daemon, newDisk, smallMachine, vmFolder } from '../testing/host-fixture.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;
const lacks = (privilege: string) => (error: unknown) =>
  (error as VimFault).type === 'NoPermission' && (error as VimFault).detail.privilegeId === privilege;

const manager = { type: 'AuthorizationManager', value: 'ha-authmgr' } as const;

async function allow(daemon: Daemon, machine: Machine, privIds: readonly string[]): Promise<void> {
  const accounts = { type: 'HostLocalAccountManager', value: 'ha-localacctmgr' } as const;
  const user = { _typeName: 'HostAccountSpec', id: 'bob', password: 'Very-secret-2' };
  await daemon.call(accounts as never, 'CreateUser', { user }).catch(() => {});
  const roleId = await daemon.call(manager as never, 'AddAuthorizationRole', { name: privIds.join(), privIds });
  const permission = [{ _typeName: 'Permission', principal: 'bob', group: false, roleId, propagate: false }];
  await daemon.call(manager as never, 'SetEntityPermissions', { entity: machine, permission });
}

test('each part of a reconfiguration needs its privilege, also those that are in no table', async () => {
  const computer = await Computer.make();
  try {
    const daemon = await computer.start();
    const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
    const secret = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('secret'))) as Machine;
    await allow(daemon, web, ['VirtualMachine.Config.AddExistingDisk', 'VirtualMachine.Config.AddNewDisk']);
    const change = (spec: object) =>
      daemon.call(web, 'ReconfigVM_Task', { spec: { _typeName: 'VirtualMachineConfigSpec', ...spec } }, 'bob');
    await assert.rejects(change({}), lacks('VirtualMachine.Config.Settings'));
    await assert.rejects(change({ cpuHotAddEnabled: true }), lacks('VirtualMachine.Config.CPUCount'));
    await assert.rejects(change({ swapPlacement: 'inherit' }), lacks('VirtualMachine.Config.SwapPlacement'));
    await assert.rejects(change({ locationId: 'x' }), lacks('VirtualMachine.Config.Settings'));
    await assert.rejects(change({ deviceChange: [newDisk(1000)] }), lacks('Datastore.AllocateSpace'));
    const theirs = { ...newDisk(1000, '[datastore1] secret/secret.vmdk'), fileOperation: undefined };
    await assert.rejects(change({ deviceChange: [theirs] }), lacks('Datastore.Browse'));
    assert.equal(daemon.read(secret, 'name'), 'secret');
    // What the engine is started with is not said by a client.
    for (const key of ['hypostyle.machineType', 'hypostyle.cpuModel']) {
      const extraConfig = [{ _typeName: 'OptionValue', key, value: 'pc,kernel=/etc/shadow' }];
      const spec = { _typeName: 'VirtualMachineConfigSpec', extraConfig };
      await assert.rejects(daemon.call(web, 'ReconfigVM_Task', { spec }), { type: 'InvalidArgument' });
    }
    await daemon.host.close();
  } finally {
    await computer.remove();
  }
});
