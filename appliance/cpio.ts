/** One entry of an archive. Paths are relative, parents before what is in them. */
export type ArchiveEntry =
  | { readonly path: string; readonly kind: 'file'; readonly mode: number; readonly data: Uint8Array }
  | { readonly path: string; readonly kind: 'link'; readonly target: string }
  | { readonly path: string; readonly kind: 'folder' }
  | { readonly path: string; readonly kind: 'device'; readonly major: number; readonly minor: number };

/** An archive in the "newc" format that Linux unpacks as its first file system (kernel: early-userspace/buffer-format). */
export function cpioArchive(entries: readonly ArchiveEntry[]): Buffer {
  const parts: Buffer[] = [];
  entries.forEach((entry, index) => {
    parts.push(...record(index + 1, entry.path, modeOf(entry), dataOf(entry), entry));
  });
  parts.push(...record(0, 'TRAILER!!!', 0, Buffer.alloc(0)));
  return Buffer.concat(parts);
}

function record(inode: number, path: string, mode: number, data: Uint8Array, entry?: ArchiveEntry): Buffer[] {
  const name = Buffer.from(`${path}\0`);
  const device = entry?.kind === 'device' ? [entry.major, entry.minor] : [0, 0];
  const fields = [inode, mode, 0, 0, 1, 0, data.length, 0, 0, ...device, name.length, 0];
  const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`;
  return [padded(Buffer.concat([Buffer.from(header), name])), padded(data)];
}

function padded(data: Uint8Array): Buffer {
  return Buffer.concat([data, Buffer.alloc((4 - (data.length % 4)) % 4)]);
}

function modeOf(entry: ArchiveEntry): number {
  switch (entry.kind) {
    case 'file':
      return 0o100000 | entry.mode;
    case 'link':
      return 0o120777;
    case 'folder':
      return 0o040755;
    case 'device':
      return 0o020600;
  }
}

function dataOf(entry: ArchiveEntry): Uint8Array {
  if (entry.kind === 'file') return entry.data;
  return entry.kind === 'link' ? Buffer.from(entry.target) : Buffer.alloc(0);
}
