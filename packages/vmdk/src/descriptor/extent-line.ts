import { VmdkError } from '../errors.ts';
import { maximumVirtualBytes, sectorBytes } from '../size.ts';

/** One line of a descriptor's extent list. */
export interface ExtentDescription {
  readonly access: 'RW' | 'RDONLY' | 'NOACCESS';
  readonly sectors: number;
  /** `FLAT`, `SPARSE`, `ZERO`, `VMFS`, `VMFSSPARSE`, `SESPARSE`, `VMFSRDM`, `VMFSRAW` or another maker's word. */
  readonly type: string;
  /** File name as written; none for `ZERO`. */
  readonly file?: string;
  /** First sector within the file, flat extents only. */
  readonly offset?: number;
}

/** Reads an extent line; undefined when the line is something else, `descriptor-invalid` when it is a broken one. */
export function parseExtentLine(line: string, file: string, number: number): ExtentDescription | undefined {
  const text = line.trim();
  const access = /^(RW|RDONLY|NOACCESS)[ \t]/.exec(text)?.[1] as ExtentDescription['access'] | undefined;
  if (!access) return undefined;
  const fail = (reason: string) => new VmdkError('descriptor-invalid', { file, place: `line ${number}`, reason });
  const quote = text.indexOf('"');
  const head = (quote < 0 ? text : text.slice(0, quote)).trim().split(/[ \t]+/);
  const [, sectorText, type] = head;
  const sectors = parseSectors(sectorText);
  if (sectors === undefined || sectors === 0) throw fail(`extent of "${sectorText}" sectors`);
  if (!type || head.length !== 3 || !/^[A-Z0-9_]{1,32}$/.test(type)) throw fail('extent has no type');
  if (quote < 0) {
    if (type !== 'ZERO') throw fail('extent names no file');
    return { access, sectors, type };
  }
  const end = text.lastIndexOf('"');
  const name = text.slice(quote + 1, end);
  if (end === quote || name === '') throw fail('extent names no file');
  const offsetText = text
    .slice(end + 1)
    .trim()
    .split(/[ \t]+/)[0];
  if (!offsetText) return { access, sectors, type, file: name };
  const offset = parseSectors(offsetText);
  if (offset === undefined) throw fail(`extent offset "${offsetText}"`);
  return { access, sectors, type, file: name, offset };
}

export function formatExtentLine(extent: ExtentDescription): string {
  const name = extent.file === undefined ? '' : ` "${extent.file}"`;
  const offset = extent.offset === undefined ? '' : ` ${extent.offset}`;
  return `${extent.access} ${extent.sectors} ${extent.type}${name}${offset}`;
}

function parseSectors(text: string | undefined): number | undefined {
  if (!text || !/^\d{1,16}$/.test(text)) return undefined;
  const sectors = Number(text);
  return sectors * sectorBytes <= maximumVirtualBytes ? sectors : undefined;
}
