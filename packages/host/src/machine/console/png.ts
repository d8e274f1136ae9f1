import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import { crc32, deflate } from 'node:zlib';
import type { ScreenImage } from '@hypostyle/contracts';

const compress = promisify(deflate);
const signature = Buffer.from('89504e470d0a1a0a', 'hex');
/** Rows between pauses, so that nobody waits for a large picture. */
const rowsAtOnce = 64;

/** The picture as PNG: 8 bits a color, no transparency (W3C PNG, third edition). */
export async function encodePng({ width, height, pixels }: ScreenImage): Promise<Buffer> {
  const stride = width * 3;
  // Each row begins with its filter: none.
  const rows = Buffer.alloc((stride + 1) * height);
  for (let row = 0; row < height; row += 1) {
    rows.set(pixels.subarray(row * stride, (row + 1) * stride), row * (stride + 1) + 1);
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', await compress(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const made = Buffer.alloc(data.length + 12);
  made.writeUInt32BE(data.length, 0);
  made.write(type, 4, 'latin1');
  made.set(data, 8);
  made.writeUInt32BE(crc32(made.subarray(4, data.length + 8)), data.length + 8);
  return made;
}

/** The picture in another size, each pixel the one that was nearest. */
export async function resized(image: ScreenImage, width: number, height: number): Promise<ScreenImage> {
  if (image.width === width && image.height === height) return image;
  const pixels = new Uint8Array(width * height * 3);
  const columns = Array.from({ length: width }, (_, column) => Math.floor((column * image.width) / width) * 3);
  for (let row = 0, at = 0; row < height; row += 1) {
    const from = Math.floor((row * image.height) / height) * image.width * 3;
    for (const column of columns) {
      pixels[at++] = image.pixels[from + column] as number;
      pixels[at++] = image.pixels[from + column + 1] as number;
      pixels[at++] = image.pixels[from + column + 2] as number;
    }
    if (row % rowsAtOnce === rowsAtOnce - 1) await setImmediate();
  }
  return { width, height, pixels };
}
