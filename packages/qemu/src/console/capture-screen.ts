import { open, rm } from 'node:fs/promises';
import type { ScreenImage } from '@hypostyle/contracts';
import { messageOf, qemuErrors } from '../errors.ts';
import type { Engine } from '../machine/engine.ts';

/** Most bytes of an image that are read: 16 million pixels. */
const maxBytes = 48 << 20;
const maxHeaderBytes = 64;

/** Has the engine write down what the first screen shows (`screendump`), and reads that. Rejects with `screen-failed`. */
export async function captureScreen(engine: Pick<Engine, 'execute'>, path: string): Promise<ScreenImage> {
  try {
    await engine.execute('screendump', { filename: path });
    const file = await open(path);
    try {
      const { size } = await file.stat();
      if (size > maxBytes) throw new Error(`the screen is too large: ${size} bytes`);
      return parsePixmap(await file.readFile());
    } finally {
      await file.close();
    }
  } catch (error) {
    throw qemuErrors.screenFailed(messageOf(error), error);
  } finally {
    await rm(path, { force: true });
  }
}

/** Reads a binary PPM of 8 bits a color (netpbm's `P6`). Throws an error that says what is wrong. */
export function parsePixmap(bytes: Buffer): ScreenImage {
  const header = /^P6\s+(\d{1,5})\s+(\d{1,5})\s+255\s/.exec(bytes.toString('latin1', 0, maxHeaderBytes));
  if (header === null) throw new Error('the engine wrote no picture');
  const [width, height] = [Number(header[1]), Number(header[2])];
  const pixels = bytes.subarray(header[0].length);
  if (width === 0 || height === 0 || pixels.length !== width * height * 3) throw new Error('the picture is not whole');
  return { width, height, pixels };
}
