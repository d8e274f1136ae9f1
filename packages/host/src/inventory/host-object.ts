import { entityDefaults, entityPerSession, reference } from '@hypostyle/services';
import { type AboutInfo, data, fault, type HostListSummaryQuickStats, type ManagedObjectClass } from '@hypostyle/vim';
import type { AutoStart } from '../auto-start/auto-start.ts';
import type { HostCore } from '../host-core.ts';
import type { MaintenanceWork } from '../maintenance/maintenance-work.ts';
import { cpuFeatures } from './cpu-features.ts';
import { hostCapability } from './host-capability.ts';
import { hostConnectionInfo } from './host-connection-info.ts';
import type { HostFacts } from './host-facts.ts';
import { memoryOverhead } from './memory-overhead.ts';
import { accountManagerValue, references } from './references.ts';

/** What was measured of this machine last. */
export class HostUse {
  quickStats: HostListSummaryQuickStats = data('HostListSummaryQuickStats', {});
}

export interface HostObjectOptions {
  readonly facts: HostFacts;
  readonly about: AboutInfo;
  readonly port: number;
  readonly use: HostUse;
  readonly maintenance: MaintenanceWork;
  readonly autoStart: AutoStart;
}

/** HostSystem: this machine, as clients of a host read it. */
export function addHostObject(core: HostCore, options: HostObjectOptions): void {
  const { facts, maintenance } = options;
  const { host } = references;
  const { capabilities } = core.hypervisorInfo;
  const hostClass: ManagedObjectClass<'HostSystem'> = {
    type: 'HostSystem',
    perSession: entityPerSession(core.authorizer),
    derived: {
      vm: { from: [], compute: () => [...core.machines.all()].map((machine) => machine.ref) },
      datastore: { from: [], compute: () => core.datastores.all().map((datastore) => datastore.ref) },
      network: { from: [], compute: () => core.networks.all().map((network) => network.ref) },
      config: { from: [], compute: () => configInfo(core, options) },
      runtime: { from: [], compute: () => runtimeInfo(core, facts) },
      summary: { from: ['runtime'], compute: () => listSummary(core, options) },
      disabledMethod: {
        from: [],
        compute: () => [
          core.maintenance.state === 'on' ? 'EnterMaintenanceMode_Task' : 'ExitMaintenanceMode_Task',
          ...notHere,
        ],
      },
    },
    methods: {
      QueryHostConnectionInfo: () => hostConnectionInfo(core),
      EnterMaintenanceMode_Task: (call, { timeout }) => maintenance.enter(call, timeout),
      ExitMaintenanceMode_Task: (call) => maintenance.exit(call),
      QueryMemoryOverhead: (_, { memorySize, videoRamSize = 0, numVcpus }) =>
        memoryOverhead({ memoryBytes: Number(memorySize), videoBytes: videoRamSize * 1024, cpus: numVcpus }),
      QueryMemoryOverheadEx: (_, { vmConfigInfo: { hardware } }) =>
        memoryOverhead({ memoryBytes: hardware.memoryMB * 2 ** 20, videoBytes: 0, cpus: hardware.numCPU }),
      UpdateFlags: (_, { flagInfo }) => {
        if (flagInfo.backgroundSnapshotsEnabled === true)
          throw fault('NotSupported', {}, 'Snapshots are not made in the background here.');
      },
      RetrieveHardwareUptime: () => Math.floor((Date.now() - Date.parse(facts.bootTime)) / 1000),
    },
  };
  core.registry.commit((draft) =>
    draft.add(hostClass, host.value, {
      ...entityDefaults(facts.name, references.computeResource),
      capability: hostCapability(capabilities),
      hardware: hardwareInfo(facts),
      licensableResource: data('HostLicensableResourceInfo', {
        resource: [data('KeyAnyValue', { key: 'numCpuPackages', value: facts.packages.length })],
      }),
      configManager: data('HostConfigManager', {
        datastoreSystem: references.datastoreSystem,
        autoStartManager: references.autoStartManager,
        networkSystem: references.networkSystem,
        advancedOption: references.options,
        accountManager: reference('HostLocalAccountManager', accountManagerValue),
      }),
      systemResources: data('HostSystemResourceInfo', { key: 'host' }),
      datastoreBrowser: references.hostBrowser,
    }),
  );
}

/** Methods of a HostSystem that are a center's. */
const notHere = ['ReconnectHost_Task', 'DisconnectHost_Task', 'ReconfigureHostForDAS_Task'] as const;

function configInfo(core: HostCore, { facts, about, autoStart }: HostObjectOptions) {
  return data('HostConfigInfo', {
    host: references.host,
    product: about,
    hyperThread: data('HostHyperThreadScheduleInfo', {
      available: facts.threads > facts.cores,
      active: facts.threads > facts.cores,
      config: facts.threads > facts.cores,
    }),
    network: core.registry.read(references.networkSystem, 'networkInfo'),
    autoStart: autoStart.config(),
    flags: data('HostFlagInfo', { backgroundSnapshotsEnabled: false }),
    adminDisabled: false,
    lockdownMode: 'lockdownDisabled',
  });
}

function runtimeInfo(core: HostCore, facts: HostFacts) {
  return data('HostRuntimeInfo', {
    connectionState: 'connected',
    powerState: 'poweredOn',
    inMaintenanceMode: core.maintenance.state === 'on',
    inQuarantineMode: false,
    standbyMode: 'none',
    bootTime: facts.bootTime,
    hostMaxVirtualDiskCapacity: 62 * 2 ** 40,
  });
}

function listSummary(core: HostCore, { facts, about, port, use }: HostObjectOptions) {
  const { address } = core.center;
  return data('HostListSummary', {
    host: references.host,
    hardware: data('HostHardwareSummary', {
      vendor: facts.vendor,
      model: facts.model,
      uuid: facts.uuid,
      memorySize: facts.memoryBytes,
      cpuModel: facts.cpuModel,
      cpuMhz: core.hostMHz,
      numCpuPkgs: facts.packages.length,
      numCpuCores: facts.cores,
      numCpuThreads: facts.threads,
      numNics: facts.ports.length,
      numHBAs: 0,
    }),
    runtime: runtimeInfo(core, facts),
    config: data('HostConfigSummary', {
      name: facts.name,
      port,
      product: about,
      vmotionEnabled: false,
      faultToleranceEnabled: false,
    }),
    quickStats: use.quickStats,
    overallStatus: 'green',
    rebootRequired: false,
    ...(address === undefined ? {} : { managementServerIp: address }),
    maxEVCModeKey: '',
  });
}

function hardwareInfo(facts: HostFacts) {
  return data('HostHardwareInfo', {
    systemInfo: data('HostSystemInfo', { vendor: facts.vendor, model: facts.model, uuid: facts.uuid }),
    cpuInfo: data('HostCpuInfo', {
      numCpuPackages: facts.packages.length,
      numCpuCores: facts.cores,
      numCpuThreads: facts.threads,
      hz: facts.hertz,
    }),
    cpuPkg: facts.packages.map((threadId, index) =>
      data('HostCpuPackage', {
        index,
        vendor: facts.cpuVendor,
        hz: facts.hertz,
        busHz: 0,
        description: facts.cpuModel,
        threadId,
      }),
    ),
    cpuFeature: cpuFeatures(facts.cpuFlags),
    memorySize: facts.memoryBytes,
    biosInfo: biosInfo(facts),
    // Clients take the number of NUMA nodes from here, and libvirt fails without it.
    numaInfo: data('HostNumaInfo', {
      type: 'UMA',
      numNodes: 1,
      numaNode: [
        data('HostNumaNode', {
          typeId: 0,
          cpuID: facts.packages.flat(),
          memoryRangeBegin: 0,
          memoryRangeLength: facts.memoryBytes,
        }),
      ],
    }),
    smcPresent: false,
  });
}

/** There where nothing is known of it, too: clients read its members without a question. */
function biosInfo({ bios: { vendor, version, releaseDate } }: HostFacts) {
  return data('HostBIOSInfo', {
    ...(vendor === undefined ? {} : { vendor }),
    ...(version === undefined ? {} : { biosVersion: version }),
    ...(releaseDate === undefined ? {} : { releaseDate }),
  });
}
