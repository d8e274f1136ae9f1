import { readlinkSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import files from 'node:fs/promises';

/** A change of a file, in the order in which it was asked for. */
type Change =
  | { readonly kind: 'write'; readonly path: string; readonly data: Buffer; readonly position: number }
  | { readonly kind: 'truncate'; readonly path: string; readonly length: number }
  /** What was asked of the file before is on the medium. */
  | { readonly kind: 'sync'; readonly path: string };

type Methods = Record<string, (this: FileHandle, ...args: unknown[]) => Promise<unknown>>;

/** Writes of files as a medium gets them: since the last sync of a file, any of them may be there or not. */
export class PowerRecording {
  readonly changes: Change[] = [];
  readonly #restore: () => void;

  private constructor(restore: () => void) {
    this.#restore = restore;
  }

  /** Records what this process does to files below `folder` from now on, through handles of `node:fs/promises`. */
  static async begin(folder: string): Promise<PowerRecording> {
    const handle = await files.open('/dev/null');
    const methods = Object.getPrototypeOf(handle) as Methods;
    await handle.close();
    const names = ['write', 'truncate', 'sync', 'datasync'] as const;
    const originals = names.map((name) => [name, methods[name]] as const);
    const recording = new PowerRecording(() => {
      for (const [name, original] of originals) if (original) methods[name] = original;
    });
    for (const [name, original] of originals) {
      if (original === undefined) throw new Error(`no ${name}`);
      methods[name] = async function (...args) {
        const path = readlinkSync(`/proc/self/fd/${this.fd}`);
        const result = await original.apply(this, args);
        if (path.startsWith(`${folder}/`)) recording.#record(name, path, args);
        return result;
      };
    }
    return recording;
  }

  end(): void {
    this.#restore();
  }

  #record(name: string, path: string, args: readonly unknown[]): void {
    if (name === 'truncate') this.changes.push({ kind: 'truncate', path, length: Number(args[0] ?? 0) });
    else if (name !== 'write') this.changes.push({ kind: 'sync', path });
    else {
      const [buffer, offset = 0, length = (buffer as Buffer).length, position] = args as [
        Buffer,
        number,
        number,
        number,
      ];
      const data = Buffer.from(buffer.subarray(offset, offset + length));
      this.changes.push({ kind: 'write', path, data, position });
    }
  }

  /**
   * A file as it may be after the power failed behind change number `end`: `before`, all that was synced, and of the
   * rest what `kept` says, in pieces of a sector.
   */
  fileAfter(path: string, before: Buffer, end: number, kept: () => boolean): Buffer {
    const own = this.changes.slice(0, end).filter((change) => change.path === path);
    const durable = own.findLastIndex(({ kind }) => kind === 'sync');
    let content: Buffer = Buffer.from(before);
    for (const [index, change] of own.entries()) {
      if (change.kind === 'truncate') {
        if (index > durable && !kept()) continue;
        content = resized(content, change.length);
      } else if (change.kind === 'write') {
        for (let at = 0; at < change.data.length; ) {
          const piece = change.data.subarray(at, at + 512 - ((change.position + at) % 512));
          if (index < durable || kept()) {
            const place = change.position + at;
            if (content.length < place + piece.length) content = resized(content, place + piece.length);
            piece.copy(content, place);
          }
          at += piece.length;
        }
      }
    }
    return content;
  }
}

function resized(content: Buffer, length: number): Buffer {
  return length <= content.length
    ? content.subarray(0, length)
    : Buffer.concat([content, Buffer.alloc(length - content.length)]);
}
