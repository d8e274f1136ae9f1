import { randomUUID } from 'node:crypto';
import { createConnection, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Most of a guest's output that is kept while looking for an answer, in characters. */
const maxKept = 1 << 20;

/** Speaks with a guest booted from `bootableDisk` over the socket of its first serial port. */
export class GuestConsole {
  readonly #socket: Socket;
  #text = '';
  #wake: (() => void) | undefined;
  #closed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      this.#text = (this.#text + text).slice(-maxKept);
      this.#wake?.();
    });
    const close = () => {
      this.#closed = true;
      this.#wake?.();
    };
    socket.on('error', close);
    socket.on('close', close);
  }

  static connect(path: string): Promise<GuestConsole> {
    return new Promise((resolve, reject) => {
      const socket = createConnection(path);
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new GuestConsole(socket));
      });
    });
  }

  /** Waits until the guest has booted; the answer is the UUID that its firmware tells it. `timeoutMs`: default 60 s. */
  async ready(timeoutMs = 180_000): Promise<string> {
    return (await this.#find(/READY ([0-9a-f-]{36})/, timeoutMs))[1] ?? '';
  }

  /** Runs a shell command of one line in the guest; its output without the last line feed. Rejects when it fails. */
  async run(command: string, timeoutMs = 20_000): Promise<string> {
    // Of no other console: a slow guest still answers commands whose console was given up.
    const token = `t${randomUUID().slice(0, 8)}`;
    this.#socket.write(`${token} ${command}\n`);
    const match = await this.#find(new RegExp(`([\\s\\S]*?)END ${token} (\\d+)`), timeoutMs);
    const output = (match[1] ?? '')
      .replaceAll('\r', '')
      .replace(/^[\s\S]*END t[0-9a-f]{8} \d+/, '')
      .trim();
    if (match[2] !== '0') throw new Error(`in the guest, ${command} ended with ${match[2]}: ${output}`);
    return output;
  }

  /** Sends a command that is not expected to answer. */
  send(command: string): void {
    this.#socket.write(`x ${command}\n`);
  }

  close(): void {
    this.#socket.destroy();
  }

  async #find(pattern: RegExp, timeoutMs: number): Promise<RegExpExecArray> {
    const timer = new AbortController();
    const late = sleep(timeoutMs, 'late', { signal: timer.signal }).catch(() => 'late');
    try {
      for (;;) {
        const match = pattern.exec(this.#text);
        if (match) {
          // What was answered is not found again: a second `ready` waits for a second boot.
          this.#text = this.#text.slice(match.index + match[0].length);
          return match;
        }
        if (this.#closed) throw new Error(`the serial port was closed; the guest said: ${this.#text.slice(-500)}`);
        const more = new Promise<string>((resolve) => {
          this.#wake = () => resolve('more');
        });
        if ((await Promise.race([more, late])) === 'late') {
          throw new Error(`no ${pattern.source} from the guest; it said: ${this.#text.slice(-500)}`);
        }
      }
    } finally {
      timer.abort();
    }
  }
}
