/** Names that QEMU has for keys (`QKeyCode`), by USB HID usage of the keyboard page (HID Usage Tables 1.4, section 10). */
const runs: readonly (readonly [first: number, names: string])[] = [
  [0x04, 'a b c d e f g h i j k l m n o p q r s t u v w x y z 1 2 3 4 5 6 7 8 9 0'],
  [0x28, 'ret esc backspace tab spc minus equal bracket_left bracket_right backslash backslash semicolon apostrophe'],
  [0x35, 'grave_accent comma dot slash caps_lock f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12'],
  [0x46, 'print scroll_lock pause insert home pgup delete end pgdn right left down up num_lock'],
  [
    0x54,
    'kp_divide kp_multiply kp_subtract kp_add kp_enter kp_1 kp_2 kp_3 kp_4 kp_5 kp_6 kp_7 kp_8 kp_9 kp_0 kp_decimal',
  ],
  [0x64, 'less compose power kp_equals f13 f14 f15 f16 f17 f18 f19 f20 f21 f22 f23 f24'],
  [0x74, 'open help menu front stop again undo cut copy paste find audiomute volumeup volumedown'],
  [0x85, 'kp_comma'],
  [0x87, 'ro katakanahiragana yen henkan muhenkan'],
  [0xe0, 'ctrl shift alt meta_l ctrl_r shift_r alt_r meta_r'],
];

const codes = new Map(
  runs.flatMap(([first, names]) => names.split(' ').map((name, index) => [first + index, name] as const)),
);

/** The engine's name of a key; undefined where it has none. */
export function keyCode(usage: number): string | undefined {
  return codes.get(usage);
}
