import { homeAt } from '@hypostyle/server';
import type { Command } from 'commander';
import { type CommandContext, optionsOf } from '../command-context.ts';
import { homePath } from '../connection/server-address.ts';
import { print, printJson } from '../output/terminal.ts';
import { stopDaemon } from './stop-daemon.ts';

/** Makes a command end what runs for the home folder, and say so; `what` names it where nothing runs. */
export function addStopAction(command: Command, context: CommandContext, what: string): void {
  command.action(async (_options: unknown, stop: Command) => {
    const options = optionsOf(stop);
    const home = homeAt(homePath(options, context.environment));
    const pid = await stopDaemon(home, context.signal);
    if (options.json)
      printJson(context.terminal, { stopped: pid !== undefined, ...(pid === undefined ? {} : { pid }) });
    else if (pid === undefined) print(context.terminal, `${what} runs for ${home.directory}.`);
    else print(context.terminal, `Stopped (process ${pid}). Machines run on.`);
  });
}
