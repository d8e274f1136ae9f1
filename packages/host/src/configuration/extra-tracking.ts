import type { VirtualMachineConfigSpec } from '@hypostyle/vim';
import { invalid } from './invalid.ts';
import type { MachineConfiguration } from './machine-configuration.ts';
import { optionText } from './option-text.ts';

type ExtraConfig = NonNullable<VirtualMachineConfigSpec['extraConfig']>;

const machineKey = /^ctkEnabled$/i;
const diskKey = /^(ide|scsi|sata|nvme)(\d+):(\d+)\.ctkEnabled$/i;

/** Backup tools turn change tracking on by the keys that a `.vmx` has for it: they mean what the typed members do. */
export function isTrackingKey(key: string): boolean {
  return machineKey.test(key) || diskKey.test(key);
}

/** Whether what changes is told, as a spec says it: by its own member, else by extra configuration. */
export function trackingAsked(spec: Pick<VirtualMachineConfigSpec, 'changeTrackingEnabled' | 'extraConfig'>) {
  const said = (spec.extraConfig ?? []).findLast(({ key }) => machineKey.test(key));
  return spec.changeTrackingEnabled ?? (said === undefined ? undefined : flagOf(said));
}

/** The disks, with what extra configuration says of each. InvalidArgument for a disk that is not there. */
export function trackedDisks(
  { disks, controllers }: Pick<MachineConfiguration, 'disks' | 'controllers'>,
  changes: ExtraConfig,
): MachineConfiguration['disks'] {
  let tracked = disks;
  for (const change of changes) {
    const [, family, bus, unit] = diskKey.exec(change.key) ?? [];
    if (family === undefined) continue;
    const controller = controllers.find((one) => one.family === family.toLowerCase() && one.bus === Number(bus));
    const disk = tracked.find((one) => one.controllerKey === controller?.key && one.unit === Number(unit));
    if (disk === undefined) throw invalid('extraConfig', `'${change.key}': there is no such disk`);
    tracked = tracked.map((one) => (one === disk ? { ...one, tracked: flagOf(change) } : one));
  }
  return tracked;
}

function flagOf({ key, value }: ExtraConfig[number]): boolean {
  const text = optionText(value).toLowerCase();
  if (['true', '1', 'yes'].includes(text)) return true;
  if (['false', '0', 'no', ''].includes(text)) return false;
  throw invalid('extraConfig', `'${key}' is TRUE or FALSE`);
}
