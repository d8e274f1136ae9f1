import { absentGrain, type GrainLayout } from '../disk/grain-map.ts';
import { VmdkError } from '../errors.ts';
import type { FileWindow } from '../file-window.ts';
import { sectorBytes } from '../size.ts';
import type { CheckSparseOptions, ExtentCheck } from './check-sparse.ts';
import { ExtentRoom } from './extent-room.ts';
import type { Findings } from './findings.ts';

/** Checks tables and the places of grains of an extent with one set of tables (COWD, seSparse). */
export async function checkMapped(
  file: FileWindow,
  layout: GrainLayout,
  findings: Findings,
  options: CheckSparseOptions = {},
): Promise<ExtentCheck> {
  const unitBytes = Math.min(layout.grainBytes, sectorBytes);
  const room = new ExtentRoom({ file, findings, unitBytes });
  const total = Math.ceil(layout.capacityBytes / layout.grainBytes);
  const place = (what: () => number | undefined, code: 'table-lost' | 'grain-lost', name: string) => {
    try {
      return what();
    } catch (error) {
      if (!(error instanceof VmdkError)) throw error;
      findings.add(code, file.path, error.message, name);
      return undefined;
    }
  };
  let grains = 0;
  for (let first = 0; first < total; first += layout.entriesPerTable) {
    options.signal?.throwIfAborted();
    const index = first / layout.entriesPerTable;
    const start = place(() => layout.tableAt(index), 'table-lost', `grain table ${index}`);
    options.advance?.(layout.entriesPerTable * layout.grainBytes);
    if (start === undefined) continue;
    if (start + layout.tableBytes > file.bytes) {
      findings.add('table-lost', file.path, `byte ${start} is past the end of the file`, `grain table ${index}`);
      continue;
    }
    room.take(start, layout.tableBytes, `grain table ${index}`);
    const table = await file.read(start, layout.tableBytes);
    for (let entry = 0; entry < layout.entriesPerTable && first + entry < total; entry += 1) {
      const grain = first + entry;
      const position = place(() => layout.grainAt(table, entry), 'grain-lost', `grain ${grain}`) ?? absentGrain;
      if (position < 0) continue;
      const used = Math.min(layout.grainBytes, layout.capacityBytes - grain * layout.grainBytes);
      if (position + used > file.bytes) {
        findings.add('grain-lost', file.path, `byte ${position} is past the end of the file`, `grain ${grain}`);
        continue;
      }
      grains += 1;
      room.take(position, Math.min(layout.grainBytes, file.bytes - position), `grain ${grain}`);
    }
  }
  return { grains, leaks: [] };
}
