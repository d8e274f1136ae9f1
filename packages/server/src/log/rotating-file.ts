import { openSync, renameSync, statSync } from 'node:fs';
import pino from 'pino';

export interface RotatingFileOptions {
  /** Bytes after which a file is put aside. */
  readonly limitBytes: number;
  /** Files put aside that are kept, as `path.1` (the newest) and so on. */
  readonly kept: number;
}

/** A log file of bounded size. Each line is handed to the system at once: the last words before a crash are there. */
export class RotatingFile {
  readonly #path: string;
  readonly #options: RotatingFileOptions;
  #file: ReturnType<typeof pino.destination>;
  #size: number;
  #closed = false;

  constructor(path: string, options: RotatingFileOptions) {
    this.#path = path;
    this.#options = options;
    this.#file = openToAppend(path);
    this.#size = sizeOf(path);
  }

  write(line: string): void {
    // Work that ends after its server did may still complain; that ends no process.
    if (this.#closed) return;
    if (this.#size > 0 && this.#size + line.length > this.#options.limitBytes) this.#rotate();
    this.#size += Buffer.byteLength(line);
    this.#file.write(line);
  }

  /** Writes what is not written yet. */
  flush(): void {
    try {
      this.#file.flushSync();
    } catch {
      // The disk is full: nothing more can be done.
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.flush();
    this.#file.end();
  }

  #rotate(): void {
    this.flush();
    const { kept } = this.#options;
    try {
      for (let at = kept - 1; at >= 1; at -= 1) renameIfThere(`${this.#path}.${at}`, `${this.#path}.${at + 1}`);
      renameIfThere(this.#path, `${this.#path}.1`);
      const next = openToAppend(this.#path);
      this.#file.end();
      this.#file = next;
    } catch {
      // The file goes on growing, which is better than a server that ends for its log.
    }
    this.#size = 0;
  }
}

function openToAppend(path: string): ReturnType<typeof pino.destination> {
  const file = pino.destination({ dest: openSync(path, 'a', 0o600), sync: true });
  // A full disk must not end the server; what could not be written is lost.
  file.on('error', () => {});
  return file;
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function renameIfThere(from: string, to: string): void {
  if (statSync(from, { throwIfNoEntry: false }) !== undefined) renameSync(from, to);
}
