import type { ConnectionOptions } from 'node:tls';
import WebSocket, { type RawData } from 'ws';
import { CliError } from '../errors.ts';
import type { Terminal } from '../output/terminal.ts';
import { untilEscape } from './escape.ts';

export interface SerialConsoleOptions {
  /** `wss://…/ticket/…` */
  readonly url: URL;
  readonly tls: ConnectionOptions;
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
  /** Stays after the end of a piped input, until the machine or a signal ends it. */
  readonly follow: boolean;
}

/** Milliseconds of silence after which a console leaves whose piped input has ended. */
const silence = 1_500;
/** Bytes on their way to the machine from which on typing has to wait. */
const highWater = 256 * 1024;

/** Joins the terminal and a machine's serial port. Resolves when the person leaves or the machine ends. */
export async function attachSerial({ url, tls, terminal, signal, follow }: SerialConsoleOptions): Promise<void> {
  const socket = new WebSocket(url, 'binary', {
    ...tls,
    perMessageDeflate: false,
    maxPayload: 16 << 20,
    handshakeTimeout: 15_000,
  });
  await opened(socket);
  const { input, output } = terminal;
  const raw = input.isTTY === true && input.setRawMode !== undefined;
  let quiet: NodeJS.Timeout | undefined;
  let inputEnded = false;
  const leave = () => socket.close(1000);
  const waitForSilence = () => {
    if (!inputEnded || follow) return;
    clearTimeout(quiet);
    quiet = setTimeout(leave, silence);
  };
  const typed = (chunk: Buffer) => {
    const { send, leave: leaves } = raw ? untilEscape(chunk) : { send: chunk, leave: false };
    if (send.length > 0) {
      socket.send(send, { binary: true }, () => input.resume());
      if (socket.bufferedAmount > highWater) input.pause();
    }
    if (leaves) leave();
  };
  const ended = () => {
    inputEnded = true;
    waitForSilence();
  };
  const received = (message: RawData) => {
    if (!output.write(bytesOf(message))) {
      socket.pause();
      output.once('drain', () => socket.resume());
    }
    waitForSilence();
  };
  try {
    if (raw) input.setRawMode?.(true);
    await new Promise<void>((resolve, reject) => {
      socket.on('message', received);
      socket.once('close', () => resolve());
      socket.once('error', reject);
      signal.addEventListener('abort', leave, { once: true });
      input.on('data', typed).once('end', ended);
      input.resume();
      if (signal.aborted) leave();
    });
  } finally {
    clearTimeout(quiet);
    signal.removeEventListener('abort', leave);
    input.off('data', typed).off('end', ended).pause();
    if (raw) input.setRawMode?.(false);
  }
}

function opened(socket: WebSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (cause: Error) =>
      reject(new CliError('failed', `The console cannot be opened: ${cause.message}.`, { cause }));
    socket.once('error', fail);
    socket.once('open', () => {
      socket.off('error', fail);
      // What comes before somebody listens would be lost.
      socket.pause();
      resolve();
      setImmediate(() => socket.resume());
    });
  });
}

function bytesOf(message: RawData): Uint8Array {
  if (Array.isArray(message)) return Buffer.concat(message);
  return message instanceof ArrayBuffer ? new Uint8Array(message) : message;
}
