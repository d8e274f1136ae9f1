import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { syncFolder } from '../files/machine-files.ts';

/**
 * Files that take their names together: their bytes are made durable side by side, and then their names at once. A crash
 * leaves of each the old one or the new one; those that are named first have their names first.
 */
export class StagedFiles {
  readonly #written: { readonly temporary: string; readonly path: string }[] = [];
  readonly #work: Promise<void>[] = [];

  /** Begins to write a file; `publish` gives it its name. */
  add(path: string, content: string | Uint8Array): void {
    const temporary = join(dirname(path), `.hypo-${basename(path)}.partial`);
    this.#written.push({ temporary, path });
    const work = writeDurably(temporary, content);
    // Whoever waits for it hears of it.
    work.catch(() => {});
    this.#work.push(work);
  }

  /** Resolves when the bytes of all are durable. */
  async whole(): Promise<void> {
    await allDone(this.#work);
  }

  /** Gives all their names, in the order in which they were added. Durable when it resolves. */
  async publish(): Promise<void> {
    await this.whole();
    for (const { temporary, path } of this.#written) await rename(temporary, path);
    const folders = new Set(this.#written.map(({ path }) => dirname(path)));
    await allDone([...folders].map(syncFolder));
  }

  /** Removes what has no name yet. */
  async discard(): Promise<void> {
    await Promise.allSettled(this.#work);
    for (const { temporary } of this.#written) await rm(temporary, { force: true });
  }
}

/** Writes bytes that are durable when it resolves; the name is durable once its folder is synced. */
export async function writeDurably(path: string, content: string | Uint8Array): Promise<void> {
  const handle = await open(path, 'w', 0o644);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Waits until all of it is over; then throws what failed first. Nothing of it goes on afterwards. */
export async function allDone(work: readonly Promise<unknown>[]): Promise<void> {
  const ends = await Promise.allSettled(work);
  const failed = ends.find((end) => end.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
