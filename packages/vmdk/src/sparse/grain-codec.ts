import { inflate } from 'node:zlib';

/** How many grains are expanded ahead of the consumer: libuv's four threads stay busy. */
export const defaultConcurrency = 8;

/** Room over the exact size, so that zlib ends in one round trip to its thread. */
const slack = 64;

/** Largest compressed grain that is believed: incompressible data grows a little, and no writer doubles it. */
export function maximumCompressedBytes(grainBytes: number): number {
  return grainBytes * 2;
}

/** Expands a grain (RFC 1950) on a thread; fails when it is damaged or expands to more than a grain. */
export function inflateGrain(data: Uint8Array, grainBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    inflate(data, { chunkSize: grainBytes + slack, maxOutputLength: grainBytes }, (error, result) => {
      if (error) reject(error);
      else resolve(result);
    });
  });
}
