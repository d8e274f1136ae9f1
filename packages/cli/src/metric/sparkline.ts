const bars = '▁▂▃▄▅▆▇█';

/** Values as a line of bars, from zero to the greatest; a space where a value is missing. As many as fit, the last ones. */
export function sparkline(values: readonly (number | undefined)[], width: number): string {
  const shown = values.slice(-Math.max(1, width));
  const most = Math.max(0, ...shown.map((value) => value ?? 0));
  return shown
    .map((value) => {
      if (value === undefined) return ' ';
      return bars[most === 0 ? 0 : Math.min(bars.length - 1, Math.floor((value / most) * bars.length))] ?? ' ';
    })
    .join('');
}
