import { data, type HostConnectInfo } from '@hypostyle/vim';
import type { HostCore } from '../host-core.ts';
import { hostCapability } from './host-capability.ts';
import { references } from './references.ts';

/** What a center asks of a host before it takes it in. */
export function hostConnectionInfo({ registry, machines, ...core }: HostCore): HostConnectInfo {
  const summary = registry.read(references.host, 'summary');
  if (summary === undefined) throw new Error('the host has no summary');
  const { address } = core.center;
  return data('HostConnectInfo', {
    ...(address === undefined ? {} : { serverIp: address }),
    inDasCluster: false,
    host: summary,
    vm: [...machines.all()].flatMap(({ ref }) => registry.read(ref, 'summary') ?? []),
    vimAccountNameRequired: false,
    clusterSupported: true,
    network: core.networks.all().flatMap(({ ref }) => {
      const network = registry.read(ref, 'summary');
      return network === undefined ? [] : [data('HostConnectInfoNetworkInfo', { summary: network })];
    }),
    datastore: core.datastores.all().flatMap(({ ref }) => {
      const datastore = registry.read(ref, 'summary');
      return datastore === undefined ? [] : [data('HostDatastoreConnectInfo', { summary: datastore })];
    }),
    capability: hostCapability(core.hypervisorInfo.capabilities),
  });
}
