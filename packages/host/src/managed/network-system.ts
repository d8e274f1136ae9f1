import type { Draft, ManagedObjectClass } from '@hypostyle/vim';
import type { HostCore } from '../host-core.ts';
import type { HostFacts } from '../inventory/host-facts.ts';
import { hostNetworkInfo, networkProperties } from '../inventory/host-network.ts';
import { readPhysicalPorts } from '../inventory/physical-ports.ts';
import { references } from '../inventory/references.ts';

/** HostNetworkSystem: the host's networks as they are. They are not made or changed here yet. */
export function addNetworkSystem(core: HostCore, draft: Draft, { name, ports }: HostFacts): void {
  const networkSystem: ManagedObjectClass<'HostNetworkSystem'> = {
    type: 'HostNetworkSystem',
    methods: {
      RefreshNetworkSystem: async () => {
        const found = networkProperties(hostNetworkInfo(name, await readPhysicalPorts(), core.networks));
        core.registry.commit((own) => {
          own.set(references.networkSystem, found);
          own.touch(references.host, 'config');
        });
      },
    },
  };
  const properties = networkProperties(hostNetworkInfo(name, ports, core.networks));
  draft.add(networkSystem, references.networkSystem.value, properties);
}
