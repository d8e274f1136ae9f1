import { type FSWatcher, watch } from 'node:fs';
import { open, stat, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const sectorBytes = 512;
/** Between looks at the file, milliseconds, should a change of it not be told. */
const lookInterval = 20;

/**
 * First instructions of a guest: they write `!` to the first serial port, and halt:
 * `mov dx, 0x3f8; mov al, '!'; out dx, al; cli; hlt; jmp $-1`.
 */
const sector = Buffer.alloc(sectorBytes);
Buffer.from('baf803b021eefaf4ebfd', 'hex').copy(sector);
sector.writeUInt16LE(0xaa55, sectorBytes - 2);

/** A sparse raw disk that begins with these instructions. */
export async function writeBootSector(path: string, diskBytes: number): Promise<void> {
  await writeFile(path, sector);
  const disk = await open(path, 'r+');
  try {
    await disk.truncate(diskBytes);
  } finally {
    await disk.close();
  }
}

/** What a first serial port writes to: tells when the guest's first instructions have run. */
export class SerialFile {
  readonly #path: string;
  readonly #watcher: FSWatcher;
  #wake: () => void = () => {};

  private constructor(path: string) {
    this.#path = path;
    this.#watcher = watch(path, () => this.#wake());
  }

  /** Makes the file where it is not there. */
  static async at(path: string): Promise<SerialFile> {
    await writeFile(path, '', { flag: 'a' });
    return new SerialFile(path);
  }

  get bytes(): Promise<number> {
    return stat(this.#path).then(({ size }) => size);
  }

  /** Resolves as soon as the file is longer than `bytes`. */
  async grows(bytes: number): Promise<void> {
    for (;;) {
      const told = new Promise<void>((wake) => {
        this.#wake = wake;
      });
      if ((await this.bytes) > bytes) return;
      await Promise.race([told, sleep(lookInterval)]);
    }
  }

  close(): void {
    this.#watcher.close();
  }
}
