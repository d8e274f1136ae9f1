import { type ListenAddress, parseListenAddress } from '@hypostyle/server';
import type { Command } from 'commander';
import { type CommandContext, optionsOf } from '../command-context.ts';
import { CliError } from '../errors.ts';

const logLevels = ['debug', 'info', 'warn', 'error'] as const;

/** Options of the commands that start a server, `hypo up` and `hypo host`. */
export interface DaemonOptions {
  readonly listen: string;
  readonly readyFile?: string;
  readonly detach?: boolean;
  readonly nbdListen?: string;
  readonly logLevel: (typeof logLevels)[number];
}

/** Declares where a server listens; `what` answers there. */
export function addListenOption(command: Command, context: CommandContext, what: string): Command {
  const usual = context.environment.HYPOSTYLE_LISTEN || '127.0.0.1:8443';
  return command.option('--listen <host:port>', `where the ${what} answers`, usual);
}

/** Declares the other options of a server that is started. */
export function addDaemonOptions(command: Command): Command {
  return command
    .option('--ready-file <file>', 'write address, user, password and pid there as JSON once it answers')
    .option('--nbd-listen <host:port>', 'where disks are exported over NBD; any free port beside --listen unless told')
    .option('--detach', 'start it in the background and wait until it answers')
    .option('--log-level <level>', 'least severe line of the log: debug, info, warn or error', 'info');
}

/** The options as they were given. Throws a usage error for an unknown level of the log. */
export function daemonOptionsOf<T extends DaemonOptions>(command: Command) {
  const options = optionsOf<T>(command);
  if (logLevels.includes(options.logLevel)) return options;
  throw new CliError('usage', `'${options.logLevel}' is no log level.`, { next: 'Use debug, info, warn or error.' });
}

/** Where disks are exported over NBD, where that was said. */
export function nbdListenOf({ nbdListen }: DaemonOptions): { readonly nbdListen?: ListenAddress } {
  return nbdListen === undefined ? {} : { nbdListen: parseListenAddress(nbdListen) };
}
