import { mkdir, open, readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Bytes that are looked at in one piece: one that is all zeros is a hole. */
const pieceBytes = 4096;

interface CopiedFile {
  readonly path: string;
  readonly size: number;
  readonly pieces: readonly { readonly offset: number; readonly bytes: Uint8Array }[];
}

/** The files of a folder, to be written again as often as somebody likes. */
export class CopiedFolder {
  readonly #files: readonly CopiedFile[];

  private constructor(files: readonly CopiedFile[]) {
    this.#files = files;
  }

  static async of(folder: string): Promise<CopiedFolder> {
    const files: CopiedFile[] = [];
    for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      files.push({ ...piecesOf(await readFile(path)), path: path.slice(folder.length + 1) });
    }
    return new CopiedFolder(files);
  }

  /** Milliseconds until so many copies are durable, with their names: all of them are made at a time. */
  async make(parent: string, count: number): Promise<number> {
    const begun = performance.now();
    await Promise.all(Array.from({ length: count }, (_, number) => this.#copy(join(parent, `copy${number}`))));
    await synced(parent);
    return performance.now() - begun;
  }

  async #copy(folder: string): Promise<void> {
    const folders = new Set([folder, ...this.#files.map(({ path }) => dirname(join(folder, path)))]);
    for (const one of folders) await mkdir(one, { recursive: true });
    await Promise.all(
      this.#files.map(async ({ path, size, pieces }) => {
        const file = await open(join(folder, path), 'wx');
        try {
          await file.truncate(size);
          for (const { offset, bytes } of pieces) await file.write(bytes, 0, bytes.length, offset);
          await file.sync();
        } finally {
          await file.close();
        }
      }),
    );
    await Promise.all([...folders].map(synced));
  }
}

function piecesOf(content: Buffer): Omit<CopiedFile, 'path'> {
  const pieces: { readonly offset: number; readonly bytes: Uint8Array }[] = [];
  for (let offset = 0; offset < content.length; offset += pieceBytes) {
    const bytes = content.subarray(offset, offset + pieceBytes);
    if (bytes.some((byte) => byte !== 0)) pieces.push({ offset, bytes });
  }
  return { size: content.length, pieces };
}

async function synced(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
