import { randomInt } from 'node:crypto';
import type { Socket } from 'node:net';
import { JsonLineParser } from '../qmp/json-lines.ts';
import { isObject } from '../qmp/qmp-message.ts';
import { connectUnix } from '../qmp/unix-connection.ts';

/** Longest answer taken from a guest, in bytes: what a program wrote comes in base64. */
const maxAnswerBytes = 12 << 20;
const answerTimeoutMs = 3_000;

/** The guest agent does not answer, or answers something else. */
export class GuestAgentError extends Error {
  override readonly name = 'GuestAgentError';
  /** The agent heard the command and said no. */
  readonly refused: boolean;
  /** It said no because it has no such command, or was told not to obey it. */
  readonly commandUnknown: boolean;

  constructor(
    message: string,
    options: { readonly cause?: unknown; readonly refused?: boolean; readonly commandUnknown?: boolean } = {},
  ) {
    super(message, { cause: options.cause });
    this.refused = options.refused ?? false;
    this.commandUnknown = options.commandUnknown ?? false;
  }
}

/** `timeoutMs`: how long the guest may take; 3 s unless told. */
export type GuestAgentCall = (command: string, args?: object, timeoutMs?: number) => Promise<unknown>;

/**
 * Connects to a guest agent, synchronizes (QEMU Guest Agent protocol, `guest-sync-delimited`), and calls `use`.
 * Everything that comes is the guest's word: bounded and checked by the caller. Rejects with `GuestAgentError`.
 */
export async function withGuestAgent<T>(socketPath: string, use: (call: GuestAgentCall) => Promise<T>): Promise<T> {
  let socket: Socket;
  try {
    socket = await connectUnix({ path: socketPath, deadline: performance.now() });
  } catch (cause) {
    throw new GuestAgentError('no guest agent channel', { cause });
  }
  try {
    const session = new AgentSession(socket);
    await session.synchronize();
    return await use((command, args, timeoutMs) => session.call(command, args, timeoutMs));
  } finally {
    socket.destroy();
  }
}

class AgentSession {
  readonly #socket: Socket;
  #parser: JsonLineParser | undefined;
  #waiting:
    | { readonly resolve: (value: unknown) => void; readonly reject: (error: GuestAgentError) => void }
    | undefined;
  #failure: GuestAgentError | undefined;
  #synchronizing = true;
  readonly #token = randomInt(2 ** 40);

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#parser = new JsonLineParser({ maxBytes: maxAnswerBytes, skipSentinel: true });
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('error', (cause) => this.#fail(new GuestAgentError('guest agent channel lost', { cause })));
    socket.on('close', () => this.#fail(new GuestAgentError('guest agent channel closed')));
  }

  /** 0xFF makes the agent drop what an earlier session left half said; its answer follows a 0xFF too. */
  async synchronize(): Promise<void> {
    this.#socket.write(Buffer.from([0xff]));
    await this.call('guest-sync-delimited', { id: this.#token });
    this.#synchronizing = false;
  }

  async call(command: string, args?: object, timeoutMs = answerTimeoutMs): Promise<unknown> {
    if (this.#failure) throw this.#failure;
    const answer = new Promise<unknown>((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
    const timer = setTimeout(() => this.#fail(new GuestAgentError(`${command}: no answer`)), timeoutMs);
    this.#socket.write(`${JSON.stringify({ execute: command, ...(args ? { arguments: args } : {}) })}\n`);
    try {
      return await answer;
    } finally {
      clearTimeout(timer);
    }
  }

  #receive(chunk: Buffer): void {
    try {
      for (const value of this.#parser?.push(chunk) ?? []) this.#take(value);
    } catch (cause) {
      // Half a line of an earlier session may come first.
      if (this.#synchronizing) this.#parser = new JsonLineParser({ maxBytes: maxAnswerBytes, skipSentinel: true });
      else this.#fail(new GuestAgentError('the guest agent sent something else than JSON', { cause }));
    }
  }

  #take(value: unknown): void {
    if (!isObject(value) || (this.#synchronizing && value.return !== this.#token)) return;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if ('return' in value) waiting?.resolve(value.return);
    else {
      const description = isObject(value.error) ? String(value.error.desc) : 'no answer';
      const commandUnknown = isObject(value.error) && value.error.class === 'CommandNotFound';
      waiting?.reject(new GuestAgentError(description.slice(0, 1000), { refused: true, commandUnknown }));
    }
  }

  #fail(error: GuestAgentError): void {
    this.#failure ??= error;
    this.#parser = undefined;
    this.#socket.destroy();
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }
}
