import type { KeyStroke } from '@hypostyle/contracts';
import { fault, type UsbScanCodeSpec } from '@hypostyle/vim';

const most = 1_000;
/** USB HID usages of the modifiers, by their names here. */
const modifierUsages = {
  leftControl: 0xe0,
  leftShift: 0xe1,
  leftAlt: 0xe2,
  leftGui: 0xe3,
  rightControl: 0xe4,
  rightShift: 0xe5,
  rightAlt: 0xe6,
  rightGui: 0xe7,
} as const;
/** The keyboard's page of usages (HID Usage Tables, section 3), which the lower half of a code names. */
const keyboardPage = 7;

/** The keys of a specification. Throws InvalidArgument for codes that are none of a keyboard. */
export function keyStrokes({ keyEvents }: UsbScanCodeSpec): KeyStroke[] {
  const bad = (property: string, why: string) => fault('InvalidArgument', { invalidProperty: property }, why);
  if (keyEvents.length > most) throw bad('spec.keyEvents', `At most ${most} keys are pressed by one call.`);
  return keyEvents.map(({ usbHidCode, modifiers = {} }, index) => {
    const usage = usbHidCode >>> 16;
    if ((usbHidCode & 0xffff) !== keyboardPage || usage > 0xff) {
      throw bad(`spec.keyEvents[${index}].usbHidCode`, 'A code is the usage of a key times 65,536, and 7.');
    }
    const held = Object.entries(modifierUsages).flatMap(([name, code]) =>
      modifiers[name as keyof typeof modifierUsages] === true ? [code] : [],
    );
    return { usage, modifiers: held };
  });
}
