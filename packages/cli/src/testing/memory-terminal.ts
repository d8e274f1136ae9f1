import { PassThrough, Readable } from 'node:stream';
import type { CommandContext } from '../command-context.ts';

/** A command's surroundings in memory, and what it wrote there. */
export function memoryContext(environment: NodeJS.ProcessEnv = {}) {
  const output = new PassThrough();
  const errors = new PassThrough();
  const context: CommandContext = {
    terminal: { input: Readable.from([]), output, errors },
    environment,
    signal: new AbortController().signal,
  };
  const textOf = (stream: PassThrough) => String(stream.read() ?? '');
  return { context, output: () => textOf(output), errors: () => textOf(errors) };
}
