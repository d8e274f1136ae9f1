import {
  type DataTypes,
  data,
  type ManagedObjectReference,
  type Registry,
  type ServiceContent,
  VimFault,
} from '@hypostyle/vim';
import { HostNetwork, TestCenter } from '../../packages/center/src/testing/center-fixture.ts';
import { type Daemon, newDisk } from '../../packages/host/src/testing/index.ts';

/** A host or a center, with what can be called on it. */
export interface Endpoint {
  readonly registry: Registry;
  call(self: ManagedObjectReference, method: string, args?: Record<string, unknown>): Promise<unknown>;
  /** Calls a method that answers a task; the task's result. */
  task(self: ManagedObjectReference, method: string, args?: Record<string, unknown>): Promise<unknown>;
}

/** A host, and a center with a host of its own, in this process. */
export class World {
  readonly host: Daemon;
  readonly center: TestCenter;
  readonly centerEndpoint: Endpoint;
  readonly hostEndpoint: Endpoint;
  readonly #network: HostNetwork;

  private constructor(network: HostNetwork, host: Daemon, center: TestCenter) {
    this.#network = network;
    this.host = host;
    this.center = center;
    this.hostEndpoint = endpointOf(host.host.registry, host);
    this.centerEndpoint = endpointOf(center.center.registry, center);
  }

  static async open(): Promise<World> {
    const network = new HostNetwork();
    const host = await network.add('one');
    await network.add('two');
    return new World(network, host, await TestCenter.open(network));
  }

  /** Makes what is there only once somebody asks for it: views, collectors, snapshots, leases, clusters. */
  async fill(): Promise<void> {
    const root = { type: 'Folder', value: 'ha-folder-root' } as const;
    await fillEndpoint(this.hostEndpoint, {
      root,
      vmFolder: { type: 'Folder', value: 'ha-folder-vm' },
      pool: { type: 'ResourcePool', value: 'ha-root-pool' },
    });
    await this.center.addHost('two');
    const { center, centerEndpoint } = this;
    const [datacenter] = center.all('Datacenter');
    const [compute] = center.all('ComputeResource');
    const vmFolder = datacenter && center.read(datacenter, 'vmFolder');
    const pool = compute && center.read(compute, 'resourcePool');
    if (vmFolder === undefined || pool === undefined) throw new Error('the center has no place for machines');
    const at = { root: center.center.rootFolder, vmFolder, pool };
    await offered(() =>
      centerEndpoint.call(center.hostFolder(), 'CreateClusterEx', {
        name: 'cluster',
        spec: data('ClusterConfigSpecEx', {}),
      }),
    );
    await fillEndpoint(centerEndpoint, at);
  }

  async close(): Promise<void> {
    await this.center.close();
    await this.#network.remove();
  }
}

interface Place {
  readonly root: ManagedObjectReference;
  readonly vmFolder: ManagedObjectReference;
  readonly pool: ManagedObjectReference;
}

function endpointOf(registry: Registry, on: Omit<Endpoint, 'registry'>): Endpoint {
  return {
    registry,
    call: (self, method, args = {}) => on.call(self, method, args),
    task: (self, method, args = {}) => on.task(self, method, args),
  };
}

async function fillEndpoint(endpoint: Endpoint, { root, vmFolder, pool }: Place): Promise<void> {
  const { registry } = endpoint;
  const content = [...registry.all('ServiceInstance')][0]?.value('content') as ServiceContent;
  const { viewManager, propertyCollector, eventManager, taskManager, alarmManager, customFieldsManager } = content;
  if (viewManager === undefined) throw new Error('there is no ViewManager');
  await endpoint.call(viewManager, 'CreateContainerView', { container: root, type: [], recursive: true });
  await endpoint.call(viewManager, 'CreateListView', { obj: [root] });
  await endpoint.call(viewManager, 'CreateInventoryView', {});
  await endpoint.call(propertyCollector, 'CreatePropertyCollector', {});
  const spec: Filter = {
    _typeName: 'PropertyFilterSpec',
    objectSet: [data('ObjectSpec', { obj: root })],
    propSet: [data('PropertySpec', { type: 'Folder', pathSet: ['name'] })],
  };
  await endpoint.call(propertyCollector, 'CreateFilter', { spec, partialUpdates: false });
  const collectors = [
    [eventManager, 'CreateCollectorForEvents', { filter: data('EventFilterSpec', {}) }],
    [taskManager, 'CreateCollectorForTasks', { filter: data('TaskFilterSpec', {}) }],
  ] as const;
  for (const [manager, method, args] of collectors)
    if (manager !== undefined) await offered(() => endpoint.call(manager, method, args));
  if (customFieldsManager !== undefined)
    await offered(() => endpoint.call(customFieldsManager, 'AddCustomFieldDef', { name: 'owner' }));
  if (alarmManager !== undefined)
    await offered(() => endpoint.call(alarmManager, 'CreateAlarm', { entity: root, spec: alarm() }));
  const machine = (await endpoint.task(vmFolder, 'CreateVM_Task', { config: machineSpec('machine'), pool })) as Machine;
  await offered(() => endpoint.task(machine, 'CreateSnapshot_Task', { name: 'first', memory: false, quiesce: false }));
  await offered(() => endpoint.call(machine, 'ExportVm', {}));
  const importSpec = data('VirtualMachineImportSpec', { configSpec: machineSpec('imported') });
  await offered(() => endpoint.call(pool, 'ImportVApp', { spec: importSpec, folder: vmFolder }));
  const resources = plainResources();
  await offered(() => endpoint.call(pool, 'CreateResourcePool', { name: 'pool', spec: resources }));
  const configSpec = data('VAppConfigSpec', {});
  await offered(() => endpoint.call(pool, 'CreateVApp', { name: 'app', resSpec: resources, configSpec, vmFolder }));
}

type Machine = ManagedObjectReference<'VirtualMachine'>;
type Filter = DataTypes['PropertyFilterSpec'];

/** What is not offered yet makes no object. */
async function offered(call: () => Promise<unknown>): Promise<void> {
  try {
    await call();
  } catch (error) {
    if (!(error instanceof VimFault) || !['NotSupported', 'NotImplemented'].includes(error.type)) throw error;
  }
}

function machineSpec(name: string): DataTypes['VirtualMachineConfigSpec'] {
  const controller = { _typeName: 'VirtualLsiLogicController', key: -1, busNumber: 0, sharedBus: 'noSharing' };
  return {
    _typeName: 'VirtualMachineConfigSpec',
    name,
    files: data('VirtualMachineFileInfo', { vmPathName: '[datastore1]' }),
    deviceChange: [
      { _typeName: 'VirtualDeviceConfigSpec', operation: 'add', device: controller },
      newDisk(),
    ] as unknown as NonNullable<DataTypes['VirtualMachineConfigSpec']['deviceChange']>,
  };
}

function alarm(): DataTypes['AlarmSpec'] {
  return data('AlarmSpec', {
    name: 'alarm',
    description: '',
    enabled: true,
    expression: data('OrAlarmExpression', {
      expression: [
        data('StateAlarmExpression', {
          operator: 'isEqual',
          type: 'VirtualMachine',
          statePath: 'runtime.powerState',
          red: 'poweredOff',
        }),
      ],
    }),
    setting: data('AlarmSetting', { toleranceRange: 0, reportingFrequency: 0 }),
  });
}

function plainResources(): DataTypes['ResourceConfigSpec'] {
  const allocation = data('ResourceAllocationInfo', {
    reservation: 0n,
    expandableReservation: true,
    limit: -1n,
    shares: data('SharesInfo', { shares: 4000, level: 'normal' }),
  });
  return data('ResourceConfigSpec', { cpuAllocation: allocation, memoryAllocation: allocation });
}
