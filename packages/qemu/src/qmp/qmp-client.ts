import type { Socket } from 'node:net';
import { JsonLineParser } from './json-lines.ts';
import { parseQmpMessage, type QmpEvent } from './qmp-message.ts';
import { connectUnix } from './unix-connection.ts';

/** Longest line taken from an engine, in bytes; a query of a hundred devices takes about 100 KB. */
const maxLineBytes = 16 << 20;
const defaultTimeoutMs = 30_000;

/** `command`: the engine refused; `timeout`: no answer in time; `closed`, `protocol`: the connection is of no more use. */
export class QmpError extends Error {
  override readonly name = 'QmpError';
  readonly kind: 'command' | 'timeout' | 'closed' | 'protocol';
  /** Such as `CommandNotFound`, when `kind` is `command`. */
  readonly errorClass: string | undefined;

  constructor(kind: QmpError['kind'], message: string, options: { errorClass?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.kind = kind;
    this.errorClass = options.errorClass;
  }
}

interface Pending {
  readonly command: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: QmpError) => void;
  /** None where the answer is waited for as long as the connection lasts. */
  readonly timer: NodeJS.Timeout | undefined;
}

export interface QmpConnectOptions {
  readonly path: string;
  /** Milliseconds until the greeting and the answer to `qmp_capabilities` must be there. */
  readonly timeoutMs: number;
  /** Milliseconds to wait for a socket that is not there or does not listen; as `timeoutMs` when left out. */
  readonly waitForSocketMs?: number;
  readonly signal?: AbortSignal;
}

/** One connection to an engine's monitor (QEMU Machine Protocol). */
export class QmpClient {
  /** Such as `7.2.22`. */
  readonly version: string;
  readonly #socket: Socket;
  readonly #pending = new Map<number, Pending>();
  readonly #eventListeners = new Set<(event: QmpEvent) => void>();
  readonly #closeListeners = new Set<(error: QmpError) => void>();
  #nextId = 1;
  #closed: QmpError | undefined;

  private constructor(socket: Socket, version: string) {
    this.#socket = socket;
    this.version = version;
  }

  /** Connects, waiting for the socket to appear, and negotiates. Rejects with `QmpError`. */
  static async connect(options: QmpConnectOptions): Promise<QmpClient> {
    const deadline = performance.now() + options.timeoutMs;
    let socket: Socket;
    try {
      socket = await connectUnix({
        path: options.path,
        deadline: performance.now() + (options.waitForSocketMs ?? options.timeoutMs),
        ...(options.signal ? { signal: options.signal } : {}),
      });
    } catch (cause) {
      throw new QmpError('closed', `no monitor at ${options.path}`, { cause });
    }
    const client = await greet(socket, deadline, options.signal, (version) => new QmpClient(socket, version));
    await client.execute('qmp_capabilities', undefined, { timeoutMs: Math.max(1, deadline - performance.now()) });
    return client;
  }

  get closed(): boolean {
    return this.#closed !== undefined;
  }

  /**
   * Commands may be sent without waiting for the one before; the engine runs them in order. `timeoutMs`: 30 s unless
   * told; infinite, the answer is waited for as long as the connection lasts.
   */
  execute(command: string, args?: object, options: { readonly timeoutMs?: number } = {}): Promise<unknown> {
    if (this.#closed) return Promise.reject(this.#closed);
    const id = this.#nextId++;
    const { timeoutMs = defaultTimeoutMs } = options;
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        this.#pending.delete(id);
        reject(new QmpError('timeout', `${command}: no answer`));
      };
      const timer = timeoutMs === Number.POSITIVE_INFINITY ? undefined : setTimeout(giveUp, timeoutMs);
      this.#pending.set(id, { command, resolve, reject, timer });
      this.#socket.write(`${JSON.stringify({ execute: command, ...(args ? { arguments: args } : {}), id })}\n`);
    });
  }

  onEvent(listener: (event: QmpEvent) => void): void {
    this.#eventListeners.add(listener);
  }

  /** Called once, also when this side closes. */
  onClose(listener: (error: QmpError) => void): void {
    if (this.#closed) listener(this.#closed);
    else this.#closeListeners.add(listener);
  }

  close(): void {
    this.#fail(new QmpError('closed', 'monitor closed'));
  }

  /** Takes values as the parser gives them. */
  #receive(value: unknown): void {
    const message = parseQmpMessage(value);
    if (message?.kind === 'event') {
      for (const listener of this.#eventListeners) listener({ name: message.name, data: message.data });
      return;
    }
    if (message?.kind !== 'return' && message?.kind !== 'error') return;
    const pending = typeof message.id === 'number' ? this.#pending.get(message.id) : undefined;
    if (!pending) return;
    this.#pending.delete(message.id as number);
    clearTimeout(pending.timer);
    if (message.kind === 'return') pending.resolve(message.value);
    else {
      const text = `${pending.command}: ${message.description}`;
      pending.reject(new QmpError('command', text, { errorClass: message.errorClass }));
    }
  }

  #fail(error: QmpError): void {
    if (this.#closed) return;
    this.#closed = error;
    this.#socket.destroy();
    for (const pending of this.#pending.values()) {
      clearTimeout(pending.timer);
      pending.reject(error);
    }
    this.#pending.clear();
    for (const listener of this.#closeListeners) listener(error);
    this.#closeListeners.clear();
    this.#eventListeners.clear();
  }

  /** What `greet` needs to hand the stream over. */
  attach(values: readonly unknown[], parser: JsonLineParser): void {
    this.#socket.on('data', (chunk) => {
      try {
        for (const value of parser.push(chunk)) this.#receive(value);
      } catch (cause) {
        this.#fail(new QmpError('protocol', 'the engine sent something else than QMP', { cause }));
      }
    });
    this.#socket.on('error', (cause) => this.#fail(new QmpError('closed', 'monitor lost', { cause })));
    this.#socket.on('close', () => this.#fail(new QmpError('closed', 'monitor closed by the engine')));
    for (const value of values) this.#receive(value);
  }
}

/** Waits for the greeting; whoever connects second to a monitor gets none. */
function greet(
  socket: Socket,
  deadline: number,
  signal: AbortSignal | undefined,
  create: (version: string) => QmpClient,
): Promise<QmpClient> {
  return new Promise((resolve, reject) => {
    const parser = new JsonLineParser({ maxBytes: maxLineBytes });
    const finish = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      socket.removeAllListeners();
    };
    const fail = (kind: QmpError['kind'], message: string, cause?: unknown) => {
      finish();
      socket.on('error', () => {});
      socket.destroy();
      reject(new QmpError(kind, message, { cause }));
    };
    const abort = () => fail('closed', 'given up');
    const timer = setTimeout(
      () => fail('timeout', 'the monitor does not greet: it is taken, or the engine hangs'),
      Math.max(1, deadline - performance.now()),
    );
    signal?.addEventListener('abort', abort);
    socket.on('error', (cause) => fail('closed', 'monitor lost', cause));
    socket.on('close', () => fail('closed', 'monitor closed by the engine'));
    socket.on('data', (chunk) => {
      try {
        const [first, ...rest] = parser.push(chunk);
        if (first === undefined) return;
        const greeting = parseQmpMessage(first);
        if (greeting?.kind !== 'greeting') throw new QmpError('protocol', 'no greeting');
        finish();
        const client = create(greeting.version);
        client.attach(rest, parser);
        resolve(client);
      } catch (cause) {
        fail('protocol', 'the engine sent something else than QMP', cause);
      }
    });
  });
}
