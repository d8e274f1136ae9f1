import { readlinkSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import files from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { relative } from 'node:path';

/** A change of files, in the order in which it was asked for. Names are relative to the recorded folder. */
type Change =
  | { readonly kind: 'write'; readonly name: string; readonly data: Buffer; readonly position: number }
  | { readonly kind: 'truncate'; readonly name: string; readonly length: number }
  /** What was asked of the file, or of names where it is a folder, is on the medium. */
  | { readonly kind: 'sync'; readonly name: string }
  | { readonly kind: 'create' | 'remove'; readonly name: string }
  | { readonly kind: 'rename'; readonly name: string; readonly to: string };

type Methods = Record<string, (this: unknown, ...args: unknown[]) => Promise<unknown>>;

/** Files by name, as they are on the medium. */
export type Medium = ReadonlyMap<string, Buffer>;

/** What a process does to files, as a medium gets it: since the last sync of a file, any of its writes may be there or not. */
export class PowerRecording {
  readonly changes: Change[] = [];
  readonly #folder: string;
  #restore: () => void = () => {};

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Records what this process does in `folder` from now on, by `node:fs/promises`. */
  static async begin(folder: string): Promise<PowerRecording> {
    const recording = new PowerRecording(folder);
    const handle = await files.open('/dev/null');
    const undo = [
      ...(['write', 'writeFile', 'truncate', 'sync', 'datasync'] as const).map((name) =>
        recording.#watch(Object.getPrototypeOf(handle) as Methods, name, (self, args) =>
          recording.#handled(name, self as FileHandle, args),
        ),
      ),
      ...(['open', 'rename', 'rm', 'unlink', 'truncate'] as const).map((name) =>
        recording.#watch(files as unknown as Methods, name, (_self, args) => recording.#named(name, args)),
      ),
    ];
    await handle.close();
    syncBuiltinESMExports();
    recording.#restore = () => {
      for (const restore of undo) restore();
      syncBuiltinESMExports();
    };
    return recording;
  }

  end(): void {
    this.#restore();
  }

  #watch(methods: Methods, name: string, record: (self: unknown, args: readonly unknown[]) => void): () => void {
    const original = methods[name];
    if (original === undefined) throw new Error(`no ${name}`);
    methods[name] = async function (...args) {
      const result = await original.apply(this, args);
      record(this, args);
      return result;
    };
    return () => {
      methods[name] = original;
    };
  }

  #name(path: string): string | undefined {
    return path === this.#folder || path.startsWith(`${this.#folder}/`) ? relative(this.#folder, path) : undefined;
  }

  #handled(kind: string, handle: FileHandle, args: readonly unknown[]): void {
    const name = this.#name(readlinkSync(`/proc/self/fd/${handle.fd}`));
    if (name === undefined) return;
    if (kind === 'truncate') this.changes.push({ kind, name, length: Number(args[0] ?? 0) });
    else if (kind === 'writeFile')
      this.changes.push({ kind: 'write', name, data: Buffer.from(args[0] as string | Buffer), position: 0 });
    else if (kind !== 'write') this.changes.push({ kind: 'sync', name });
    else {
      const [buffer, offset = 0, length = (buffer as Buffer).length, position] = args as [
        Buffer,
        number,
        number,
        number,
      ];
      this.changes.push({ kind, name, data: Buffer.from(buffer.subarray(offset, offset + length)), position });
    }
  }

  #named(kind: string, args: readonly unknown[]): void {
    const name = this.#name(String(args[0]));
    if (name === undefined) return;
    if (kind === 'rename') this.changes.push({ kind, name, to: this.#name(String(args[1])) ?? '' });
    else if (kind === 'truncate') this.changes.push({ kind, name, length: Number(args[1]) });
    else if (kind !== 'open') this.changes.push({ kind: 'remove', name });
    else if (typeof args[1] === 'string' && args[1].startsWith('w')) this.changes.push({ kind: 'create', name });
  }

  /**
   * The files as they may be after the power failed behind change number `end`: what was synced, and of the rest what
   * `kept` says, writes in pieces of a sector, changes of names in their order.
   */
  mediumAfter(before: Medium, end: number, kept: () => boolean): Medium {
    const done = this.changes.slice(0, end);
    const file = (content: Buffer) => ({ content, changes: [] as { change: Change; at: number }[], synced: -1 });
    type File = ReturnType<typeof file>;
    const now = new Map([...before].map(([name, content]) => [name, file(content)]));
    const namesSynced = done.findLastIndex((change) => change.kind === 'sync' && !isFileName(change.name));
    const medium = new Map<string, File>(now);
    let namesLost = false;
    for (const [at, change] of done.entries()) {
      const known = now.get(change.name);
      if (change.kind === 'sync') {
        if (known !== undefined) known.synced = at;
        continue;
      }
      if (change.kind === 'write' || change.kind === 'truncate') {
        known?.changes.push({ change, at });
        continue;
      }
      namesLost ||= at > namesSynced && !kept();
      const made = known ?? file(Buffer.alloc(0));
      for (const names of namesLost ? [now] : [now, medium]) rename(names, change, made);
    }
    return new Map([...medium].map(([name, known]) => [name, contentOf(known, kept)]));
  }
}

function isFileName(name: string): boolean {
  return name !== '' && name.includes('.');
}

function rename<File>(names: Map<string, File>, change: Change, made: File): void {
  const known = names.get(change.name);
  // Whoever opens it twice means one file.
  if (change.kind === 'create') {
    if (known === undefined) names.set(change.name, made);
    return;
  }
  names.delete(change.name);
  if (change.kind === 'rename' && known !== undefined) names.set(change.to, known);
}

function contentOf(
  {
    content: before,
    changes,
    synced,
  }: { readonly content: Buffer; readonly changes: readonly { change: Change; at: number }[]; readonly synced: number },
  kept: () => boolean,
): Buffer {
  let content: Buffer = Buffer.from(before);
  for (const { change, at } of changes) {
    const durable = at < synced;
    if (change.kind === 'truncate') {
      if (durable || kept()) content = resized(content, change.length);
    } else if (change.kind === 'write') {
      for (let done = 0; done < change.data.length; ) {
        const place = change.position + done;
        const piece = change.data.subarray(done, done + 512 - (place % 512));
        if (durable || kept()) {
          if (content.length < place + piece.length) content = resized(content, place + piece.length);
          piece.copy(content, place);
        }
        done += piece.length;
      }
    }
  }
  return content;
}

function resized(content: Buffer, length: number): Buffer {
  return length <= content.length
    ? content.subarray(0, length)
    : Buffer.concat([content, Buffer.alloc(length - content.length)]);
}
