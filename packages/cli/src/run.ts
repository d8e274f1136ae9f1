import { CommanderError } from 'commander';
import type { CommandContext } from './command-context.ts';
import { EarlyEnd, exitCodes } from './errors.ts';
import { describeFailure } from './failure.ts';
import { note } from './output/terminal.ts';
import { makeProgram } from './program.ts';

/** Runs one command line; answers the exit code. Everything that fails is told on the error stream. */
export async function run(args: readonly string[], context: CommandContext): Promise<number> {
  try {
    await (await makeProgram(context, args)).parseAsync(args, { from: 'user' });
    return exitCodes.ok;
  } catch (error) {
    // Commander has told what it refuses.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    if (error instanceof EarlyEnd) return error.exitCode;
    if (context.signal.aborted && error === context.signal.reason) return 130;
    const { kind, message, next } = await describeFailure(error);
    note(context.terminal, `hypo: ${message}${next === undefined ? '' : `\n${next}`}`);
    return exitCodes[kind];
  }
}
