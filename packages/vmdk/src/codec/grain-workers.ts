import { availableParallelism } from 'node:os';
import { sectorBytes } from '../size.ts';
import { maximumCompressedBytes } from '../sparse/grain-codec.ts';
import type { CodecMemory } from './grain-codec.ts';
import type {
  DeflateJob,
  DeflateResult,
  GrainJob,
  GrainResult,
  InflateJob,
  InflateResult,
  PackedGrain,
} from './grain-job.ts';
import { type GrainLane, localLane, workerLane } from './grain-lane.ts';
import { compileLibdeflate } from './libdeflate-codec.ts';

/** Bytes of a disk that are worked on as one. */
const leastBatchBytes = 2 ** 20;
/** A compressed batch may be this much longer than its grains. */
const packedSlack = 2 ** 17;
/** One slot is worked on, one waits for that, the others are filled or emptied meanwhile. */
const slotsPerWorker = 4;
const mostWorkers = 8;
/** Batches that are done in this thread before others are started for the rest. */
const localSlots = 2;

export interface GrainWorkersOptions {
  /** Bytes a grain, a power of two from 4096 to 2097152. */
  readonly grainBytes: number;
  /** Threads beside this one; 0: none. Default one a processor, 8 at most. */
  readonly workers?: number;
  /** Which compressor. Default libdeflate where it can run, else zlib. */
  readonly codec?: 'libdeflate' | 'zlib';
}

/** Two stretches of memory shared with a codec, taken for one batch. */
export interface GrainSlot {
  readonly input: Uint8Array;
  readonly output: Uint8Array;
  /** Compresses the whole grains at the start of `input` to records in `output`. */
  deflate(job: Pick<DeflateJob, 'bytes' | 'firstSector' | 'level'>): Promise<DeflateResult>;
  /** Expands grains of `input` into `output`. */
  inflate(grains: readonly PackedGrain[]): Promise<InflateResult>;
  /** Gives the memory back; nothing may look at it any more. */
  release(): void;
}

interface Stretch {
  readonly lane: GrainLane;
  readonly input: number;
  readonly output: number;
  /** Worked on in this thread. */
  readonly local: boolean;
}

type OpenLane = (module: WebAssembly.Module | undefined, memory: CodecMemory) => GrainLane | Promise<GrainLane>;

/**
 * Compresses and expands grains in batches, on every processor. The first batches are done in this thread, so that
 * small disks start no other. Close it when done.
 */
export class GrainWorkers {
  /** Bytes of a disk that a slot takes: whole grains. */
  readonly batchBytes: number;
  /** Slots that there are at most; whoever takes more waits. */
  readonly slots: number;
  readonly grainBytes: number;
  /** Bytes of `input` and of `output` of a slot. */
  readonly areaBytes: number;
  readonly #workers: number;
  readonly #module: Promise<WebAssembly.Module | undefined>;
  readonly #lanes: Promise<GrainLane>[] = [];
  readonly #free: Stretch[] = [];
  readonly #waiting: PromiseWithResolvers<Stretch>[] = [];
  #taken = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(options: GrainWorkersOptions) {
    this.grainBytes = options.grainBytes;
    this.batchBytes = Math.max(leastBatchBytes, options.grainBytes);
    this.areaBytes = Math.max(this.batchBytes + packedSlack, maximumCompressedBytes(options.grainBytes) + sectorBytes);
    this.#workers = options.workers ?? Math.min(mostWorkers, availableParallelism());
    this.slots = this.#workers === 0 ? localSlots : this.#workers * slotsPerWorker;
    this.#module = options.codec === 'zlib' ? Promise.resolve(undefined) : compileLibdeflate();
    this.#module.catch(() => undefined);
  }

  /** A slot, as soon as one is free. Slots are given in the order in which they were asked for. */
  async acquire(): Promise<GrainSlot> {
    this.#taken += 1;
    if (this.#taken === 1) this.#start(localLane, localSlots);
    if (this.#taken === localSlots + 1) {
      for (let index = 0; index < this.#workers; index += 1) this.#start(workerLane, slotsPerWorker);
    }
    if (this.#failure) throw this.#failure.error;
    const free = this.#free.shift();
    if (free) return this.#slot(free);
    const waiting = Promise.withResolvers<Stretch>();
    this.#waiting.push(waiting);
    return this.#slot(await waiting.promise);
  }

  /** Ends the threads; what is underway is given up. */
  async close(): Promise<void> {
    this.#fail(new Error('the work was given up'));
    await Promise.allSettled(this.#lanes.map(async (lane) => (await lane).close()));
  }

  #start(open: OpenLane, slots: number): void {
    const lane = this.#module.then((module) => open(module, { areas: slots * 2, areaBytes: this.areaBytes }));
    this.#lanes.push(lane);
    lane.then(
      (opened) => {
        for (let index = 0; index < opened.areas.length; index += 2) {
          const [input, output] = opened.areas.slice(index, index + 2) as [number, number];
          this.#give({ lane: opened, input, output, local: open === localLane });
        }
      },
      (error: unknown) => this.#fail(error),
    );
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  #give(stretch: Stretch): void {
    // This thread has other duties once there are workers.
    if (stretch.local && this.#workers > 0 && this.#taken > localSlots) return;
    const waiting = this.#waiting.shift();
    if (waiting) waiting.resolve(stretch);
    else this.#free.push(stretch);
  }

  #slot(stretch: Stretch): GrainSlot {
    const { lane, input: from, output: to } = stretch;
    const run = <Result extends GrainResult>(job: GrainJob) => lane.run(job) as Promise<Result>;
    const { grainBytes } = this;
    return {
      input: new Uint8Array(lane.memory, from, this.areaBytes),
      output: new Uint8Array(lane.memory, to, this.areaBytes),
      deflate: (job) =>
        run<DeflateResult>({
          ...job,
          kind: 'deflate',
          from,
          to,
          room: this.areaBytes,
          grainBytes,
        } satisfies DeflateJob),
      inflate: (grains) => run<InflateResult>({ kind: 'inflate', from, to, grainBytes, grains } satisfies InflateJob),
      release: () => this.#give(stretch),
    };
  }
}
