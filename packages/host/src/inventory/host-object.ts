import { type AboutInfo, type Draft, data, type ManagedObjectClass } from '@hypostyle/vim';
import type { HostCore } from '../host-core.ts';
import { cpuFeatures } from './cpu-features.ts';
import { entityDefaults, entityPerSession, reference } from './entity-defaults.ts';
import { hostCapability } from './host-capability.ts';
import type { HostFacts } from './host-facts.ts';
import { accountManagerValue, references } from './references.ts';

/** HostSystem: this machine, as clients of a host read it. */
export function addHostObject(core: HostCore, draft: Draft, facts: HostFacts, about: AboutInfo, port: number): void {
  const { host } = references;
  const runtime = data('HostRuntimeInfo', {
    connectionState: 'connected',
    powerState: 'poweredOn',
    inMaintenanceMode: false,
    standbyMode: 'none',
    bootTime: facts.bootTime,
  });
  const hostClass: ManagedObjectClass<'HostSystem'> = {
    type: 'HostSystem',
    perSession: entityPerSession(core.authorizer),
    derived: {
      vm: { from: [], compute: () => [...core.machines.all()].map((machine) => machine.ref) },
      datastore: { from: [], compute: () => core.datastores.all().map((datastore) => datastore.ref) },
      network: { from: [], compute: () => core.networks.all().map((network) => network.ref) },
    },
    methods: {
      RetrieveHardwareUptime: () => Math.floor((Date.now() - Date.parse(facts.bootTime)) / 1000),
    },
  };
  draft.add(hostClass, host.value, {
    ...entityDefaults(facts.name, references.computeResource),
    runtime,
    capability: hostCapability(core.hypervisorInfo.capabilities),
    hardware: hardwareInfo(facts),
    licensableResource: data('HostLicensableResourceInfo', {
      resource: [data('KeyAnyValue', { key: 'numCpuPackages', value: facts.packages.length })],
    }),
    configManager: data('HostConfigManager', {
      datastoreSystem: references.datastoreSystem,
      autoStartManager: references.autoStartManager,
      accountManager: reference('HostLocalAccountManager', accountManagerValue),
    }),
    config: data('HostConfigInfo', {
      host,
      product: about,
      hyperThread: data('HostHyperThreadScheduleInfo', {
        available: facts.threads > facts.cores,
        active: facts.threads > facts.cores,
        config: facts.threads > facts.cores,
      }),
      network: data('HostNetworkInfo', {
        dnsConfig: data('HostDnsConfig', { dhcp: false, hostName: facts.name, domainName: '', address: [] }),
      }),
    }),
    datastoreBrowser: references.hostBrowser,
    summary: data('HostListSummary', {
      host,
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
        numNics: facts.nics.length,
        numHBAs: 0,
      }),
      runtime,
      config: data('HostConfigSummary', {
        name: facts.name,
        port,
        product: about,
        vmotionEnabled: false,
        faultToleranceEnabled: false,
      }),
      quickStats: data('HostListSummaryQuickStats', {}),
      overallStatus: 'green',
      rebootRequired: false,
      maxEVCModeKey: '',
    }),
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

/** Looks at the use of this machine from time to time; the answer stops it. */
export function watchHost(
  core: HostCore,
  read: () => { readonly cpuMHz: number; readonly memoryMiB: number; readonly uptimeSeconds: number },
): () => void {
  const timer = setInterval(() => {
    const use = read();
    core.registry.commit((draft) => {
      const summary = draft.get(references.host, 'summary');
      if (summary === undefined) return;
      draft.set(references.host, {
        summary: {
          ...summary,
          quickStats: data('HostListSummaryQuickStats', {
            overallCpuUsage: use.cpuMHz,
            overallMemoryUsage: use.memoryMiB,
            uptime: use.uptimeSeconds,
          }),
        },
      });
    });
  }, 20_000);
  timer.unref();
  return () => clearInterval(timer);
}
