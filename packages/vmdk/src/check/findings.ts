import type { RepairOptions } from './repair-options.ts';

/** How much a finding matters. Of an `error` data is lost, wrong or not to be read. */
export type Severity = 'note' | 'warning' | 'error';

interface FindingKind {
  readonly severity: Severity;
  /** `safe`: repaired without being asked. An option's name: repaired when that is set. `no`: not by machine. */
  readonly repair: 'safe' | 'no' | keyof RepairOptions;
  readonly words: string;
}

/** Everything that a check finds. */
export const findingKinds = {
  unreadable: { severity: 'error', repair: 'no', words: 'cannot be read' },
  'extent-missing': { severity: 'error', repair: 'no', words: 'an extent is missing' },
  'extent-short': { severity: 'error', repair: 'matchExtents', words: 'an extent is shorter than its descriptor says' },
  'extent-long': { severity: 'warning', repair: 'matchExtents', words: 'an extent is longer than its descriptor says' },
  'name-differs': { severity: 'note', repair: 'safe', words: 'the descriptor inside names another file' },
  'chain-cycle': { severity: 'error', repair: 'no', words: 'a disk is its own ancestor' },
  'parent-missing': { severity: 'error', repair: 'no', words: 'the parent cannot be found' },
  'parent-changed': {
    severity: 'error',
    repair: 'acceptParent',
    words: 'the parent was written to after this disk was made',
  },
  'parent-larger': { severity: 'warning', repair: 'no', words: 'the parent is larger' },
  unclean: { severity: 'warning', repair: 'safe', words: 'its last writer did not close it' },
  'journal-waiting': { severity: 'error', repair: 'no', words: 'its journal is not replayed' },
  'directory-damaged': { severity: 'error', repair: 'safe', words: 'a grain directory is damaged, its copy is whole' },
  'table-damaged': { severity: 'error', repair: 'safe', words: 'a grain table is damaged, its copy is whole' },
  'copy-damaged': { severity: 'warning', repair: 'safe', words: 'the redundant copy of a grain table is damaged' },
  'copies-differ': { severity: 'warning', repair: 'safe', words: 'only one of two grain tables lists a grain' },
  'copies-conflict': { severity: 'error', repair: 'no', words: 'two grain tables place a grain differently' },
  'table-lost': { severity: 'error', repair: 'no', words: 'a grain table is lost' },
  'grain-lost': { severity: 'error', repair: 'no', words: 'the place of a grain is lost' },
  'grain-cut': { severity: 'error', repair: 'no', words: 'the file ends within a grain' },
  'grain-overlap': { severity: 'error', repair: 'no', words: 'a grain lies where something else lies' },
  'grain-corrupt': { severity: 'error', repair: 'no', words: 'a compressed grain is damaged' },
  'grains-leaked': { severity: 'warning', repair: 'safe', words: 'room is taken that nothing refers to' },
  'overlaps-unchecked': { severity: 'note', repair: 'no', words: 'overlaps were not looked for' },
  'stream-unfinished': { severity: 'error', repair: 'safe', words: 'the stream ends without its tables or footer' },
  'stream-cut': { severity: 'error', repair: 'acceptLoss', words: 'the stream was cut off' },
  'stream-damaged': { severity: 'error', repair: 'no', words: 'the stream is damaged within' },
} as const satisfies Readonly<Record<string, FindingKind>>;

export type FindingCode = keyof typeof findingKinds;

/** One thing that is not as it should be. */
export interface Finding {
  readonly code: FindingCode;
  readonly severity: Severity;
  /** File that it is in. */
  readonly file: string;
  /** Where in it, such as `grain 17` or `line 9`. */
  readonly place?: string;
  readonly message: string;
  readonly repair: FindingKind['repair'];
  /** How many alike there are in this file, this one counted; only the first few of them are listed. */
  readonly count: number;
}

/** Findings of one kind in one file that are listed one by one. */
const listedEach = 8;

/** Collects findings; of many alike it keeps the first and counts the rest. */
export class Findings {
  readonly #lists = new Map<string, { listed: Finding[]; count: number }>();

  /** With `keep` it is not repaired, whatever is said of its kind. */
  add(code: FindingCode, file: string, reason: string, place?: string, { keep = false } = {}): void {
    const key = `${code}\n${file}`;
    const list = this.#lists.get(key) ?? { listed: [], count: 0 };
    this.#lists.set(key, list);
    list.count += 1;
    if (list.listed.length >= listedEach) return;
    const { severity, words } = findingKinds[code];
    const repair = keep ? 'no' : findingKinds[code].repair;
    const message = `${file}${place === undefined ? '' : ` (${place})`}: ${words}: ${reason}`;
    list.listed.push({ code, severity, file, ...(place === undefined ? {} : { place }), message, repair, count: 1 });
  }

  /** Whether there is any of these in a file. */
  has(file: string, ...codes: readonly FindingCode[]): boolean {
    return codes.some((code) => this.#lists.has(`${code}\n${file}`));
  }

  list(): Finding[] {
    return [...this.#lists.values()].flatMap(({ listed, count }) => listed.map((finding) => ({ ...finding, count })));
  }
}
