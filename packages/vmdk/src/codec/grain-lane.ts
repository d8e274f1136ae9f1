import { setImmediate as nextTurn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { CodecMemory, CodecWithAreas } from './grain-codec.ts';
import { type GrainJob, type GrainResult, runJob } from './grain-job.ts';
import type { GrainWorkerAnswer, GrainWorkerData, GrainWorkerReady } from './grain-worker.ts';
import { libdeflateCodec } from './libdeflate-codec.ts';
import { zlibCodec } from './zlib-codec.ts';

/** A codec somewhere, and the memory that is shared with it. */
export interface GrainLane {
  readonly memory: SharedArrayBuffer;
  readonly areas: readonly number[];
  run(job: GrainJob): Promise<GrainResult>;
  close(): Promise<void>;
}

/** The codec of this platform, at work in this thread, with a break after every grain. */
export function localLane(module: WebAssembly.Module | undefined, memory: CodecMemory): GrainLane {
  const { codec, areas }: CodecWithAreas = module ? libdeflateCodec(module, memory) : zlibCodec(memory);
  return {
    memory: codec.memory,
    areas,
    async run(job) {
      const steps = runJob(codec, job);
      for (;;) {
        const { done, value } = steps.next();
        if (done) return value;
        await nextTurn();
      }
    },
    close: async () => undefined,
  };
}

/** A codec on a thread of its own. Rejects when the thread does not start. */
export async function workerLane(module: WebAssembly.Module | undefined, memory: CodecMemory): Promise<GrainLane> {
  const workerData: GrainWorkerData = { ...memory, ...(module ? { module } : {}) };
  const worker = new Worker(new URL('./grain-worker.ts', import.meta.url), { workerData });
  const waiting = new Map<number, PromiseWithResolvers<GrainResult>>();
  const ready = Promise.withResolvers<GrainWorkerReady>();
  let failure: Error | undefined;
  let last = 0;
  const fail = (error: Error) => {
    failure ??= error;
    ready.reject(failure);
    for (const { reject } of waiting.values()) reject(failure);
    waiting.clear();
  };
  worker.once('message', (first: GrainWorkerReady) => {
    ready.resolve(first);
    worker.on('message', ({ id, result, failure: reason }: GrainWorkerAnswer) => {
      const job = waiting.get(id);
      waiting.delete(id);
      if (result) job?.resolve(result);
      else job?.reject(new Error(reason));
    });
  });
  worker.on('error', (error) => fail(error instanceof Error ? error : new Error(String(error))));
  worker.on('exit', () => fail(new Error('its worker thread has ended')));
  const { memory: shared, areas } = await ready.promise;
  return {
    memory: shared,
    areas,
    run(job) {
      if (failure) return Promise.reject(failure);
      const answer = Promise.withResolvers<GrainResult>();
      last += 1;
      waiting.set(last, answer);
      worker.postMessage({ id: last, job });
      return answer.promise;
    },
    async close() {
      await worker.terminate();
    },
  };
}
