import {
  data,
  type ManagedObject,
  type ManagedObjectReference,
  type VirtualMachineCloneSpec,
  type VirtualMachineInstantCloneSpec,
  type VirtualMachineRelocateSpec,
} from '@hypostyle/vim';
import { type Static, Type } from '@sinclair/typebox';
import { type CenterView, read } from '../calls/center-view.ts';
import { invalidArgument } from '../errors.ts';
import { Machine } from '../machine/machine-reader.ts';
import { placementSpec } from '../machine/machine-schemas.ts';
import { closed, defined, identifier, name, optionalBoolean } from '../schemas/common.ts';
import { customizationNamed } from './customization-specs.ts';
import { idOf } from './inventory-objects.ts';
import { type Operation, operation } from './operation.ts';

type Placement = Static<typeof placementSpec>;

const diskPlaces = Type.Record(Type.String(), closed({ datastore: Type.Optional(identifier) }));

const cloneSpec = closed({
  source: identifier,
  name,
  placement: Type.Optional(placementSpec),
  disks_to_remove: Type.Optional(Type.Array(identifier, { maxItems: 256 })),
  disks_to_update: Type.Optional(diskPlaces),
  power_on: optionalBoolean,
  guest_customization_spec: Type.Optional(closed({ name: Type.Optional(name) })),
});

const instantCloneSpec = closed({
  source: identifier,
  name,
  placement: Type.Optional(placementSpec),
  bios_uuid: Type.Optional(Type.String({ minLength: 36, maxLength: 36 })),
});

const relocateSpec = closed({
  placement: Type.Optional(placementSpec),
  disks: Type.Optional(diskPlaces),
});

/** Copies of machines, and machines that go elsewhere. */
export const copyOperations: readonly Operation[] = [
  operation({
    id: 'vcenter.vm.clone',
    summary: 'Clones a machine.',
    method: 'POST',
    path: '/vcenter/vm',
    action: 'clone',
    rest: {},
    body: cloneSpec,
    answer: Type.String(),
    async run({ view, body }) {
      const { placement = {}, disks_to_remove: removed = [], disks_to_update: updated = {} } = body;
      const source = new Machine(view, body.source);
      const both = removed.find((id) => Object.hasOwn(updated, id));
      if (both !== undefined) throw invalidArgument(`Disk ${both} is to be removed and to be kept.`);
      const specified = body.guest_customization_spec?.name;
      const location = data('VirtualMachineRelocateSpec', {
        ...locationOf(view, source, placement, updated),
        ...(removed.length === 0 ? {} : { deviceChange: removed.map((id) => removal(source, id)) }),
      });
      const spec: VirtualMachineCloneSpec = data('VirtualMachineCloneSpec', {
        location,
        template: false,
        powerOn: body.power_on ?? false,
        ...(specified === undefined ? {} : { customization: await customizationNamed(view, specified) }),
      });
      const folder = folderOf(view, placement) ?? homeOf(view, source.object);
      return idOf(
        await view.run('VirtualMachine', source.object.ref, 'CloneVM_Task', { folder, name: body.name, spec }),
      );
    },
  }),
  operation({
    id: 'vcenter.vm.instant-clone',
    summary: 'Makes a machine that goes on from where another one is that runs, beside it.',
    method: 'POST',
    path: '/vcenter/vm',
    action: 'instant-clone',
    rest: {},
    body: instantCloneSpec,
    answer: Type.String(),
    async run({ view, body }) {
      const { placement = {} } = body;
      const source = new Machine(view, body.source);
      const folder = folderOf(view, placement);
      const location = data('VirtualMachineRelocateSpec', {
        ...locationOf(view, source, placement, {}),
        ...(folder === undefined ? {} : { folder }),
      });
      const spec: VirtualMachineInstantCloneSpec = data('VirtualMachineInstantCloneSpec', {
        name: body.name,
        location,
        ...defined({ biosUuid: body.bios_uuid }),
      });
      return idOf(await view.run('VirtualMachine', source.object.ref, 'InstantClone_Task', { spec }));
    },
  }),
  operation({
    id: 'vcenter.vm.relocate',
    summary: 'Moves a machine, which may run meanwhile, to other storage, another folder or pool.',
    method: 'POST',
    path: '/vcenter/vm/{vm}',
    action: 'relocate',
    rest: {},
    body: relocateSpec,
    async run({ view, path, body }) {
      const { placement = {}, disks = {} } = body;
      const machine = new Machine(view, path.vm);
      const folder = folderOf(view, placement);
      const spec: VirtualMachineRelocateSpec = data('VirtualMachineRelocateSpec', {
        ...locationOf(view, machine, placement, disks),
        ...(folder === undefined ? {} : { folder }),
      });
      await view.run('VirtualMachine', machine.object.ref, 'RelocateVM_Task', { spec });
    },
  }),
];

type DiskPlaces = Static<typeof diskPlaces>;

/** What is said of host, pool and storage; the rest is as it is. */
function locationOf(view: CenterView, machine: Machine, placement: Placement, disks: DiskPlaces) {
  const { host: hostId, cluster: clusterId, resource_pool: poolId, datastore: datastoreId } = placement;
  const host = hostId === undefined ? undefined : view.get('HostSystem', hostId);
  const compute =
    clusterId === undefined
      ? host && view.nearest(host, 'ComputeResource')
      : view.get('ClusterComputeResource', clusterId);
  const pool =
    poolId === undefined ? read('ComputeResource', compute, 'resourcePool') : view.get('ResourcePool', poolId).ref;
  const datastore = datastoreId === undefined ? undefined : view.get('Datastore', datastoreId).ref;
  const places = Object.entries(disks).map(([id, place]) => locator(view, machine, id, place, datastore));
  return defined({
    host: host?.ref as ManagedObjectReference<'HostSystem'> | undefined,
    pool: pool as ManagedObjectReference<'ResourcePool'> | undefined,
    datastore: datastore as ManagedObjectReference<'Datastore'> | undefined,
    disk: places.length === 0 ? undefined : places,
  });
}

function locator(
  view: CenterView,
  machine: Machine,
  id: string,
  { datastore: datastoreId }: DiskPlaces[string],
  otherwise: ManagedObjectReference | undefined,
) {
  const { key, backing } = machine.device('VirtualDisk', id);
  const now = (backing as { readonly datastore?: ManagedObjectReference } | undefined)?.datastore;
  const datastore = datastoreId === undefined ? (otherwise ?? now) : view.get('Datastore', datastoreId).ref;
  if (datastore === undefined) throw invalidArgument(`Where disk ${id} is to be is not said.`);
  return data('VirtualMachineRelocateSpecDiskLocator', {
    diskId: key,
    datastore: datastore as ManagedObjectReference<'Datastore'>,
  });
}

function removal(machine: Machine, id: string) {
  const device = machine.device('VirtualDisk', id);
  return data('VirtualDeviceConfigSpec', { operation: 'remove', device });
}

function folderOf(view: CenterView, { folder }: Placement): ManagedObjectReference<'Folder'> | undefined {
  return folder === undefined ? undefined : (view.get('Folder', folder).ref as ManagedObjectReference<'Folder'>);
}

/** The folder that a machine is in. */
function homeOf(view: CenterView, object: ManagedObject): ManagedObjectReference<'Folder'> {
  const folder = view.nearest(object, 'Folder')?.ref;
  if (folder === undefined) throw invalidArgument('The folder of the placement is needed.');
  return folder as ManagedObjectReference<'Folder'>;
}
