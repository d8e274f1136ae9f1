import type { UsbScanCodeSpec } from '@hypostyle/vim';

/** HID usages of the keys of an American keyboard (HID Usage Tables, 10). */
const plain = new Map<string, number>([
  ...[...'abcdefghijklmnopqrstuvwxyz'].map((key, index) => [key, 4 + index] as const),
  ...[...'1234567890\n'].map((key, index) => [key, 0x1e + index] as const),
  ...([' ', '-', '=', '[', ']', '\\'] as const).map((key, index) => [key, 0x2c + index] as const),
  ...([';', "'", '`', ',', '.', '/'] as const).map((key, index) => [key, 0x33 + index] as const),
]);
const shifted = new Map([...'!@#$%^&*()_+{}|:"~<>?'].map((key, index) => [key, [..."1234567890-=[]\\;'`,./"][index]]));

/** A text as key events, one a call, as Packer types it. */
export function keysOf(text: string): UsbScanCodeSpec[] {
  return [...text].map((character) => {
    const lower = shifted.get(character) ?? character.toLowerCase();
    const usage = plain.get(lower);
    if (usage === undefined) throw new Error(`no key types ${JSON.stringify(character)}`);
    const shift = lower !== character;
    return {
      keyEvents: [
        {
          usbHidCode: usage * 65_536 + 7,
          modifiers: { leftControl: false, leftAlt: false, leftShift: shift },
        },
      ],
    };
  });
}
