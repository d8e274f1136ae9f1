import { isZero, sectorBytes } from '../size.ts';
import { grainMarkerBytes } from '../stream/markers.ts';
import type { GrainCodec } from './grain-codec.ts';

/** Compresses the grains of a stretch of a disk to grain records, one after another; zero grains are left out. */
export interface DeflateJob {
  readonly kind: 'deflate';
  /** Position of the grains; the last one is whole too. */
  readonly from: number;
  readonly bytes: number;
  readonly to: number;
  readonly room: number;
  readonly grainBytes: number;
  /** Sector of the disk where they begin. */
  readonly firstSector: number;
  readonly level: number;
}

/** Number of each grain within the stretch that is not all zero, and the length of its record. */
export interface DeflateResult {
  readonly grains: readonly number[];
  readonly recordBytes: readonly number[];
}

/** A compressed grain and where its bytes are to go, both within the areas of a job. */
export interface PackedGrain {
  readonly at: number;
  readonly bytes: number;
  readonly to: number;
  /** Bytes that it must expand to; more of the grain lie past the end of the disk. */
  readonly wanted: number;
}

/** Expands grains. */
export interface InflateJob {
  readonly kind: 'inflate';
  readonly from: number;
  readonly to: number;
  readonly grainBytes: number;
  readonly grains: readonly PackedGrain[];
}

/** For each grain what came of it. */
export interface InflateResult {
  readonly outcomes: readonly GrainOutcome[];
}

/** A number: it expands to too few bytes. */
export type GrainOutcome = 'data' | 'zero' | 'damaged' | number;

export type GrainJob = DeflateJob | InflateJob;
export type GrainResult = DeflateResult | InflateResult;

/** Does a job, a grain a step, so that a thread with other duties can take breath between. */
export function runJob(codec: GrainCodec, job: GrainJob): Generator<void, GrainResult, undefined> {
  return job.kind === 'deflate' ? deflateGrains(codec, job) : inflateGrains(codec, job);
}

function* deflateGrains(codec: GrainCodec, job: DeflateJob): Generator<void, DeflateResult, undefined> {
  const { grainBytes, from, to, room, level } = job;
  const view = new DataView(codec.memory);
  const grains: number[] = [];
  const recordBytes: number[] = [];
  let used = 0;
  for (let index = 0; (index + 1) * grainBytes <= job.bytes; index += 1) {
    const at = from + index * grainBytes;
    if (isZero(new Uint8Array(codec.memory, at, grainBytes))) continue;
    const start = to + used;
    const packed = codec.deflate(at, grainBytes, start + grainMarkerBytes, room - used - grainMarkerBytes, level);
    const end = grainMarkerBytes + packed;
    const padded = Math.ceil(end / sectorBytes) * sectorBytes;
    if (packed === 0 || used + padded > room) throw new RangeError('a compressed grain does not fit its area');
    view.setBigUint64(start, BigInt(job.firstSector + (index * grainBytes) / sectorBytes), true);
    view.setUint32(start + 8, packed, true);
    new Uint8Array(codec.memory, start + end, padded - end).fill(0);
    grains.push(index);
    recordBytes.push(padded);
    used += padded;
    yield;
  }
  return { grains, recordBytes };
}

function* inflateGrains(codec: GrainCodec, job: InflateJob): Generator<void, InflateResult, undefined> {
  const outcomes: GrainOutcome[] = [];
  for (const { at, bytes, to, wanted } of job.grains) {
    const target = job.to + to;
    const written = codec.inflate(job.from + at, bytes, target, job.grainBytes);
    if (written === undefined) outcomes.push('damaged');
    else if (written < wanted) outcomes.push(written);
    else outcomes.push(isZero(new Uint8Array(codec.memory, target, wanted)) ? 'zero' : 'data');
    yield;
  }
  return { outcomes };
}
