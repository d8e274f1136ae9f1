import { absentGrain, type GrainLayout, zeroGrain } from '../disk/grain-map.ts';
import { MappedExtent } from '../disk/mapped-extent.ts';
import { VmdkError } from '../errors.ts';
import type { FileWindow } from '../file-window.ts';
import { sectorBytes } from '../size.ts';
import {
  checkVolatileHeader,
  parseSesparseHeader,
  type SesparseHeader,
  sesparseGrainSectors,
  sesparseTableEntries,
  sesparseTableSectors,
  sesparseTables,
} from './sesparse-header.ts';

const entryBytes = 8;
const tableBytes = sesparseTableSectors * sectorBytes;
const grainBytes = sesparseGrainSectors * sectorBytes;

/** Constant header of an extent whose journal is replayed; `unclean` when it is not. */
export async function readSesparseHeader(file: FileWindow): Promise<SesparseHeader> {
  if (file.bytes < sectorBytes) {
    throw new VmdkError('truncated', { file: file.path, reason: `${file.bytes} bytes hold no header` });
  }
  const header = parseSesparseHeader(await file.read(0, sectorBytes), file.path);
  checkVolatileHeader(await file.read(header.volatileHeader.offset * sectorBytes, sectorBytes), file.path);
  return header;
}

/** Opens an extent of a seSparse disk. Takes the file over. */
export async function openSesparse(file: FileWindow): Promise<MappedExtent> {
  const header = await readSesparseHeader(file);
  return new MappedExtent(file, sesparseLayout(file, header, await readSesparseDirectory(file, header)));
}

/** The grain directory, as much of it as the capacity needs: at most 32 MiB. */
export async function readSesparseDirectory(file: FileWindow, header: SesparseHeader): Promise<Buffer> {
  const bytes = sesparseTables(header) * entryBytes;
  const start = header.directory.offset * sectorBytes;
  if (start === 0 || start + bytes > file.bytes) {
    const reason = `grain directory of ${bytes} bytes at sector ${header.directory.offset} does not lie within the file`;
    throw new VmdkError('table-invalid', { file: file.path, reason });
  }
  return file.read(start, bytes);
}

/** Where tables and grains of an extent lie. */
export function sesparseLayout(file: FileWindow, header: SesparseHeader, directory: Buffer): GrainLayout {
  const invalid = (reason: string) => new VmdkError('table-invalid', { file: file.path, reason });
  const storedGrains = Math.floor(header.grains.size / sesparseGrainSectors);
  return {
    capacityBytes: header.capacity * sectorBytes,
    grainBytes,
    entriesPerTable: sesparseTableEntries,
    tableBytes,
    tableAt: (index) => {
      const low = directory.readUInt32LE(index * entryBytes);
      const high = directory.readUInt32LE(index * entryBytes + 4);
      if (low === 0 && high === 0) return undefined;
      if (high !== 0x10000000) throw invalid(`grain directory entry ${index} is ${hex(high, low)}`);
      if ((low + 1) * sesparseTableSectors > header.tables.size) throw invalid(`table ${index} is number ${low}`);
      return header.tables.offset * sectorBytes + low * tableBytes;
    },
    grainAt: (table, entry) => {
      const low = table.readUInt32LE(entry * entryBytes);
      const high = table.readUInt32LE(entry * entryBytes + 4);
      const type = high >>> 28;
      if (type === 0 && high === 0 && low === 0) return absentGrain;
      // Unmapped by the guest, or written with zeros.
      if (type === 1 || type === 2) return zeroGrain;
      if (type !== 3) throw invalid(`grain table entry ${entry} is ${hex(high, low)}`);
      // The number's low 12 bits stand above the other 48.
      const number = ((high & 0xffff) * 2 ** 32 + low) * 4096 + ((high >>> 16) & 0xfff);
      if (number >= storedGrains) throw invalid(`grain table entry ${entry} names grain ${number} of ${storedGrains}`);
      return header.grains.offset * sectorBytes + number * grainBytes;
    },
  };
}

function hex(high: number, low: number): string {
  return `0x${high.toString(16).padStart(8, '0')}${low.toString(16).padStart(8, '0')}`;
}
