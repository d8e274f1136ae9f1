import type { NicHardware } from '@hypostyle/contracts';
import { messageOf, qemuErrors } from '../errors.ts';
import { deviceId } from '../machine/device.ts';
import type { Engine } from '../machine/engine.ts';
import { netdevOf, nicDevice } from '../machine/nics.ts';
import { unplug } from './unplug.ts';

/** Puts a NIC into its slot, with its link as it is to be. `bootable`: with the boot ROM that a cold start gives it. */
export async function addNic(engine: Engine, nic: NicHardware, index: number, bootable: boolean): Promise<void> {
  const id = deviceId.nic(nic.id);
  const netdev = netdevOf(nic);
  try {
    if (netdev) await engine.execute('netdev_add', netdev);
    try {
      await engine.execute('device_add', nicDevice(nic, index, bootable));
    } catch (error) {
      if (netdev) await engine.execute('netdev_del', { id: netdev.id }).catch(() => {});
      throw error;
    }
    if (!nic.connected) await engine.execute('set_link', { name: id, up: false });
  } catch (error) {
    throw qemuErrors.hotPlugFailed(`NIC ${nic.id} could not be added: ${messageOf(error)}`, error);
  }
}

export async function removeNic(engine: Engine, nicId: string): Promise<void> {
  const id = deviceId.nic(nicId);
  await unplug(engine, id, `NIC ${nicId}`);
  await engine.execute('netdev_del', { id: `${id}-net` }).catch(() => {});
}

export async function connectNic(engine: Engine, { id, connected }: NicHardware): Promise<void> {
  await engine.execute('set_link', { name: deviceId.nic(id), up: connected });
}
