import { data, type ManagedObjectClass } from '@hypostyle/vim';
import type { HostCore } from '../host-core.ts';
import { hostCapability } from '../inventory/host-capability.ts';
import { configOption, defaultHardwareVersion, hardwareKey, hardwareVersions } from './config-option.ts';

/** EnvironmentBrowser: what a machine may be given here. */
export function environmentBrowserClass(core: HostCore): ManagedObjectClass<'EnvironmentBrowser'> {
  return {
    type: 'EnvironmentBrowser',
    methods: {
      QueryConfigOptionDescriptor: () =>
        hardwareVersions.map((version) =>
          data('VirtualMachineConfigOptionDescriptor', {
            key: hardwareKey(version),
            description: `Virtual hardware version ${version}`,
            createSupported: true,
            defaultConfigOption: version === defaultHardwareVersion,
            runSupported: true,
            upgradeSupported: false,
          }),
        ),
      QueryConfigOption: (_, { key }) => configOption(core, { key }),
      QueryConfigOptionEx: (_, { spec }) => configOption(core, { key: spec?.key, guestIds: spec?.guestId }),
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
