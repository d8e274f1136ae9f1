import type { FileHandle } from 'node:fs/promises';
import type { PackageSource } from '@hypostyle/ovf';

/** A disk of a package, in a file that has no name. */
export interface ReceivedFile {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly file: FileHandle;
}

const readLength = 2 ** 20;

/** A package of a descriptor in memory and files that were received for it. The files stay open when it is closed. */
export function receivedSource(
  descriptor: { readonly name: string; readonly content: Uint8Array },
  files: readonly ReceivedFile[],
): PackageSource {
  const byName = new Map(files.map((one) => [one.name, one]));
  return {
    descriptorName: descriptor.name,
    names: [descriptor.name, ...byName.keys()],
    size: async (name) => (name === descriptor.name ? descriptor.content.length : byName.get(name)?.size),
    async *read(name, { start = 0, length } = {}) {
      const received = byName.get(name);
      const size = received?.size ?? descriptor.content.length;
      const end = Math.min(size, start + (length ?? size));
      if (received === undefined) {
        yield descriptor.content.subarray(start, end);
        return;
      }
      for (let at = start; at < end; ) {
        const wanted = Math.min(readLength, end - at);
        const { buffer, bytesRead } = await received.file.read(Buffer.allocUnsafe(wanted), 0, wanted, at);
        if (bytesRead === 0) return;
        at += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
    },
    close: async () => undefined,
  };
}
