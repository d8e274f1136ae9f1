import { type DataTypes, data, fault, type HostConnectInfo, localizedFault, VimFault } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { confirmedAddress, hostCredentials, hostTarget } from './connect-spec.ts';
import { meetHost } from './host-joining.ts';

type HostConnectSpec = DataTypes['HostConnectSpec'];

/** What a host would bring; nothing changes there. Throws what adding it would. */
export async function queryConnectionInfo(core: CenterCore, spec: HostConnectSpec): Promise<HostConnectInfo> {
  const target = hostTarget(spec);
  const credentials = hostCredentials(spec);
  if (credentials === undefined) throw fault('InvalidLogin', {}, 'The host asks for a user and a password.');
  const { connector } = core.hosts;
  const address = await confirmedAddress(connector, target);
  const connection = await connector.introduce(address, credentials);
  try {
    return (await meetHost(core, target.host, address, connection)).info;
  } finally {
    await connection.close();
  }
}

/** The same for many, in short; what fails is said of the one that it fails for. */
export function queryConnectionInfos(
  core: CenterCore,
  specs: readonly HostConnectSpec[],
): Promise<DataTypes['DatacenterBasicConnectInfo'][]> {
  return Promise.all(
    specs.map(async (spec) => {
      const hostname = spec.hostName ?? '';
      try {
        const { serverIp, vm = [], host } = await queryConnectionInfo(core, spec);
        return data('DatacenterBasicConnectInfo', {
          hostname,
          ...(serverIp === undefined ? {} : { serverIp }),
          numVm: vm.length,
          numPoweredOnVm: vm.filter(({ runtime }) => runtime.powerState === 'poweredOn').length,
          ...(host.config.product === undefined ? {} : { hostProductInfo: host.config.product }),
          ...(host.hardware === undefined
            ? {}
            : { hardwareVendor: host.hardware.vendor, hardwareModel: host.hardware.model }),
        });
      } catch (error) {
        if (!(error instanceof VimFault)) throw error;
        return data('DatacenterBasicConnectInfo', { hostname, error: localizedFault(error) });
      }
    }),
  );
}
