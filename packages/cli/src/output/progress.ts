import { type Options, Presets, SingleBar } from 'cli-progress';
import { formatBytes } from './format.ts';
import type { Terminal } from './terminal.ts';

/** Tells how far a work is. */
export interface Progress {
  /** Bytes, or percent where the total is 100. */
  update(done: number, label?: string): void;
  end(): void;
}

const silent: Progress = { update: () => {}, end: () => {} };

/** A bar on the error stream when that is a terminal; nothing otherwise. */
export function showProgress(terminal: Terminal, label: string, total: number, unit: 'bytes' | 'percent'): Progress {
  if (!terminal.errors.isTTY || total <= 0) return silent;
  const shown = unit === 'bytes' ? formatBytes : (value: number) => `${Math.round(value)}`;
  const bar = new SingleBar(
    {
      stream: terminal.errors as NodeJS.WritableStream,
      format:
        unit === 'bytes'
          ? '{label} {bar} {percentage}%  {done} of {all}  {eta_formatted}'
          : '{label} {bar} {percentage}%',
      hideCursor: true,
      clearOnComplete: false,
      barsize: 30,
    } as Options,
    Presets.shades_classic,
  );
  let begun = false;
  return {
    update: (done, newLabel = label) => {
      const value = Math.min(done, total);
      // Work that is done at once shows no bar.
      if (!begun) bar.start(total, 0, { label: newLabel, done: shown(0), all: shown(total) });
      begun = true;
      bar.update(value, { label: newLabel, done: shown(value) });
    },
    end: () => {
      if (begun) bar.stop();
    },
  };
}
