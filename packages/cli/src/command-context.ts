import type { Command } from 'commander';
import type { GlobalOptions } from './connection/server-address.ts';
import type { ServerSession } from './connection/server-session.ts';
import type { Terminal } from './output/terminal.ts';

/** What a command works with. */
export interface CommandContext {
  readonly terminal: Terminal;
  readonly environment: NodeJS.ProcessEnv;
  /** Fires when the person wants to stop. */
  readonly signal: AbortSignal;
}

/** Adds one command to the tree. */
export type CommandDefinition = (program: Command, context: CommandContext) => void;

/** The options of a command and those that every command takes. */
export function optionsOf<T extends object = object>(command: Command): GlobalOptions & T {
  return command.optsWithGlobals<GlobalOptions & T>();
}

/** Works with the server that a command's options name. */
export async function onServer<T>(
  command: Command,
  context: CommandContext,
  work: (session: ServerSession) => Promise<T>,
): Promise<T> {
  const [{ findServer }, { withSession }] = await Promise.all([
    import('./connection/server-address.ts'),
    import('./connection/server-session.ts'),
  ]);
  return withSession(await findServer(optionsOf(command), context.environment), work);
}
