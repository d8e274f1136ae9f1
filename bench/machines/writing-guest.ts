import { randomBytes } from 'node:crypto';
import { fstatSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const sectorBytes = 512;
/** Between looks at what the guest has said, milliseconds. */
const lookInterval = 1;

/**
 * A guest that writes 4 KiB after 4 KiB by its BIOS, between 32 and 64 MiB of its disk, and says `.` on its first serial
 * port after each: `mov si, dap; mov ax, 0x4300; int 0x13; …; mov dx, 0x3f8; out dx, al; add word [dap + 8], 8; jmp …`.
 */
const sector = Buffer.alloc(sectorBytes);
Buffer.from(
  '31c08ed88ed0bc007c52be247cb80043cd13b02e7302b045baf803ee5a83062c7c08ebe510000800008000000000010000000000',
  'hex',
).copy(sector);
sector.writeUInt16LE(0xaa55, sectorBytes - 2);

/** A raw disk that begins with this guest, and has so many bytes that nobody can guess. */
export async function writeWritingDisk(path: string, diskBytes: number, storedBytes: number): Promise<void> {
  const disk = await open(path, 'w');
  try {
    await disk.write(sector, 0, sectorBytes, 0);
    const chunk = randomBytes(1 << 20);
    for (let at = 64 << 20; at < (64 << 20) + storedBytes; at += chunk.length)
      await disk.write(chunk, 0, chunk.length, at);
    await disk.truncate(diskBytes);
    await disk.sync();
  } finally {
    await disk.close();
  }
}

/** The longest time in which a guest was not seen to write, by what it says in its serial port's file. */
export class StallWatch {
  readonly #file: FileHandle;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  static async at(path: string): Promise<StallWatch> {
    return new StallWatch(await open(path, 'a+'));
  }

  get bytes(): number {
    return fstatSync(this.#file.fd).size;
  }

  /** Does the work; milliseconds that it took, and of the longest time without a write meanwhile. */
  async during(work: () => Promise<void>): Promise<{ readonly took: number; readonly stall: number }> {
    let over = false;
    let last = this.bytes;
    let seen = performance.now();
    let stall = 0;
    const began = seen;
    const watching = (async () => {
      while (!over) {
        await sleep(lookInterval);
        const { bytes } = this;
        if (bytes === last) continue;
        const now = performance.now();
        stall = Math.max(stall, now - seen);
        [last, seen] = [bytes, now];
      }
    })();
    try {
      await work();
      return { took: performance.now() - began, stall };
    } finally {
      over = true;
      await watching;
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
