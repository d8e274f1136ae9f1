import { parentPort, workerData } from 'node:worker_threads';
import type { CodecMemory } from './grain-codec.ts';
import { type GrainJob, type GrainResult, runJob } from './grain-job.ts';
import { libdeflateCodec } from './libdeflate-codec.ts';
import { zlibCodec } from './zlib-codec.ts';

/** What a worker is started with. No module: it works with zlib. */
export interface GrainWorkerData extends CodecMemory {
  readonly module?: WebAssembly.Module;
}

/** First message of a worker. */
export interface GrainWorkerReady {
  readonly memory: SharedArrayBuffer;
  readonly areas: readonly number[];
}

export interface GrainWorkerAnswer {
  readonly id: number;
  readonly result: GrainResult | undefined;
  readonly failure?: string;
}

const { module, ...memory } = workerData as GrainWorkerData;
const { codec, areas } = module ? libdeflateCodec(module, memory) : zlibCodec(memory);
const port = parentPort;
if (!port) throw new Error('this is the entry of a worker thread');

port.on('message', ({ id, job }: { readonly id: number; readonly job: GrainJob }) => {
  port.postMessage(answer(id, job));
});
port.postMessage({ memory: codec.memory, areas } satisfies GrainWorkerReady);

function answer(id: number, job: GrainJob): GrainWorkerAnswer {
  try {
    const steps = runJob(codec, job);
    for (;;) {
      const { done, value } = steps.next();
      if (done) return { id, result: value };
    }
  } catch (error) {
    return { id, result: undefined, failure: error instanceof Error ? error.message : String(error) };
  }
}
