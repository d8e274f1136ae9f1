import { type Progress, showProgress } from '../output/progress.ts';
import type { Terminal } from '../output/terminal.ts';

/** A bar for work that says its total as it goes. */
export function workProgress(terminal: Terminal, label: string) {
  let bar: Progress | undefined;
  let total = 0;
  return {
    onProgress: ({ doneBytes, totalBytes }: { readonly doneBytes: number; readonly totalBytes: number }): void => {
      // What passes by once has no total: a bar would always be full.
      if (totalBytes === doneBytes && bar === undefined) return;
      if (bar === undefined || totalBytes > total) {
        bar?.end();
        bar = showProgress(terminal, label, totalBytes, 'bytes');
        total = totalBytes;
      }
      bar.update(doneBytes);
    },
    end: (): void => bar?.end(),
  };
}
