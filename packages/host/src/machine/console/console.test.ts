import assert from 'node:assert/strict';
import { it } from 'node:test';
import { inflateSync } from 'node:zlib';
import { VimFault } from '@hypostyle/vim';
import fc from 'fast-check';
import { encodePng, resized } from './png.ts';
import { keyStrokes } from './scan-codes.ts';

it('draws PNG that has every pixel', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 20 }),
      fc.infiniteStream(fc.nat(255)),
      async (width, height, bytes) => {
        const pixels = Uint8Array.from([...bytes.take(width * height * 3)]);
        const png = await encodePng({ width, height, pixels });
        assert.deepEqual([png.readUInt32BE(16), png.readUInt32BE(20)], [width, height]);
        assert.equal(png.toString('latin1', 12, 16), 'IHDR');
        const length = png.readUInt32BE(33);
        const rows = inflateSync(png.subarray(41, 41 + length));
        for (let row = 0; row < height; row += 1) {
          const at = row * (width * 3 + 1);
          assert.equal(rows[at], 0);
          assert.deepEqual(
            [...rows.subarray(at + 1, at + 1 + width * 3)],
            [...pixels.subarray(row * width * 3, (row + 1) * width * 3)],
          );
        }
      },
    ),
    { numRuns: 20 },
  );
  const image = { width: 2, height: 2, pixels: Uint8Array.from([1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]) };
  const small = await resized(image, 1, 1);
  assert.deepEqual([...small.pixels], [1, 1, 1]);
  const large = await resized(image, 4, 2);
  assert.deepEqual(
    [...large.pixels].filter((_, index) => index % 3 === 0),
    [1, 1, 2, 2, 3, 3, 4, 4],
  );
});

it('reads scan codes as clients send them', () => {
  const event = (usbHidCode: number, modifiers?: object) => ({
    _typeName: 'UsbScanCodeSpecKeyEvent',
    usbHidCode,
    modifiers,
  });
  const spec = (...keyEvents: object[]) => ({ _typeName: 'UsbScanCodeSpec', keyEvents }) as never;
  assert.deepEqual(
    keyStrokes(spec(event(0x040007), event((0x1e << 16) | 7, { leftShift: true, rightGui: true, leftAlt: false }))),
    [
      { usage: 4, modifiers: [] },
      { usage: 0x1e, modifiers: [0xe1, 0xe7] },
    ],
  );
  for (const wrong of [4, -1, 0x040008, 0x1040007]) {
    assert.throws(
      () => keyStrokes(spec(event(wrong))),
      (error) => error instanceof VimFault && error.type === 'InvalidArgument',
    );
  }
  assert.throws(() => keyStrokes(spec(...Array.from({ length: 1001 }, () => event(0x040007)))));
});
