import { isObject } from '../qmp/qmp-message.ts';

/** One direction of an adapter: frames come out of one socket of the engine and go into another. */
export interface ShapedLane {
  readonly outPath: string;
  readonly inPath: string;
  readonly bitsPerSecond: number;
}

/** All lanes of a machine, as they are told to its shaper and kept for the next owner. */
export interface Shape {
  readonly lanes: readonly ShapedLane[];
}

/** Undefined where it is none. */
export function parseShape(value: unknown): Shape | undefined {
  if (!isObject(value) || !Array.isArray(value.lanes)) return undefined;
  const lanes = value.lanes.filter(isLane);
  return lanes.length === value.lanes.length ? { lanes } : undefined;
}

function isLane(value: unknown): value is ShapedLane {
  if (!isObject(value) || typeof value.outPath !== 'string' || typeof value.inPath !== 'string') return false;
  return typeof value.bitsPerSecond === 'number' && value.bitsPerSecond >= 1;
}
