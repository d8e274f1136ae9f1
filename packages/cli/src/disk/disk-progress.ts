import type { CommandContext } from '../command-context.ts';
import { showProgress } from '../output/progress.ts';

/** Time before a bar is shown: what is done sooner needs none. Milliseconds. */
const patience = 1000;

interface Done {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** Runs work on a disk with a bar on the error stream, once it takes longer than a second. */
export async function withProgress<Result>(
  { terminal }: CommandContext,
  label: string,
  work: (onProgress: (done: Done) => void) => Promise<Result>,
): Promise<Result> {
  const started = performance.now();
  let bar: ReturnType<typeof showProgress> | undefined;
  try {
    return await work(({ doneBytes, totalBytes }) => {
      if (bar === undefined && performance.now() - started < patience) return;
      bar ??= showProgress(terminal, label, totalBytes, 'bytes');
      bar.update(doneBytes);
    });
  } finally {
    bar?.end();
  }
}
