import { RawDisk } from '../convert/convert-source.ts';
import { Layer } from '../disk/layer.ts';
import { VmdkError } from '../errors.ts';
import { FileWindow } from '../file-window.ts';
import { FlatExtent } from '../flat/flat-extent.ts';
import { sectorBytes } from '../size.ts';

export interface OpenRawDiskOptions {
  /** Default: read only. */
  readonly writable?: boolean;
}

/** Opens a raw image: its bytes are the disk's. `size-invalid` when its length is no whole number of sectors. */
export async function openRawDisk(path: string, options: OpenRawDiskOptions = {}): Promise<RawDisk> {
  const writable = options.writable ?? false;
  const file = await FileWindow.open(path, { writable });
  try {
    if (file.bytes === 0 || file.bytes % sectorBytes !== 0) {
      const reason = `${file.bytes} bytes are no whole number of sectors of ${sectorBytes}`;
      throw new VmdkError('size-invalid', { file: path, reason });
    }
    const extent = new FlatExtent(file, 0, file.bytes);
    return new RawDisk({ path, layers: [new Layer(path, [{ extent, bytes: file.bytes, access: 'RW' }])], writable });
  } catch (error) {
    await file.close();
    throw error;
  }
}
