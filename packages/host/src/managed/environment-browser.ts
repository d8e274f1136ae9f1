import { data, type ManagedObjectClass } from '@hypostyle/vim';
import type { HostCore } from '../host-core.ts';
import { hostCapability } from '../inventory/host-capability.ts';

const versions = [4, 7, 8, 9, 10, 11, 13, 14, 15, 17, 18, 19, 20, 21];

/** EnvironmentBrowser: what a machine may be given here. */
export function environmentBrowserClass(core: HostCore): ManagedObjectClass<'EnvironmentBrowser'> {
  return {
    type: 'EnvironmentBrowser',
    methods: {
      QueryConfigOptionDescriptor: () =>
        versions.map((version) => {
          const key = `vmx-${String(version).padStart(2, '0')}`;
          return data('VirtualMachineConfigOptionDescriptor', {
            key,
            description: `Virtual hardware version ${version}`,
            createSupported: true,
            defaultConfigOption: version === 19,
            runSupported: true,
            upgradeSupported: false,
          });
        }),
      QueryConfigTarget: () =>
        data('ConfigTarget', {
          numCpus: core.limits.cpus,
          numCpuCores: core.limits.cpus,
          numNumaNodes: 1,
          smcPresent: false,
          maxMemMBOptimalPerf: core.limits.memoryMiB,
          datastore: core.datastores.all().flatMap((datastore) => {
            const summary = core.registry.read(datastore.ref, 'summary');
            if (summary === undefined) return [];
            return data('VirtualMachineDatastoreInfo', {
              name: datastore.name,
              datastore: summary,
              capability: core.registry.read(datastore.ref, 'capability') as never,
              maxFileSize: 2 ** 46,
              mode: 'readWrite',
            });
          }),
          network: core.networks.all().map(({ name, ref }) =>
            data('VirtualMachineNetworkInfo', {
              name,
              network: data('NetworkSummary', { network: ref, name, accessible: true, ipPoolName: '' }),
            }),
          ),
        }),
      QueryTargetCapabilities: () => hostCapability(core.hypervisorInfo.capabilities),
    },
  };
}
