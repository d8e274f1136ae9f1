import { fault, type VirtualDevice, type VirtualDeviceConfigSpec } from '@hypostyle/vim';
import { badDevice, type DeviceDraft } from './device-draft.ts';
import type { MachineConfiguration } from './machine-configuration.ts';
import { findEntry, withEntry } from './settings.ts';

/** Keys of devices that a machine has one of, as VMware numbers them. */
export const equipmentKeys = { sound: 5000, usb: 7000, tpm: 11000, xhci: 14000 } as const;

export const soundModels = {
  VirtualSoundBlaster16: 'sb16',
  VirtualEnsoniq1371: 'es1371',
  VirtualHdAudioCard: 'hdaudio',
} as const;
export type SoundModel = (typeof soundModels)[keyof typeof soundModels];

/** What a machine has of the devices that are a few keys of its `.vmx`. */
export interface Equipment {
  readonly usb: boolean;
  /** USB 2, beside `usb`. */
  readonly ehci: boolean;
  readonly xhci: boolean;
  readonly sound: SoundModel | undefined;
  readonly videoRamKiB: number;
  /** A TPM 2.0. */
  readonly tpm: boolean;
}

const defaultVideoRamKiB = 16_384;
const mostVideoRamKiB = 262_144;

type Entries = MachineConfiguration['extra'];

export function equipmentOf({ extra }: Pick<MachineConfiguration, 'extra'>): Equipment {
  const present = (name: string) => /^(true|1|yes)$/i.test(findEntry(extra, `${name}.present`) ?? '');
  const model = findEntry(extra, 'sound.virtualDev')?.toLowerCase() ?? 'sb16';
  const sound = Object.values(soundModels).find((known) => known === model) ?? 'sb16';
  const videoRamKiB = Number(findEntry(extra, 'svga.vramSize')) / 1024;
  return {
    usb: present('usb'),
    ehci: present('usb') && present('ehci'),
    xhci: present('usb_xhci'),
    sound: present('sound') ? sound : undefined,
    videoRamKiB:
      Number.isSafeInteger(videoRamKiB) && videoRamKiB >= 1024 && videoRamKiB <= mostVideoRamKiB
        ? videoRamKiB
        : defaultVideoRamKiB,
    tpm: present('vtpm'),
  };
}

export function isEquipment(type: string): boolean {
  return (
    ['VirtualUSBController', 'VirtualUSBXHCIController', 'VirtualMachineVideoCard', 'VirtualTPM'].includes(type) ||
    isSound(type)
  );
}

export function applyEquipment(draft: DeviceDraft, change: VirtualDeviceConfigSpec, index: number): void {
  const { device } = change;
  const type = device._typeName ?? '';
  const extra = isSound(type)
    ? changeSound(draft, change, index)
    : type === 'VirtualMachineVideoCard'
      ? changeVideo(draft, change, index)
      : type === 'VirtualTPM'
        ? changeTpm(draft, change, index)
        : changeUsb(draft, change, index);
  draft.configuration = { ...draft.configuration, extra };
}

function isSound(type: string): type is keyof typeof soundModels {
  return type in soundModels;
}

/** A machine has one of each: one that is there is not added, and one that is not there is not changed. */
function mustBe(there: boolean, { operation, device }: VirtualDeviceConfigSpec, own: number, index: number): void {
  if (operation === 'add') {
    if (there) throw badDevice(index, 'device', `the machine has a ${device._typeName} already`);
    return;
  }
  if (!there || device.key !== own)
    throw badDevice(index, 'device.key', `the machine has no such device ${device.key}`);
}

function changeSound({ configuration, keys }: DeviceDraft, change: VirtualDeviceConfigSpec, index: number): Entries {
  mustBe(equipmentOf(configuration).sound !== undefined, change, equipmentKeys.sound, index);
  if (change.operation === 'remove') return configuration.extra.filter(([key]) => !/^sound\./i.test(key));
  const model = soundModels[(change.device._typeName ?? '') as keyof typeof soundModels];
  keys.set(change.device.key, equipmentKeys.sound);
  return withEntry(withEntry(configuration.extra, 'sound.present', 'TRUE'), 'sound.virtualDev', model);
}

function changeUsb({ configuration, keys }: DeviceDraft, change: VirtualDeviceConfigSpec, index: number): Entries {
  const { device, operation } = change;
  const { extra } = configuration;
  const { usb, xhci } = equipmentOf(configuration);
  if (device._typeName === 'VirtualUSBXHCIController') {
    mustBe(xhci, change, equipmentKeys.xhci, index);
    keys.set(device.key, equipmentKeys.xhci);
    return withEntry(extra, 'usb_xhci.present', operation === 'remove' ? '' : 'TRUE');
  }
  mustBe(usb, change, equipmentKeys.usb, index);
  keys.set(device.key, equipmentKeys.usb);
  const { ehciEnabled } = device as VirtualDevice & { readonly ehciEnabled?: boolean };
  const ehci = operation === 'remove' ? false : (ehciEnabled ?? equipmentOf(configuration).ehci);
  return withEntry(
    withEntry(extra, 'usb.present', operation === 'remove' ? '' : 'TRUE'),
    'ehci.present',
    ehci ? 'TRUE' : '',
  );
}

function changeTpm(
  { configuration, keys, context }: DeviceDraft,
  change: VirtualDeviceConfigSpec,
  index: number,
): Entries {
  const { operation, device } = change;
  mustBe(equipmentOf(configuration).tpm, change, equipmentKeys.tpm, index);
  if (operation === 'remove') return configuration.extra.filter(([key]) => !/^vtpm\./i.test(key));
  if (operation === 'add' && !context.tpm)
    throw fault(
      'DeviceUnsupportedForVmPlatform',
      { deviceIndex: index, property: 'virtualDeviceSpec.device' },
      `Device '${index}' is a VirtualTPM, which this host has nothing for: install the packages swtpm and ovmf, and start the service again.`,
    );
  keys.set(device.key, equipmentKeys.tpm);
  return withEntry(configuration.extra, 'vtpm.present', 'TRUE');
}

interface VideoCard extends VirtualDevice {
  readonly videoRamSizeInKB?: number | bigint;
  readonly numDisplays?: number;
  readonly enable3DSupport?: boolean;
}

/** The card is part of every machine: its memory may be changed. */
function changeVideo(
  { configuration: { extra } }: DeviceDraft,
  change: VirtualDeviceConfigSpec,
  index: number,
): Entries {
  if (change.operation === 'remove') throw badDevice(index, 'device', 'the video card is part of every machine');
  const { videoRamSizeInKB, numDisplays, enable3DSupport } = change.device as VideoCard;
  if ((numDisplays ?? 1) > 1) throw badDevice(index, 'device.numDisplays', 'one display is possible here');
  if (enable3DSupport === true) throw badDevice(index, 'device.enable3DSupport', 'there is no 3D support here');
  if (videoRamSizeInKB === undefined) return extra;
  const kibibytes = Number(videoRamSizeInKB);
  // The card has a power of two of it.
  if (kibibytes < 1024 || kibibytes > mostVideoRamKiB || !Number.isInteger(Math.log2(kibibytes))) {
    throw badDevice(
      index,
      'device.videoRamSizeInKB',
      `${kibibytes} is no power of two from 1024 to ${mostVideoRamKiB}`,
    );
  }
  const written = findEntry(extra, 'svga.vramSize') !== undefined;
  return kibibytes === defaultVideoRamKiB && !written
    ? extra
    : withEntry(extra, 'svga.vramSize', `${kibibytes * 1024}`);
}
