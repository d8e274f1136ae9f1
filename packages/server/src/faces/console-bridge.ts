import { connect, type Socket } from 'node:net';
import type { RawData, WebSocket } from 'ws';

export interface ConsoleBridgeOptions {
  /** Bytes on their way to a viewer from which on the engine has to wait. */
  readonly highWater?: number;
  /** Milliseconds that a viewer may keep the engine waiting. */
  readonly patience?: number;
  /** Milliseconds between questions whether the viewer is still there. */
  readonly pingInterval?: number;
}

/** Connects to a socket of an engine. */
export function connectToEngine(socketPath: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    const refuse = (error: Error) => reject(error);
    socket.once('error', refuse).once('connect', () => {
      socket.off('error', refuse);
      resolve(socket);
    });
  });
}

/**
 * Carries bytes between an engine's socket and a viewer, until either ends. What waits for a viewer is bounded: the
 * engine waits for a slow one, and one that stays slow is dropped, because the guest may be waiting as well.
 */
export function bridgeConsole(engine: Socket, viewer: WebSocket, options: ConsoleBridgeOptions = {}): Promise<void> {
  const { highWater = 1 << 20, patience = 15_000, pingInterval = 30_000 } = options;
  return new Promise((resolve) => {
    let impatience: NodeJS.Timeout | undefined;
    let answered = true;
    const pings = setInterval(() => {
      if (!answered) {
        viewer.terminate();
        return;
      }
      answered = false;
      viewer.ping();
    }, pingInterval);
    const sent = () => {
      if (impatience === undefined || viewer.bufferedAmount > highWater / 2) return;
      clearTimeout(impatience);
      impatience = undefined;
      engine.resume();
    };
    const end = () => {
      clearInterval(pings);
      clearTimeout(impatience);
      engine.destroy();
      if (viewer.readyState === viewer.OPEN) viewer.close(1000);
      resolve();
    };
    engine.on('data', (chunk: Buffer) => {
      if (viewer.readyState !== viewer.OPEN) return;
      viewer.send(chunk, { binary: true }, sent);
      if (viewer.bufferedAmount <= highWater || impatience !== undefined) return;
      engine.pause();
      impatience = setTimeout(() => viewer.terminate(), patience);
    });
    engine.on('drain', () => viewer.resume());
    engine.on('close', end).on('error', end);
    viewer.on('message', (message: RawData) => {
      if (!engine.write(bytesOf(message))) viewer.pause();
    });
    viewer.on('pong', () => {
      answered = true;
    });
    viewer.on('close', end).on('error', () => viewer.terminate());
  });
}

function bytesOf(message: RawData): Uint8Array {
  if (Array.isArray(message)) return Buffer.concat(message);
  return message instanceof ArrayBuffer ? new Uint8Array(message) : message;
}
