import { absentGrain, type GrainLayout } from '../disk/grain-map.ts';
import { MappedExtent } from '../disk/mapped-extent.ts';
import { VmdkError } from '../errors.ts';
import type { FileWindow } from '../file-window.ts';
import { sectorBytes } from '../size.ts';
import { type CowdHeader, cowdHeaderBytes, cowdTableEntries, cowdTables, parseCowdHeader } from './cowd-header.ts';

const entryBytes = 4;

export async function readCowdHeader(file: FileWindow): Promise<CowdHeader> {
  if (file.bytes < cowdHeaderBytes) {
    throw new VmdkError('truncated', { file: file.path, reason: `${file.bytes} bytes hold no header` });
  }
  return parseCowdHeader(await file.read(0, cowdHeaderBytes), file.path);
}

/** Opens an extent of a vmfsSparse disk. Takes the file over. */
export async function openCowd(file: FileWindow): Promise<MappedExtent> {
  const header = await readCowdHeader(file);
  return new MappedExtent(file, cowdLayout(file, header, await readCowdDirectory(file, header)));
}

/** The grain directory, as much of it as the capacity needs: at most 4 MiB. */
export async function readCowdDirectory(file: FileWindow, header: CowdHeader): Promise<Buffer> {
  const bytes = cowdTables(header) * entryBytes;
  const start = header.directoryOffset * sectorBytes;
  if (start + bytes > file.bytes) {
    const reason = `grain directory of ${bytes} bytes at sector ${header.directoryOffset} does not lie within the file`;
    throw new VmdkError('table-invalid', { file: file.path, reason });
  }
  return file.read(start, bytes);
}

/** Where tables and grains of an extent lie. */
export function cowdLayout(file: FileWindow, header: CowdHeader, directory: Buffer): GrainLayout {
  const invalid = (reason: string) => new VmdkError('table-invalid', { file: file.path, reason });
  const check = (sector: number, what: string) => {
    if (sector * sectorBytes < cowdHeaderBytes) throw invalid(`${what} at sector ${sector} lies within the header`);
    return sector * sectorBytes;
  };
  return {
    capacityBytes: header.capacity * sectorBytes,
    grainBytes: header.grainSectors * sectorBytes,
    entriesPerTable: cowdTableEntries,
    tableBytes: cowdTableEntries * entryBytes,
    tableAt: (index) => {
      const sector = directory.readUInt32LE(index * entryBytes);
      return sector === 0 ? undefined : check(sector, `table ${index}`);
    },
    grainAt: (table, entry) => {
      const sector = table.readUInt32LE(entry * entryBytes);
      return sector === 0 ? absentGrain : check(sector, 'a grain');
    },
  };
}
