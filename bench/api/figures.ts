/** One line of the table. */
export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly value: number;
  readonly better: 'less' | 'more';
  readonly aim?: number;
  /** The same of vcsim, where there is such a thing. */
  readonly vcsim?: number;
}

/** How many times better than vcsim. */
export function ratio({ value, vcsim, better }: Figure): number | undefined {
  if (vcsim === undefined) return undefined;
  return better === 'less' ? vcsim / value : value / vcsim;
}

export function meetsAim({ value, aim, better }: Figure): boolean | undefined {
  if (aim === undefined) return undefined;
  return better === 'less' ? value <= aim : value >= aim;
}

/** The figures as a table for people. */
export function table(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => {
    const { name, unit, value, aim, vcsim } = figure;
    const times = ratio(figure);
    return [
      name,
      `${number(value)} ${unit}`,
      aim === undefined ? '' : `${number(aim)}${meetsAim(figure) ? '' : ' missed'}`,
      vcsim === undefined ? '' : number(vcsim),
      times === undefined ? '' : `${number(times)}x`,
    ];
  });
  const all = [['', 'hypostyle', 'aim', 'vcsim', 'better'], ...rows];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function number(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString('en-US', { maximumFractionDigits: digits });
}
