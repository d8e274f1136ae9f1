import { deflateSync, inflateSync } from 'node:zlib';
import type { CodecMemory, CodecWithAreas } from './grain-codec.ts';

/** Room over the exact size, so that zlib needs no second buffer. */
const slack = 64;

/** A codec on Node's zlib, for where libdeflate cannot run. */
export function zlibCodec({ areas, areaBytes }: CodecMemory): CodecWithAreas {
  const memory = new SharedArrayBuffer(areas * areaBytes);
  const bytesAt = (from: number, bytes: number) => new Uint8Array(memory, from, bytes);
  return {
    areas: Array.from({ length: areas }, (_, index) => index * areaBytes),
    codec: {
      memory,
      deflate(from, bytes, to, room, level) {
        const packed = deflateSync(bytesAt(from, bytes), { level, chunkSize: bytes + (bytes >> 10) + slack });
        if (packed.length > room) return 0;
        bytesAt(to, packed.length).set(packed);
        return packed.length;
      },
      inflate(from, bytes, to, room) {
        let expanded: Buffer;
        try {
          expanded = inflateSync(bytesAt(from, bytes), { chunkSize: room + slack, maxOutputLength: room });
        } catch {
          return undefined;
        }
        bytesAt(to, expanded.length).set(expanded);
        return expanded.length;
      },
    },
  };
}
