import assert from 'node:assert/strict';
import { test } from 'node:test';
import { smallMachine, vmFolder } from '@hypostyle/host/testing';
import type { ManagedObjectReference, VimFault } from '@hypostyle/vim';
import { services } from '../services.ts';
import { HostNetwork, TestCenter } from '../testing/center-fixture.ts';

type Reference = ManagedObjectReference;

/** A call by somebody who may do everything, but for one privilege on one of the objects that it names. */
interface Row {
  readonly method: string;
  readonly self: Reference;
  readonly args: Record<string, unknown>;
  /** What it needs on which object. */
  readonly needs: readonly (readonly [privilege: string, object: Reference])[];
}

test('calls through the center need rights on all that they name', { timeout: 60_000 }, async (t) => {
  const network = new HostNetwork();
  const daemon = await network.add('local');
  const center = await TestCenter.open(network, undefined, 'local');
  t.after(async () => {
    await center.close();
    await network.remove();
  });
  await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('one'));
  await center.until(() => center.all('VirtualMachine').length === 1);
  const [machine] = center.all('VirtualMachine') as [Reference];
  const [datastore] = center.all('Datastore') as [ManagedObjectReference<'Datastore'>];
  const [lan] = center.all('Network') as [Reference];
  const [pool] = center.all('ResourcePool') as [Reference];
  const [datacenter] = center.all('Datacenter') as [ManagedObjectReference<'Datacenter'>];
  const folder = center.read(datacenter, 'vmFolder') as Reference;
  const browser = center.read(datastore, 'browser') as Reference;
  const nic = {
    _typeName: 'VirtualDeviceConfigSpec',
    operation: 'add',
    device: {
      _typeName: 'VirtualE1000',
      key: -9,
      backing: { _typeName: 'VirtualEthernetCardNetworkBackingInfo', deviceName: 'VM Network' },
    },
  };
  const small = (smallMachine('two') as { config: { deviceChange: object[] } }).config;
  const config = { ...small, deviceChange: [...small.deviceChange, nic] };
  const newDisk = small.deviceChange[1] as { device: object };
  const place = [
    ['Resource.AssignVMToPool', pool],
    ['Datastore.AllocateSpace', datastore],
    ['Network.Assign', lan],
  ] as const;
  const rows: readonly Row[] = [
    {
      method: 'CreateVM_Task',
      self: folder,
      args: { config, pool },
      needs: [['VirtualMachine.Inventory.Create', folder], ...place],
    },
    { method: 'CreateChildVM_Task', self: pool, args: { config }, needs: place },
    {
      method: 'ImportVApp',
      self: pool,
      args: { spec: { _typeName: 'VirtualMachineImportSpec', configSpec: config }, folder },
      needs: [['VApp.Import', pool], ...place],
    },
    {
      method: 'RegisterVM_Task',
      self: folder,
      args: { path: '[datastore1] none/none.vmx', asTemplate: false, pool },
      needs: [
        ['VirtualMachine.Inventory.Register', folder],
        ['Resource.AssignVMToPool', pool],
        ['Datastore.Browse', datastore],
      ],
    },
    {
      method: 'ReconfigVM_Task',
      self: machine,
      args: { spec: { _typeName: 'VirtualMachineConfigSpec', deviceChange: [nic] } },
      needs: [
        ['VirtualMachine.Config.AddRemoveDevice', machine],
        ['Network.Assign', lan],
      ],
    },
    {
      method: 'ReconfigVM_Task',
      self: machine,
      args: {
        spec: {
          _typeName: 'VirtualMachineConfigSpec',
          deviceChange: [
            {
              ...newDisk,
              device: {
                ...newDisk.device,
                controllerKey: 1000,
                backing: {
                  _typeName: 'VirtualDiskFlatVer2BackingInfo',
                  fileName: '[datastore1] other.vmdk',
                  diskMode: 'persistent',
                },
              },
            },
          ],
        },
      },
      needs: [
        ['VirtualMachine.Config.AddNewDisk', machine],
        ['Datastore.AllocateSpace', datastore],
      ],
    },
    {
      method: 'CloneVM_Task',
      self: machine,
      args: {
        folder,
        name: 'copy',
        spec: {
          _typeName: 'VirtualMachineCloneSpec',
          location: { _typeName: 'VirtualMachineRelocateSpec', pool, datastore },
          template: false,
          powerOn: false,
          config: { _typeName: 'VirtualMachineConfigSpec', deviceChange: [nic] },
        },
      },
      needs: [
        ['VirtualMachine.Provisioning.Clone', machine],
        ['VirtualMachine.Inventory.CreateFromExisting', folder],
        ...place,
      ],
    },
    {
      method: 'Rename_Task',
      self: machine,
      args: { newName: 'x' },
      needs: [['VirtualMachine.Config.Rename', machine]],
    },
    { method: 'Destroy_Task', self: machine, args: {}, needs: [['VirtualMachine.Inventory.Delete', machine]] },
    {
      method: 'AcquireTicket',
      self: machine,
      args: { ticketType: 'webmks' },
      needs: [['VirtualMachine.Interact.ConsoleInteract', machine]],
    },
    {
      method: 'AcquireTicket',
      self: machine,
      args: { ticketType: 'nbd:2000' },
      needs: [['VirtualMachine.Provisioning.DiskRandomRead', machine]],
    },
    {
      method: 'AcquireTicket',
      self: machine,
      args: { ticketType: 'nbd:2000:rw' },
      needs: [['VirtualMachine.Provisioning.DiskRandomAccess', machine]],
    },
    {
      method: 'MakeDirectory',
      self: services.fileManager,
      args: { name: '[datastore1] a', datacenter },
      needs: [['Datastore.FileManagement', datastore]],
    },
    {
      method: 'SearchDatastore_Task',
      self: browser,
      args: { datastorePath: '[datastore1]' },
      needs: [['Datastore.Browse', datastore]],
    },
  ];
  const manager = (await center.center.registry.read({ type: 'ServiceInstance', value: 'ServiceInstance' }, 'content'))
    ?.authorizationManager as ManagedObjectReference<'AuthorizationManager'>;
  const everything = (center.read(manager, 'privilegeList') ?? []).map(({ privId }) => privId);
  const role = (await center.call(manager, 'AddAuthorizationRole', { name: 'narrow', privIds: [] })) as number;
  const grant = (entity: Reference, roleId: number) =>
    center.call(manager, 'SetEntityPermissions', {
      entity,
      permission: [{ _typeName: 'Permission', principal: 'ann@vsphere.local', group: false, roleId, propagate: true }],
    });
  const { accountManager } = (await center.center.registry.read(
    { type: 'ServiceInstance', value: 'ServiceInstance' },
    'content',
  )) as { accountManager: Reference };
  await center.call(accountManager, 'CreateUser', {
    user: { _typeName: 'HostAccountSpec', id: 'ann@vsphere.local', password: 'Very-secret-2' },
  });
  await grant(services.rootFolder, -1);
  const { session } = center.center.sessions.openInternal({ userName: 'VSPHERE.LOCAL\\ann' });
  const before = daemon.machines().length;
  for (const { method, self, args, needs } of rows) {
    for (const [privilege, object] of needs) {
      const privIds = everything.filter((one) => one !== privilege);
      await center.call(manager, 'UpdateAuthorizationRole', { roleId: role, newName: 'narrow', privIds });
      await grant(object, role);
      const told = await center.callAs(session, self, method, args).then(
        () => undefined,
        (error: unknown) => error as VimFault,
      );
      await center.call(manager, 'RemoveEntityPermission', {
        entity: object,
        user: 'ann@vsphere.local',
        isGroup: false,
      });
      const where = `${method} without ${privilege} on ${object.type}`;
      assert.ok(told?.type === 'NoPermission', `${where}: ${told?.type} ${told?.message}`);
      const detail = told.detail as unknown as { privilegeId: string; object: Reference };
      assert.deepEqual([detail.privilegeId, detail.object.value], [privilege, object.value], where);
    }
  }
  assert.equal(daemon.machines().length, before);
  // With all of them it is done, and seen as soon as it is.
  const made = (await center.outcome(
    (await center.callAs(session, folder, 'CreateVM_Task', { config, pool })) as ManagedObjectReference<'Task'>,
  )) as ManagedObjectReference<'VirtualMachine'>;
  assert.equal(center.read(made, 'name'), 'two');
});
