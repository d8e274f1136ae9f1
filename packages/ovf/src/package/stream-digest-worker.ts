import { parentPort } from 'node:worker_threads';
import type { StreamDigestAnswer, StreamDigestMessage } from './digest-thread.ts';
import { FileDigest } from './file-digests.ts';

const port = parentPort!;
let digest = new FileDigest([]);

port.on('message', (message: StreamDigestMessage) => {
  const tell = (answer: StreamDigestAnswer) => port.postMessage(answer);
  if ('algorithms' in message) digest = new FileDigest(message.algorithms);
  else if ('bytes' in message) {
    digest.update(message.bytes);
    tell({ doneBytes: message.bytes.length });
  } else tell({ digests: [...digest.finish()] });
});
