import { parentPort } from 'node:worker_threads';
import type { StreamDigestAnswer, StreamDigestMessage } from './digest-thread.ts';
import { FileDigest } from './file-digests.ts';

const port = parentPort!;
let digest = new FileDigest([]);

port.on('message', (message: StreamDigestMessage) => {
  const tell = (answer: StreamDigestAnswer, ...transfer: ArrayBuffer[]) => port.postMessage(answer, transfer);
  if ('algorithms' in message) digest = new FileDigest(message.algorithms);
  else if ('buffer' in message) {
    digest.update(new Uint8Array(message.buffer, 0, message.length));
    tell({ buffer: message.buffer }, message.buffer);
  } else tell({ digests: [...digest.finish()] });
});
