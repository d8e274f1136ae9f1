import type { DataTypes } from '../generated/types.ts';

/** A data object tagged with its type: `data('VirtualDisk', { key: 2000, capacityInKB: 1024 })`. */
export function data<T extends keyof DataTypes>(type: T, members: Omit<DataTypes[T], '_typeName'>): DataTypes[T] {
  return { _typeName: type, ...members } as unknown as DataTypes[T];
}

/** True when the value is tagged with exactly that type. */
export function isData<T extends keyof DataTypes>(
  type: T,
  value: { readonly _typeName?: string } | undefined,
): value is DataTypes[T] {
  return value?._typeName === type;
}
