import type { VirtualMachineBootOptions } from '@hypostyle/vim';
import { invalid } from './invalid.ts';
import type { MachineConfiguration } from './machine-configuration.ts';

type BootOrder = Pick<MachineConfiguration, 'bootOrder' | 'bootDisks' | 'bootNics'>;

const kinds = {
  VirtualMachineBootOptionsBootableDiskDevice: 'disk',
  VirtualMachineBootOptionsBootableCdromDevice: 'cdrom',
  VirtualMachineBootOptionsBootableEthernetDevice: 'ethernet',
  VirtualMachineBootOptionsBootableFloppyDevice: 'floppy',
} as const;

/** The boot order that a client asks for, or the one before without the devices that are gone. */
export function applyBootOrder(
  before: BootOrder,
  asked: VirtualMachineBootOptions['bootOrder'],
  { configuration, keys }: { readonly configuration: MachineConfiguration; readonly keys: ReadonlyMap<number, number> },
): BootOrder {
  const there = (known: readonly { readonly key: number }[], key: number) => known.some((one) => one.key === key);
  if (asked === undefined) {
    return {
      bootOrder: before.bootOrder,
      bootDisks: before.bootDisks.filter((key) => there(configuration.disks, key)),
      bootNics: before.bootNics.filter((key) => there(configuration.nics, key)),
    };
  }
  const order = new Set<MachineConfiguration['bootOrder'][number]>();
  const named = { disk: new Set<number>(), ethernet: new Set<number>() };
  for (const device of asked) {
    const kind = kinds[device._typeName as keyof typeof kinds];
    if (kind === undefined) throw invalid('bootOptions.bootOrder', 'it names a device of no bootable kind');
    order.add(kind);
    const { deviceKey } = device as { readonly deviceKey?: number };
    if ((kind !== 'disk' && kind !== 'ethernet') || deviceKey === undefined) continue;
    const key = keys.get(deviceKey) ?? deviceKey;
    if (!there(kind === 'disk' ? configuration.disks : configuration.nics, key))
      throw invalid('bootOptions.bootOrder', `the machine has no ${kind} device ${deviceKey}`);
    named[kind].add(key);
  }
  return { bootOrder: [...order], bootDisks: [...named.disk], bootNics: [...named.ethernet] };
}
