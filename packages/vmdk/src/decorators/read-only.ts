import type { Disk } from '../disk/disk.ts';
import { VmdkError } from '../errors.ts';
import { ForwardingDisk } from './forwarding-disk.ts';

/** The disk without its writes: they fail with `read-only`. Closing closes the disk. */
export function readOnly(disk: Disk): Disk {
  return new ReadOnlyDisk(disk, { writable: false });
}

class ReadOnlyDisk extends ForwardingDisk {
  override async write(): Promise<void> {
    throw new VmdkError('read-only', { file: this.path, reason: 'it is handed out for reading' });
  }

  override async flush(): Promise<void> {}
}
