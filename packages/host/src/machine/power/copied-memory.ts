import type { MachineHardware } from '@hypostyle/contracts';
import type { MachineConfiguration } from '../../configuration/machine-configuration.ts';
import type { HostCore } from '../../host-core.ts';
import type { VmxFile } from '../../vmx/vmx-file.ts';
import { liveHardware } from '../reconfigure/live-hardware.ts';
import type { MachineRecord } from '../record/machine-record.ts';

/** Key of the `.vmx` with the UUID of the machine that the memory is of, where that is another one. */
const memoryOfKey = 'hypostyle.memoryOf';
/** Key of the `.vmx` with the addresses that the guest knows its adapters by: `4000 00:0c:29:00:00:01, 4001 …`. */
const memoryAddressesKey = 'hypostyle.memoryAddresses';

/** Whose memory a machine goes on with, that of another one, and by which addresses its guest knows its adapters. */
export interface CopiedMemory {
  readonly uuid: string;
  /** By device key. */
  readonly addresses: ReadonlyMap<number, string>;
}

export function copiedMemoryOf({ uuid, nics }: Pick<MachineConfiguration, 'uuid' | 'nics'>): CopiedMemory {
  return { uuid, addresses: new Map(nics.map(({ key, mac }) => [key, mac])) };
}

export function writeCopiedMemory(vmx: VmxFile, { uuid, addresses }: CopiedMemory): void {
  const list = [...addresses].map(([key, mac]) => `${key} ${mac}`).join(', ');
  vmx.set(memoryOfKey, uuid).set(memoryAddressesKey, list);
}

/** Undefined for a machine whose guest was never another one's. */
export function readCopiedMemory(vmx: VmxFile): CopiedMemory | undefined {
  const uuid = vmx.get(memoryOfKey)?.toLowerCase() ?? '';
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid)) return undefined;
  const addresses = new Map<number, string>();
  for (const part of (vmx.get(memoryAddressesKey) ?? '').split(',')) {
    const [, key, mac] = /^ *(\d{1,9}) ((?:[0-9a-f]{2}:){5}[0-9a-f]{2})$/i.exec(part) ?? [];
    if (key !== undefined && mac !== undefined) addresses.set(Number(key), mac.toLowerCase());
  }
  return { uuid, addresses };
}

/** Takes out what a `.vmx` says of another machine's memory. */
export function forgetCopiedMemory(vmx: VmxFile): VmxFile {
  return vmx.delete(memoryOfKey).delete(memoryAddressesKey);
}

/** The hardware that a copied guest knows: an engine finds in the memory the adapters that it was taken with. */
export function withKnownAddresses(
  hardware: MachineHardware,
  { nics }: Pick<MachineConfiguration, 'nics'>,
  { addresses }: CopiedMemory,
): MachineHardware {
  return {
    ...hardware,
    nics: hardware.nics.map((nic, index) => ({ ...nic, mac: addresses.get(nics[index]?.key ?? -1) ?? nic.mac })),
  };
}

/**
 * Exchanges the adapters of a guest that was copied for those of its machine, which have addresses of their own. Done
 * again it does no harm. Answers why a guest kept those of its original.
 */
export async function exchangeAdapters(core: HostCore, id: string): Promise<string | undefined> {
  const machine: MachineRecord | undefined = core.machines.find(id);
  const engine = core.machines.engine(id);
  if (machine === undefined || engine === undefined || machine.configuration.nics.length === 0) return undefined;
  if (core.hypervisorInfo.capabilities.hotPlug?.nics !== true)
    return 'adapters are not exchanged here while a guest runs';
  try {
    const hardware = await liveHardware(core, machine);
    await engine.changeHardware({ ...hardware, nics: [] });
    await engine.changeHardware(hardware);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
