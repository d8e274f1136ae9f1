import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadSchema, type ManagedObjectReference, type Properties, Registry, type Session } from '@hypostyle/vim';
import {
  requireForDestroy,
  requireForMoveIntoFolder,
  requireForMoveIntoPool,
  requireForRename,
} from './entity-privileges.ts';
import { requireForClone, requireForCreate, requireForMigrate, requireForRelocate } from './machine-privileges.ts';
import { type PrivilegeScope, requireForFiles } from './privilege-scope.ts';
import { requireForReconfigure } from './reconfigure-privileges.ts';

const schema = loadSchema();
const ref = <T extends string>(type: T, value: string) =>
  ({ _typeName: 'ManagedObjectReference', type, value }) as const;
const machine = ref('VirtualMachine', 'vm-1');
const template = ref('VirtualMachine', 'vm-2');
const folder = ref('Folder', 'group-v1');
const other = ref('Folder', 'group-v2');
const pool = ref('ResourcePool', 'resgroup-1');
const otherPool = ref('ResourcePool', 'resgroup-2');
const fast = ref('Datastore', 'datastore-1');
const slow = ref('Datastore', 'datastore-2');
const lan = ref('Network', 'network-1');

const nic = {
  _typeName: 'VirtualVmxnet3',
  key: 4000,
  backing: { _typeName: 'VirtualEthernetCardNetworkBackingInfo', deviceName: 'lan' },
};
const disk = {
  _typeName: 'VirtualDisk',
  key: 2000,
  capacityInKB: 1000n,
  backing: { _typeName: 'VirtualDiskFlatVer2BackingInfo', fileName: '[fast] a/a.vmdk', diskMode: 'persistent' },
};
const cdrom = {
  _typeName: 'VirtualCdrom',
  key: 3000,
  backing: { _typeName: 'VirtualCdromIsoBackingInfo', fileName: '[fast] a.iso' },
  connectable: {
    _typeName: 'VirtualDeviceConnectInfo',
    startConnected: true,
    allowGuestControl: true,
    connected: true,
  },
};
const floppy = {
  _typeName: 'VirtualFloppy',
  key: 8000,
  backing: { _typeName: 'VirtualFloppyRemoteDeviceBackingInfo', deviceName: '' },
};
const usb = {
  _typeName: 'VirtualUSB',
  key: -1,
  backing: { _typeName: 'VirtualUSBUSBBackingInfo', deviceName: 'path:1/2' },
};
const raw = {
  _typeName: 'VirtualDisk',
  key: -1,
  capacityInKB: 1n,
  backing: { _typeName: 'VirtualDiskRawDiskMappingVer1BackingInfo', fileName: '[fast] r.vmdk', diskMode: 'persistent' },
};

/** What privileges work asks for: everything is held but what has been asked for last, so that it is asked once each. */
function needs(
  work: (scope: PrivilegeScope, caller: { session: Session }) => void,
  powerState = 'poweredOff',
): string[] {
  const registry = new Registry(schema);
  const entity = (at: ManagedObjectReference, properties: object) =>
    registry.commit((draft) =>
      draft.add(
        { type: at.type as 'VirtualMachine', methods: {} },
        at.value,
        properties as Partial<Properties<'VirtualMachine'>>,
      ),
    );
  for (const at of [folder, other, pool, otherPool, fast, slow, lan]) entity(at, { name: at.value });
  const hardware = { device: [nic, disk, cdrom, floppy] };
  const of = { parent: folder, resourcePool: pool, runtime: { powerState }, datastore: [fast] };
  entity(machine, { ...of, config: { hardware, template: false, files: { vmPathName: '[fast] a/a.vmx' } } });
  entity(template, { ...of, config: { hardware, template: true, files: { vmPathName: '[fast] t/t.vmx' } } });
  const asked: string[] = [];
  const scope: PrivilegeScope = {
    registry,
    authorizer: { holds: (_session, object, privilege) => asked.push(`${privilege} on ${object.value}`) > 0 },
    datastore: (name) => (name === 'slow' ? slow : fast),
    network: (name) => (name === '' ? undefined : lan),
  };
  work(scope, { session: {} as Session });
  return asked;
}

const config = (spec: object) => ({ _typeName: 'VirtualMachineConfigSpec', ...spec }) as never;
const change = (operation: string, device: object, fileOperation?: string) =>
  config({ deviceChange: [{ _typeName: 'VirtualDeviceConfigSpec', operation, fileOperation, device }] });
const on = (privilege: string, object: string = machine.value) => `${privilege} on ${object}`;
const configure = (name: string) => on(`VirtualMachine.Config.${name}`);

const reconfigurations: readonly (readonly [string, never, readonly string[]])[] = [
  ['nothing', config({}), [configure('Settings')]],
  ['a name', config({ name: 'b' }), [configure('Rename')]],
  ['processors and memory', config({ numCPUs: 2, memoryMB: 64 }), [configure('CPUCount'), configure('Memory')]],
  ['shares', config({ cpuAllocation: {} }), [configure('Resource')]],
  ['a member of no table', config({ vAssertsEnabled: true }), [configure('Settings')]],
  ['swap placement', config({ swapPlacement: 'inherit' }), [configure('SwapPlacement')]],
  ['consoles', config({ maxMksConnections: 1 }), [configure('MksControl')]],
  ['hardware version', config({ version: 'vmx-19' }), [configure('UpgradeVirtualHardware')]],
  [
    'a new disk',
    change('add', { ...disk, key: -1, backing: { ...disk.backing, fileName: '[slow]' } }, 'create'),
    [configure('AddNewDisk'), on('Datastore.AllocateSpace', slow.value)],
  ],
  [
    'a new disk beside the machine',
    change('add', { ...disk, key: -1, backing: { ...disk.backing, fileName: '' } }, 'create'),
    [configure('AddNewDisk'), on('Datastore.AllocateSpace', fast.value)],
  ],
  [
    'a disk that is there',
    change('add', { ...disk, key: 2000, backing: { ...disk.backing, fileName: '[slow] x.vmdk' } }),
    [configure('AddExistingDisk'), on('Datastore.Browse', slow.value)],
  ],
  ['a larger disk', change('edit', { ...disk, capacityInKB: 2000n }), [configure('DiskExtend')]],
  ['a disk of the same size, as a number', change('edit', { ...disk, capacityInKB: 1000 }), [configure('EditDevice')]],
  [
    'a disk that becomes another',
    change('edit', { ...disk, backing: { ...disk.backing, fileName: '[slow] x.vmdk' } }),
    [configure('EditDevice'), on('Datastore.Browse', slow.value)],
  ],
  ['disk shares', change('edit', { ...disk, shares: { level: 'high', shares: 1 } }), [configure('Resource')]],
  ['a removed disk', change('remove', disk, 'destroy'), [configure('RemoveDisk')]],
  ['a raw disk', change('add', raw, 'create'), [configure('RawDevice'), on('Datastore.AllocateSpace', fast.value)]],
  ['a device of the host', change('add', usb), [configure('HostUSBDevice')]],
  [
    'another CD',
    change('edit', { ...cdrom, backing: { ...cdrom.backing, fileName: '[slow] b.iso' } }),
    [on('VirtualMachine.Interact.SetCDMedia'), on('Datastore.Browse', slow.value)],
  ],
  [
    'a CD taken out',
    change('edit', { ...cdrom, connectable: { ...cdrom.connectable, connected: false } }),
    [on('VirtualMachine.Interact.DeviceConnection')],
  ],
  [
    'another floppy',
    change('edit', { ...floppy, backing: { ...floppy.backing, deviceName: 'x' } }),
    [on('VirtualMachine.Interact.SetFloppyMedia')],
  ],
  [
    'a card on a network',
    change('add', { ...nic, key: -1 }),
    [configure('AddRemoveDevice'), on('Network.Assign', lan.value)],
  ],
  ['a card as it is', change('edit', nic), [configure('EditDevice')]],
  [
    'a card on another network',
    change('edit', { ...nic, backing: { ...nic.backing, deviceName: 'dmz' } }),
    [configure('EditDevice'), on('Network.Assign', lan.value)],
  ],
  ['a removed card', change('remove', nic), [configure('AddRemoveDevice')]],
];

for (const [what, spec, expected] of reconfigurations) {
  test(`a reconfiguration of ${what} needs what it documents`, () => {
    assert.deepEqual(
      needs((scope, caller) => requireForReconfigure(scope, caller, machine, spec)),
      expected,
    );
  });
}

test('a new machine needs its pool, its datastores and networks, and the kinds of disk that it has', () => {
  const spec = config({
    numCPUs: 4,
    files: { vmPathName: '[slow]' },
    extraConfig: [],
    deviceChange: [
      {
        operation: 'add',
        fileOperation: 'create',
        device: { ...disk, key: -1, backing: { ...disk.backing, fileName: '' } },
      },
      { operation: 'add', device: { ...nic, key: -2 } },
    ],
  });
  assert.deepEqual(
    needs((scope, caller) => requireForCreate(scope, caller, { folder, pool }, spec)),
    [
      on('Resource.AssignVMToPool', pool.value),
      on('Datastore.AllocateSpace', slow.value),
      on('VirtualMachine.Config.AdvancedConfig', folder.value),
      on('VirtualMachine.Config.AddNewDisk', folder.value),
      on('Datastore.AllocateSpace', slow.value),
      on('Network.Assign', lan.value),
    ],
  );
});

test('a clone needs the right of its kind on the source, and what a new machine needs where it comes to', () => {
  const clone = (source: typeof machine, isTemplate: boolean, location: object = {}) =>
    needs((scope, caller) =>
      requireForClone(scope, caller, source, {
        folder: other,
        spec: { location, template: isTemplate, powerOn: false } as never,
      }),
    );
  const place = [
    on('VirtualMachine.Inventory.CreateFromExisting', other.value),
    on('Resource.AssignVMToPool', pool.value),
  ];
  const space = on('Datastore.AllocateSpace', fast.value);
  assert.deepEqual(clone(machine, false), [on('VirtualMachine.Provisioning.Clone'), ...place, space]);
  assert.deepEqual(clone(machine, true), [on('VirtualMachine.Provisioning.CreateTemplateFromVM'), place[0], space]);
  assert.equal(clone(template, false)[0], on('VirtualMachine.Provisioning.DeployTemplate', template.value));
  assert.equal(clone(template, true)[0], on('VirtualMachine.Provisioning.CloneTemplate', template.value));
  assert.deepEqual(clone(machine, false, { datastore: slow, pool: otherPool }).slice(2), [
    on('Resource.AssignVMToPool', otherPool.value),
    on('Datastore.AllocateSpace', slow.value),
  ]);
});

test('a migration is hot or cold as the machine is, and needs only what changes', () => {
  const migrate = (to: ManagedObjectReference | undefined, powerState: string) =>
    needs((scope, caller) => requireForMigrate(scope, caller, machine, { pool: to }), powerState);
  assert.deepEqual(migrate(undefined, 'poweredOn'), [on('Resource.HotMigrate')]);
  assert.deepEqual(migrate(pool, 'suspended'), [on('Resource.ColdMigrate')]);
  assert.deepEqual(migrate(otherPool, 'poweredOff'), [
    on('Resource.ColdMigrate'),
    on('Resource.AssignVMToPool', otherPool.value),
  ]);
  const relocate = (spec: object) =>
    needs((scope, caller) => requireForRelocate(scope, caller, machine, spec as never)).slice(1);
  assert.deepEqual(relocate({ datastore: fast, folder }), []);
  assert.deepEqual(relocate({ datastore: slow }), [on('Datastore.AllocateSpace', slow.value)]);
  assert.deepEqual(
    relocate({ folder: other }),
    [machine, folder, other].map(({ value }) => on('VirtualMachine.Inventory.Move', value)),
  );
});

const entities: readonly (readonly [type: string, destroy: string, rename: string | undefined])[] = [
  ['Folder', 'Folder.Delete', 'Folder.Rename'],
  ['Datacenter', 'Datacenter.Delete', 'Datacenter.Rename'],
  ['ClusterComputeResource', 'Host.Inventory.DeleteCluster', 'Host.Inventory.RenameCluster'],
  ['HostSystem', 'Host.Inventory.RemoveHostFromCluster', undefined],
  ['ResourcePool', 'Resource.DeletePool', 'Resource.RenamePool'],
  ['VirtualApp', 'VApp.Delete', 'VApp.Rename'],
  ['VirtualMachine', 'VirtualMachine.Inventory.Delete', 'VirtualMachine.Config.Rename'],
  ['Datastore', 'Datastore.Delete', 'Datastore.Rename'],
  ['Network', 'Network.Delete', 'Network.Config'],
  ['DistributedVirtualPortgroup', 'DVPortgroup.Delete', 'DVPortgroup.Modify'],
  ['VmwareDistributedVirtualSwitch', 'DVSwitch.Delete', 'DVSwitch.Modify'],
];

test('destroying and renaming need what the kind of entity asks for', () => {
  for (const [type, destroy, rename] of entities) {
    const at = ref(type, 'x');
    const add = (scope: PrivilegeScope) =>
      scope.registry.commit((draft) => draft.add({ type: type as 'Folder', methods: {} }, 'x', { parent: folder }));
    assert.deepEqual(
      // A base type does not make it smaller.
      needs((scope, caller) => {
        add(scope);
        requireForDestroy(scope, caller, ref('ManagedEntity', 'x'));
      }),
      [on(destroy, 'x'), on(destroy, folder.value)],
      type,
    );
    const renaming = () =>
      needs((scope, caller) => {
        add(scope);
        requireForRename(scope, caller, at);
      });
    if (rename === undefined) assert.throws(renaming, { type: 'NotSupported' });
    else assert.deepEqual(renaming(), [on(rename, 'x')], type);
  }
});

test('moving needs the right on the entity, on what it leaves and on what it comes into', () => {
  assert.deepEqual(
    needs((scope, caller) => requireForMoveIntoFolder(scope, caller, { folder: other, entities: [machine] })),
    [machine, other, folder].map(({ value }) => on('VirtualMachine.Inventory.Move', value)),
  );
  assert.deepEqual(
    needs((scope, caller) => requireForMoveIntoPool(scope, caller, { pool: otherPool, entities: [machine] })),
    [on('Resource.AssignVMToPool', otherPool.value)],
  );
  assert.throws(
    () => needs((scope, caller) => requireForMoveIntoFolder(scope, caller, { folder: other, entities: [pool] })),
    { type: 'NotSupported' },
  );
});

test('files need the right on the datastore of each path, and whoever has none is told which', () => {
  const paths = ['[fast] a', '[slow] b'];
  assert.deepEqual(
    needs((scope, caller) => requireForFiles(scope, caller, folder, { privilege: 'Datastore.FileManagement', paths })),
    [on('Datastore.FileManagement', fast.value), on('Datastore.FileManagement', slow.value)],
  );
  assert.throws(
    () =>
      needs((scope, caller) =>
        requireForFiles({ ...scope, authorizer: { holds: () => false } }, caller, folder, {
          privilege: 'Datastore.Browse',
          paths,
        }),
      ),
    { type: 'NoPermission', detail: { _typeName: 'NoPermission', object: fast, privilegeId: 'Datastore.Browse' } },
  );
});
