import type { DiskCheck } from '@hypostyle/vmdk';
import { printable } from '../output/table.ts';

/** How each finding is repaired. */
const repairs: Readonly<Record<string, string>> = {
  safe: "'hypo disk repair' repairs it",
  matchExtents: "'hypo disk repair --match-extents'",
  acceptParent: "'hypo disk repair --accept-parent'",
  acceptLoss: "'hypo disk repair --accept-loss'",
};

/** What a check found, for people. */
export function checkLines({ path, sound, findings }: DiskCheck): string {
  if (findings.length === 0) return `${path}: sound`;
  const lines = findings.map(({ severity, message, repair, count }) => {
    const more = count > 1 ? `, ${count} alike` : '';
    const way = repairs[repair] === undefined ? '' : `; ${repairs[repair]}`;
    return `  ${severity}: ${printable(message)}${more}${way}`;
  });
  return [`${path}: ${sound ? 'sound, but' : 'not sound'}`, ...lines].join('\n');
}
