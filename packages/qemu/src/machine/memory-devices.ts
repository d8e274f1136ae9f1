import type { JsonObject } from '../qmp/qmp-message.ts';
import type { Device } from './device.ts';

/** Memory that came while the machine ran. */
export interface AddedMemory {
  readonly id: string;
  readonly bytes: number;
  readonly slot: number;
  readonly address: number;
}

/** Memory beside what the machine was started with; a place is said where it must be the one that it had. */
export function memoryDevice(memory: Pick<AddedMemory, 'id' | 'bytes'> & Partial<AddedMemory>): {
  readonly backend: JsonObject & { readonly id: string };
  readonly device: Device;
} {
  const { id, bytes, slot, address } = memory;
  return {
    backend: { 'qom-type': 'memory-backend-ram', id: `${id}-ram`, size: bytes },
    device: {
      driver: 'pc-dimm',
      id,
      memdev: `${id}-ram`,
      ...(slot === undefined ? {} : { slot }),
      ...(address === undefined ? {} : { addr: address }),
    },
  };
}
