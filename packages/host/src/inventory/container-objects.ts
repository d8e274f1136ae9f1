import { entityDefaults, entityPerSession, requireForCreate, requireForRegister } from '@hypostyle/services';
import { type Draft, data, fault, type ManagedObjectClass } from '@hypostyle/vim';
import type { HostCore } from '../host-core.ts';
import type { ImportWork } from '../machine/import/import-work.ts';
import type { MachineWork } from '../machine/machine-object.ts';
import { privilegeScope } from '../managed/privilege-scope.ts';
import { addPools } from '../pools/pool-object.ts';
import type { HostFacts } from './host-facts.ts';
import { references } from './references.ts';

/** Folders, datacenter, compute resource, root pool and networks: what a host has once and for all. */
export function addContainers(
  core: HostCore,
  draft: Draft,
  facts: HostFacts,
  work: MachineWork,
  imports: ImportWork,
): void {
  const {
    rootFolder,
    datacenter,
    vmFolder,
    hostFolder,
    datastoreFolder,
    networkFolder,
    computeResource,
    host,
    rootPool,
  } = references;
  const scope = privilegeScope(core);
  const notHere = (): never => {
    throw fault('NotSupported', {}, 'A host has no folders to make; ask a center.');
  };
  const folder = (children: () => readonly unknown[]): ManagedObjectClass<'Folder'> => ({
    type: 'Folder',
    perSession: entityPerSession(core.authorizer),
    derived: { childEntity: { from: [], compute: children } },
    methods: {
      CreateFolder: notHere,
      CreateVM_Task: (call, { config, pool }) => {
        mustBeVmFolder(call.self.ref.value);
        requireForCreate(scope, call, { folder: vmFolder, pool }, config);
        return work.lifecycle.create(call, { spec: config, pool: pool.value });
      },
      RegisterVM_Task: (call, { path, name, asTemplate, pool }) => {
        mustBeVmFolder(call.self.ref.value);
        if (asTemplate && pool !== undefined)
          throw fault('InvalidArgument', { invalidProperty: 'pool' }, 'A template is in no resource pool.');
        requireForRegister(scope, call, { folder: vmFolder, pool: asTemplate ? undefined : (pool ?? rootPool) }, path);
        return work.lifecycle.register(call, { path, name, asTemplate, pool: (pool ?? rootPool).value });
      },
    },
  });
  const machines = () => [...core.machines.all()].map((machine) => machine.ref);
  const datastores = () => core.datastores.all().map((datastore) => datastore.ref);
  const networks = () => core.networks.all().map((network) => network.ref);

  draft.add(
    folder(() => [datacenter]),
    rootFolder.value,
    { ...entityDefaults('ha-folder-root', undefined), childType: ['Datacenter'] },
  );
  const datacenterClass: ManagedObjectClass<'Datacenter'> = {
    type: 'Datacenter',
    perSession: entityPerSession(core.authorizer),
    methods: {},
    derived: { datastore: { from: [], compute: datastores }, network: { from: [], compute: networks } },
  };
  draft.add(datacenterClass, datacenter.value, {
    ...entityDefaults('ha-datacenter', rootFolder),
    vmFolder,
    hostFolder,
    datastoreFolder,
    networkFolder,
    configuration: data('DatacenterConfigInfo', {}),
  });
  draft.add(folder(machines), vmFolder.value, { ...entityDefaults('vm', datacenter), childType: ['VirtualMachine'] });
  draft.add(
    folder(() => [computeResource]),
    hostFolder.value,
    { ...entityDefaults('host', datacenter), childType: ['ComputeResource'] },
  );
  draft.add(folder(datastores), datastoreFolder.value, {
    ...entityDefaults('datastore', datacenter),
    childType: ['Datastore'],
  });
  draft.add(folder(networks), networkFolder.value, {
    ...entityDefaults('network', datacenter),
    childType: ['Network'],
  });

  const totalMHz = Math.floor((facts.threads * facts.hertz) / 1e6);
  const computeClass: ManagedObjectClass<'ComputeResource'> = {
    type: 'ComputeResource',
    perSession: entityPerSession(core.authorizer),
    methods: {},
    derived: {
      datastore: { from: [], compute: datastores },
      network: { from: [], compute: networks },
      summary: { from: [], compute: () => computeSummary(facts, totalMHz, core.maintenance.state !== 'on') },
    },
  };
  draft.add(computeClass, computeResource.value, {
    ...entityDefaults(facts.name, hostFolder),
    resourcePool: rootPool,
    host: [host],
    environmentBrowser: references.environmentBrowser,
    configurationEx: data('ComputeResourceConfigInfo', { vmSwapPlacement: 'vmDirectory' }),
  });
  addPools(core, draft, imports, work.reconfigure);
  for (const network of core.networks.all()) {
    const networkClass: ManagedObjectClass<'Network'> = {
      type: 'Network',
      perSession: entityPerSession(core.authorizer),
      methods: {},
      derived: {
        vm: {
          from: [],
          compute: () =>
            [...core.machines.all()]
              .filter((m) => m.configuration.nics.some((nic) => nic.networkName === network.name))
              .map((m) => m.ref),
        },
      },
    };
    draft.add(networkClass, network.ref.value, {
      ...entityDefaults(network.name, networkFolder),
      host: [host],
      summary: data('NetworkSummary', { network: network.ref, name: network.name, accessible: true, ipPoolName: '' }),
    });
  }
}

/** What the host has, and what of it machines may use: nothing in maintenance mode. */
function computeSummary(facts: HostFacts, totalMHz: number, effective: boolean) {
  return data('ComputeResourceSummary', {
    totalCpu: totalMHz,
    totalMemory: facts.memoryBytes,
    numCpuCores: facts.cores,
    numCpuThreads: facts.threads,
    effectiveCpu: effective ? totalMHz : 0,
    effectiveMemory: effective ? Math.floor(facts.memoryBytes / 2 ** 20) : 0,
    numHosts: 1,
    numEffectiveHosts: effective ? 1 : 0,
    overallStatus: 'green',
  });
}

function mustBeVmFolder(value: string): void {
  if (value !== references.vmFolder.value)
    throw fault('NotSupported', {}, 'Virtual machines are made in the folder vm.');
}
