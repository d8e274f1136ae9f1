import { CliError } from '../errors.ts';

/** A key of an American keyboard (US 104) by its USB HID usage, and whether shift goes with it. */
export interface KeyEvent {
  readonly usage: number;
  readonly shifted: boolean;
}

/** Keys by usage from 0x04 on: what they type alone, and with shift. */
const plain = "abcdefghijklmnopqrstuvwxyz1234567890\n\x1b\b\t -=[]\\\\;'`,./";
const shifted = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ!@#$%^&*()\n\x1b\b\t _+{}||:"~<>?';
const firstUsage = 0x04;

const names: Readonly<Record<string, number>> = {
  ENTER: 0x28,
  ESC: 0x29,
  BACKSPACE: 0x2a,
  TAB: 0x2b,
  SPACE: 0x2c,
  CAPSLOCK: 0x39,
  SYSRQ: 0x46,
  SCROLLLOCK: 0x47,
  PAUSE: 0x48,
  INSERT: 0x49,
  HOME: 0x4a,
  PAGEUP: 0x4b,
  DELETE: 0x4c,
  END: 0x4d,
  PAGEDOWN: 0x4e,
  RIGHT: 0x4f,
  LEFT: 0x50,
  DOWN: 0x51,
  UP: 0x52,
  NUMLOCK: 0x53,
  ...Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`F${index + 1}`, 0x3a + index])),
  ...Object.fromEntries(Array.from({ length: 36 }, (_, index) => [(plain[index] ?? '').toUpperCase(), 4 + index])),
};

/** The keys that type a text. Throws `usage` for a character that no key types. */
export function keyEvents(text: string): KeyEvent[] {
  return [...text].map((character) => {
    const alone = plain.indexOf(character);
    const withShift = shifted.indexOf(character);
    if (alone < 0 && withShift < 0) {
      throw new CliError('usage', `No key of an American keyboard types '${character}'.`);
    }
    return alone < 0 ? { usage: firstUsage + withShift, shifted: true } : { usage: firstUsage + alone, shifted: false };
  });
}

/** One key, by its usage such as `0x28`, or by a name such as `KEY_ENTER`. Throws `usage`. */
export function namedKey(text: string): KeyEvent {
  // F2 is a key before it is a number.
  const usage =
    names[text.toUpperCase().replace(/^KEY_/, '')] ??
    (/^(0x)?[0-9a-f]{2}$/i.test(text) ? Number.parseInt(text.replace(/^0x/i, ''), 16) : undefined);
  if (usage !== undefined && usage >= firstUsage) return { usage, shifted: false };
  throw new CliError('usage', `There is no key '${text}'.`, { next: 'Give one such as 0x28, KEY_ENTER or F2.' });
}
