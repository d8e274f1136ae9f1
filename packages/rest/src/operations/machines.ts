import { data, type ManagedObject, type ManagedObjectReference } from '@hypostyle/vim';
import { type Static, Type } from '@sinclair/typebox';
import { type CenterView, nameOf, read } from '../calls/center-view.ts';
import { AutomationError, invalidArgument } from '../errors.ts';
import { DeviceReader } from '../machine/device-info.ts';
import { DevicePlan } from '../machine/device-plan.ts';
import { guestDefaults } from '../machine/guest-defaults.ts';
import { guestIdOf, hardwareKeyOf } from '../machine/guest-os.ts';
import { bootOrderOf, bootSpecOf, machineInfoOf } from '../machine/machine-info.ts';
import { Machine } from '../machine/machine-reader.ts';
import { machineInfo, machineSpec, type placementSpec, registerSpec } from '../machine/machine-schemas.ts';
import { constantCase, defined, oneOf } from '../schemas/common.ts';
import { machinePower } from './inventory-lists.ts';
import { idOf } from './inventory-objects.ts';
import { type Operation, operation } from './operation.ts';

const powerInfo = Type.Object({
  state: oneOf('POWERED_OFF', 'POWERED_ON', 'SUSPENDED'),
  clean_power_off: Type.Optional(Type.Boolean()),
});

const powerMethods = {
  start: ['PowerOnVM_Task', 'POWERED_ON', 'Powers a machine on, or resumes it.'],
  stop: ['PowerOffVM_Task', 'POWERED_OFF', 'Powers a machine off.'],
  suspend: ['SuspendVM_Task', 'SUSPENDED', 'Suspends a machine.'],
  reset: ['ResetVM_Task', undefined, 'Resets a machine.'],
} as const;

const powerActions = Object.entries(powerMethods).map(([action, [method, state, summary]]) =>
  operation({
    id: `vcenter.vm.power.${action}`,
    summary,
    method: 'POST',
    path: '/vcenter/vm/{vm}/power',
    action,
    rest: { wrap: null },
    async run({ view, path }) {
      const { object } = new Machine(view, path.vm);
      view.requireCall(object, method);
      if (state !== undefined && machinePower(object) === state) {
        throw new AutomationError('already_in_desired_state', `The machine is ${state} already.`);
      }
      await view.run('VirtualMachine', object.ref, method, {});
    },
  }),
);

/** Virtual machines as a whole, and their power. */
export const machineOperations: readonly Operation[] = [
  operation({
    id: 'vcenter.vm.get',
    summary: 'One virtual machine.',
    method: 'GET',
    path: '/vcenter/vm/{vm}',
    rest: {},
    answer: machineInfo,
    run: ({ view, path }) => machineInfoOf(new Machine(view, path.vm)),
  }),
  operation({
    id: 'vcenter.vm.create',
    summary: 'Creates a virtual machine.',
    method: 'POST',
    path: '/vcenter/vm',
    rest: {},
    created: true,
    body: machineSpec,
    answer: Type.String(),
    async run({ view, body }) {
      const guestId = guestIdOf(view.registry.schema, body.guest_OS);
      const place = placeOf(view, body.placement);
      const defaults = await guestDefaults(view, place.browser, guestId);
      const devices = new DevicePlan(view, new DeviceReader(view.registry.schema, []), defaults);
      for (const spec of body.scsi_adapters ?? []) devices.scsiAdapter(spec);
      for (const spec of body.sata_adapters ?? []) devices.sataAdapter(spec);
      for (const spec of body.nvme_adapters ?? []) devices.nvmeAdapter(spec);
      for (const spec of body.disks ?? [{}]) devices.disk(spec);
      for (const spec of body.cdroms ?? []) devices.cdrom(spec);
      for (const spec of body.nics ?? []) devices.ethernet(spec);
      for (const spec of body.floppies ?? []) devices.floppy(spec);
      for (const spec of body.parallel_ports ?? []) devices.parallel(spec);
      for (const spec of body.serial_ports ?? []) devices.serial(spec);
      const planned = devices.changes.map(({ device }) => device);
      const order =
        body.boot_devices === undefined
          ? undefined
          : bootOrderOf(body.boot_devices, new DeviceReader(view.registry.schema, planned));
      const config = data(
        'VirtualMachineConfigSpec',
        defined({
          name: body.name ?? `machine-${Date.now().toString(36)}`,
          guestId,
          version: body.hardware_version === undefined ? undefined : hardwareKeyOf(body.hardware_version),
          files: data('VirtualMachineFileInfo', { vmPathName: `[${datastoreName(view, place, body.placement)}]` }),
          numCPUs: body.cpu?.count ?? 1,
          numCoresPerSocket: body.cpu?.cores_per_socket,
          cpuHotAddEnabled: body.cpu?.hot_add_enabled,
          cpuHotRemoveEnabled: body.cpu?.hot_remove_enabled,
          memoryMB: body.memory?.size_MiB ?? defaults.memoryMiB,
          memoryHotAddEnabled: body.memory?.hot_add_enabled,
          ...(body.boot === undefined && order === undefined ? {} : bootSpecOf(body.boot ?? {}, order)),
          deviceChange: devices.changes,
        }),
      );
      return idOf(await view.run('Folder', place.folder, 'CreateVM_Task', defined({ config, ...target(place) })));
    },
  }),
  operation({
    id: 'vcenter.vm.register',
    summary: 'Registers a machine whose files lie on a datastore.',
    method: 'POST',
    path: '/vcenter/vm',
    action: 'register',
    rest: {},
    created: true,
    body: registerSpec,
    answer: Type.String(),
    async run({ view, body }) {
      const place = placeOf(view, body.placement);
      const datastore = body.datastore === undefined ? undefined : view.get('Datastore', body.datastore);
      const path =
        body.datastore_path ??
        (datastore !== undefined && body.path !== undefined ? `[${nameOf(datastore)}] ${body.path}` : undefined);
      if (path === undefined) throw invalidArgument('Either datastore_path, or datastore and path are needed.');
      const args = defined({ path, name: body.name, asTemplate: false, ...target(place) });
      return idOf(await view.run('Folder', place.folder, 'RegisterVM_Task', args));
    },
  }),
  operation({
    id: 'vcenter.vm.unregister',
    summary: 'Takes a machine out of the inventory; its files stay.',
    method: 'POST',
    path: '/vcenter/vm/{vm}',
    action: 'unregister',
    rest: { wrap: null },
    run: ({ view, path }) =>
      view.invoke('VirtualMachine', new Machine(view, path.vm).object.ref, 'UnregisterVM', {}) as Promise<void>,
  }),
  operation({
    id: 'vcenter.vm.delete',
    summary: 'Deletes a machine that is off, with its disks.',
    method: 'DELETE',
    path: '/vcenter/vm/{vm}',
    rest: {},
    async run({ view, path }) {
      const { object } = new Machine(view, path.vm);
      await view.run('ManagedEntity', object.ref, 'Destroy_Task', {});
    },
  }),
  operation({
    id: 'vcenter.vm.power.get',
    summary: 'Whether a machine is on.',
    method: 'GET',
    path: '/vcenter/vm/{vm}/power',
    rest: {},
    answer: powerInfo,
    run({ view, path }) {
      const { object } = new Machine(view, path.vm);
      const runtime = read('VirtualMachine', object, 'runtime');
      const state = constantCase(runtime?.powerState ?? 'poweredOff') as Static<typeof powerInfo>['state'];
      return defined({ state, clean_power_off: state === 'POWERED_OFF' ? runtime?.cleanPowerOff : undefined });
    },
  }),
  ...powerActions,
];

type Placement = Static<typeof placementSpec>;
interface Place {
  readonly folder: ManagedObjectReference<'Folder'>;
  readonly pool: ManagedObjectReference<'ResourcePool'>;
  readonly host: ManagedObjectReference<'HostSystem'> | undefined;
  readonly compute: ManagedObject | undefined;
  readonly browser: ManagedObjectReference | undefined;
}

/** Where a machine goes. What is left out is chosen where there is one choice only. */
function placeOf(view: CenterView, placement: Placement = {}): Place {
  const { host: hostId, cluster: clusterId, resource_pool: poolId, folder: folderId } = placement;
  const host = hostId === undefined ? undefined : view.get('HostSystem', hostId);
  const cluster = clusterId === undefined ? undefined : view.get('ClusterComputeResource', clusterId);
  const given = poolId === undefined ? undefined : view.get('ResourcePool', poolId);
  const owner = given?.value('owner') as ManagedObjectReference | undefined;
  const compute =
    cluster ??
    (host === undefined ? undefined : view.nearest(host, 'ComputeResource')) ??
    (owner === undefined ? undefined : view.registry.get(owner));
  const pool = given?.ref ?? read('ComputeResource', compute, 'resourcePool');
  if (pool === undefined) throw invalidArgument('One of resource_pool, host and cluster is needed.');
  const datacenter = compute === undefined ? undefined : view.nearest(compute, 'Datacenter');
  const folder = folderId === undefined ? read('Datacenter', datacenter, 'vmFolder') : view.get('Folder', folderId).ref;
  if (folder === undefined) throw invalidArgument('The folder of the placement is needed.');
  return {
    folder: folder as ManagedObjectReference<'Folder'>,
    pool: pool as ManagedObjectReference<'ResourcePool'>,
    host: host?.ref as ManagedObjectReference<'HostSystem'> | undefined,
    compute,
    browser: read('ComputeResource', compute, 'environmentBrowser'),
  };
}

function target({ pool, host }: Place) {
  return defined({ pool, host });
}

/** The datastore that is named; or the only one that there is to choose. */
function datastoreName(view: CenterView, { compute }: Place, placement: Placement = {}): string {
  if (placement.datastore !== undefined) return nameOf(view.get('Datastore', placement.datastore));
  const there = (read('ComputeResource', compute, 'datastore') ?? []).flatMap((ref) => view.registry.get(ref) ?? []);
  const [only, ...others] = there.filter((object) => view.reads(object));
  if (only === undefined || others.length > 0) throw invalidArgument('The datastore of the placement is needed.');
  return nameOf(only);
}
