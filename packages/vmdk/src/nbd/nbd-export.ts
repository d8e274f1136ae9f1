import type { Disk } from '../disk/disk.ts';
import type { ChangeMap } from './change-map.ts';
import { allocationContext, bitmapContextPrefix, transmissionFlags } from './protocol.ts';

/** A disk as a server shows it. The disk stays the caller's: it is open as long as it is exported. */
export interface NbdExport {
  readonly disk: Disk;
  /** What it is, in a few words. */
  readonly description?: string;
  /** Default: false. The disk has to be open for writing as well. */
  readonly writable?: boolean;
  /** What changed since when. */
  readonly changeMaps?: readonly ChangeMap[];
}

/** Which exports a server has. */
export interface NbdExports {
  /** The export of that name. */
  find(name: string): NbdExport | undefined | Promise<NbdExport | undefined>;
  /** Names that anybody may know. Default: none. */
  list?(): readonly string[];
}

/** A context of an export: the number under which it is told, and which it is. */
export interface ExportContext {
  readonly number: number;
  readonly name: string;
  /** None for `base:allocation`. */
  readonly changeMap?: ChangeMap;
}

export function contextsOf({ changeMaps = [] }: NbdExport): readonly ExportContext[] {
  const maps = changeMaps.map((changeMap, index) => ({
    number: index + 2,
    name: `${bitmapContextPrefix}${changeMap.name}`,
    changeMap,
  }));
  return [{ number: 1, name: allocationContext }, ...maps];
}

export function isWritable({ disk, writable = false }: NbdExport): boolean {
  return writable && disk.writable;
}

/** Transmission flags. */
export function flagsOf(exported: NbdExport, structured: boolean): number {
  const flags = transmissionFlags;
  const df = structured ? flags.sendDf : 0;
  // What one connection writes is not promised to another before a flush, so writers get one view only.
  if (!isWritable(exported)) return flags.hasFlags | flags.readOnly | flags.canMultiConnection | df;
  const trim = exported.disk.trim === undefined ? 0 : flags.sendTrim;
  return flags.hasFlags | flags.sendFlush | flags.sendFua | flags.sendWriteZeroes | trim | df;
}
