import type { VirtualMachineConfigSpec } from '@hypostyle/vim';
import type { DeviceEffect } from './device-draft.ts';
import { invalid } from './invalid.ts';
import type { MachineConfiguration } from './machine-configuration.ts';
import { optionText } from './option-text.ts';
import { isShared } from './shared-disk.ts';

type ExtraConfig = NonNullable<VirtualMachineConfigSpec['extraConfig']>;

const diskKey = /^(ide|scsi|sata|nvme)(\d+):(\d+)\.sharing$/i;

/** Cluster guides have disks shared by the key that a `.vmx` has for it: it means what `backing.sharing` means. */
export function isSharingKey(key: string): boolean {
  return diskKey.test(key);
}

/** The disks, with what extra configuration says of each. InvalidArgument for a disk that is not there. */
export function sharedDisks(
  c: Pick<MachineConfiguration, 'disks' | 'controllers'>,
  changes: ExtraConfig,
): { readonly disks: MachineConfiguration['disks']; readonly effects: DeviceEffect[] } {
  let { disks } = c;
  const effects: DeviceEffect[] = [];
  for (const { key, value } of changes) {
    const [, family, bus, unit] = diskKey.exec(key) ?? [];
    if (family === undefined) continue;
    const controller = c.controllers.find((one) => one.family === family.toLowerCase() && one.bus === Number(bus));
    const disk = disks.find((one) => one.controllerKey === controller?.key && one.unit === Number(unit));
    if (disk === undefined) throw invalid('extraConfig', `'${key}': there is no such disk`);
    const text = optionText(value).toLowerCase();
    if (!['multi-writer', 'none', ''].includes(text)) throw invalid('extraConfig', `'${key}' is multi-writer or none`);
    const { multiWriter: _former, ...plain } = disk;
    const shared = text === 'multi-writer' ? { ...plain, multiWriter: true } : plain;
    if (isShared(c, shared) && !isShared(c, disk)) effects.push({ kind: 'share-disk', key: disk.key, index: 0 });
    disks = disks.map((one) => (one === disk ? shared : one));
  }
  return { disks, effects };
}
