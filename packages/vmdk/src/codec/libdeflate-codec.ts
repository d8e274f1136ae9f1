import { readFile } from 'node:fs/promises';
import { roundUp } from '../size.ts';
import type { CodecMemory, CodecWithAreas } from './grain-codec.ts';

/** What the module exports; see scripts/libdeflate/exports.c. */
interface Exports {
  reserve(bytes: number): number;
  compressor(level: number): number;
  decompressor(): number;
  deflate(state: number, from: number, bytes: number, to: number, room: number): number;
  inflate(state: number, from: number, bytes: number, to: number, room: number): number;
}

/** Pages that the module itself begins with, and the most that it may have; as it was linked. */
const firstPages = 4;
const mostPages = 2048;
/** Areas begin so that what is in them can be written beside the page cache. */
const alignment = 4096;

/** Compiles libdeflate; undefined where WebAssembly, its threads or its vectors are not to be had. */
export async function compileLibdeflate(): Promise<WebAssembly.Module | undefined> {
  try {
    return await WebAssembly.compile(await readFile(new URL('./libdeflate.wasm', import.meta.url)));
  } catch (error) {
    if (error instanceof WebAssembly.CompileError || error instanceof ReferenceError) return undefined;
    throw error;
  }
}

/** A codec on libdeflate with a memory of its own. */
export function libdeflateCodec(module: WebAssembly.Module, { areas, areaBytes }: CodecMemory): CodecWithAreas {
  const memory = new WebAssembly.Memory({ initial: firstPages, maximum: mostPages, shared: true });
  const wasm = new WebAssembly.Instance(module, { env: { memory } }).exports as Exports;
  const taken = (address: number) => {
    if (address === 0) throw new RangeError('libdeflate got no memory');
    return address;
  };
  const starts = Array.from({ length: areas }, () => roundUp(taken(wasm.reserve(areaBytes + alignment)), alignment));
  const compressors = new Map<number, number>();
  let decompressor: number | undefined;
  return {
    areas: starts,
    codec: {
      memory: memory.buffer,
      deflate(from, bytes, to, room, level) {
        const state = compressors.get(level) ?? taken(wasm.compressor(level));
        compressors.set(level, state);
        return wasm.deflate(state, from, bytes, to, room);
      },
      inflate(from, bytes, to, room) {
        decompressor ??= taken(wasm.decompressor());
        const written = wasm.inflate(decompressor, from, bytes, to, room);
        return written < 0 ? undefined : written;
      },
    },
  };
}
