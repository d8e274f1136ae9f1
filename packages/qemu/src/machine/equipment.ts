import type { MachineHardware, SoundModel } from '@hypostyle/contracts';
import { type Device, pciAddress, pciSlot } from './device.ts';

const soundDevices: { readonly [model in SoundModel]: readonly Device[] } = {
  sb16: [{ driver: 'sb16', audiodev: 'sound' }],
  es1371: [{ driver: 'ES1370', audiodev: 'sound', addr: pciAddress(pciSlot.sound) }],
  hdaudio: [
    { driver: 'intel-hda', id: 'sound-bus', addr: pciAddress(pciSlot.sound) },
    { driver: 'hda-duplex', bus: 'sound-bus.0', audiodev: 'sound' },
  ],
};

/** USB controllers and the sound card. The sound goes nowhere: nobody listens at a host. */
export function equipmentDevices({ usb, sound }: MachineHardware): Device[] {
  const devices: Device[] = [];
  // Two functions of one slot.
  const slot = pciAddress(pciSlot.usb);
  if (usb?.uhci) devices.push({ driver: 'piix3-usb-uhci', id: 'usb1', addr: `${slot}.0`, multifunction: true });
  if (usb?.ehci) devices.push({ driver: 'usb-ehci', id: 'usb2', addr: `${slot}.${usb.uhci ? 7 : 0}` });
  if (usb?.xhci) {
    devices.push(
      { driver: 'qemu-xhci', id: 'usb3', addr: pciAddress(pciSlot.xhci) },
      { driver: 'usb-tablet', bus: 'usb3.0' },
      { driver: 'usb-kbd', bus: 'usb3.0' },
    );
  }
  if (sound) devices.push(...soundDevices[sound]);
  return devices;
}
