import type { BlockLayer, MachineHardware } from '@hypostyle/contracts';
import { chainLayers, readDiskChain } from '@hypostyle/services';
import type { HostCore } from '../../host-core.ts';
import { findEnvironment } from '../../vapp/environment.ts';
import { withEnvironmentDisc } from '../../vapp/environment-hardware.ts';
import { diskPath } from '../files/machine-files.ts';
import { machineHardware } from '../power/hardware.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { findToolsDisc, withToolsDisc } from '../tools/tools-disc.ts';

/**
 * What a running machine's engine is to have. `former`: the machine as it was, which says where the disc with the OVF
 * environment is that the run began with.
 */
export async function liveHardware(
  core: HostCore,
  machine: MachineRecord,
  former: MachineRecord = machine,
): Promise<MachineHardware> {
  const { datastore, vmxPath, configuration } = machine;
  const layers = new Map<number, BlockLayer[]>();
  for (const { key, fileName } of configuration.disks) {
    const chain = await readDiskChain(diskPath(datastore, vmxPath, fileName), {
      allowOutside: (path) => datastore.holds(path),
    });
    layers.set(key, chainLayers(chain));
  }
  const plain = (record: MachineRecord) =>
    machineHardware(record, {
      layers,
      imagePath: (fileName) => diskPath(datastore, vmxPath, fileName),
      networkExists: (network) => core.networks.find(network) !== undefined,
      limits: core.limits,
    });
  const { disc } = configuration.hasVApp ? await findEnvironment(datastore, vmxPath) : {};
  const told = disc === undefined ? plain(machine) : keepDisc(plain(machine), plain(former), disc);
  return machine.toolsMounted === true ? withToolsDisc(told, await findToolsDisc(machine)) : told;
}

function keepDisc(now: MachineHardware, former: MachineHardware, disc: string): MachineHardware {
  const given = withEnvironmentDisc(former, disc);
  const drive = given.cdroms.find(({ path }) => path === disc);
  if (drive === undefined) return now;
  const own = now.cdroms.find(({ id }) => id === drive.id);
  // Somebody wants another disc in that drive.
  if (own?.path !== undefined) return now;
  const controller = given.controllers.find(({ id }) => id === drive.controllerId);
  const known = controller === undefined || now.controllers.some(({ id }) => id === controller.id);
  return {
    ...now,
    controllers: known ? now.controllers : [...now.controllers, controller],
    cdroms: own === undefined ? [...now.cdroms, drive] : now.cdroms.map((cdrom) => (cdrom === own ? drive : cdrom)),
  };
}
