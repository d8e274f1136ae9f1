import { Duplex } from 'node:stream';
import { connectUnix } from './qmp/unix-connection.ts';

export interface SerialConnectionOptions {
  /** Bytes kept for a viewer that reads slowly; more, and the viewer is dropped. Default 1 MiB. */
  readonly maxBacklogBytes?: number;
  /** Milliseconds to wait for the socket. Default 1,000. */
  readonly timeoutMs?: number;
}

/** The viewer read too slowly and was dropped, so that the guest did not have to wait. */
export class SlowViewerError extends Error {
  override readonly name = 'SlowViewerError';
}

/**
 * Connects a viewer to a machine's serial port. What the guest writes is always taken from the engine at once: a port
 * whose viewer stops reading stalls its guest. A viewer that falls too far behind is destroyed with `SlowViewerError`.
 */
export async function connectSerial(path: string, options: SerialConnectionOptions = {}): Promise<Duplex> {
  const maxBacklogBytes = options.maxBacklogBytes ?? 1 << 20;
  const socket = await connectUnix({ path, deadline: performance.now() + (options.timeoutMs ?? 1_000) });
  const viewer = new Duplex({
    read() {},
    write(chunk, encoding, done) {
      socket.write(chunk, encoding, (error) => done(error));
    },
    final(done) {
      socket.end(done);
    },
    destroy(error, done) {
      socket.destroy();
      done(error);
    },
  });
  socket.on('data', (chunk) => {
    if (viewer.readableLength + chunk.length > maxBacklogBytes) {
      viewer.destroy(new SlowViewerError(`a viewer of ${path} read too slowly`));
    } else viewer.push(chunk);
  });
  socket.on('end', () => viewer.push(null));
  socket.on('error', (error) => viewer.destroy(error));
  socket.on('close', () => viewer.destroy());
  return viewer;
}
