import type { Command } from 'commander';
import { type CommandDefinition, onServer, optionsOf } from '../../command-context.ts';
import { reachTransfer } from '../../connection/reach-transfer.ts';
import { attachSerial } from '../../console/serial-console.ts';
import { CliError } from '../../errors.ts';
import { findMachine } from '../../inventory/find-object.ts';
import { withName } from '../../inventory/run-task.ts';
import { note } from '../../output/terminal.ts';

/** `hypo console`: a machine's serial port in the terminal. */
export const defineConsole: CommandDefinition = (program, context) => {
  program
    .command('console')
    .description("join a machine's serial console; Ctrl-] leaves")
    .argument('<machine>', 'name, path or id')
    .option('--follow', 'with a piped input: stay after its end')
    .addHelpText(
      'after',
      `
Examples:
  hypo console web
  echo 'uname -a' | hypo console web
  hypo console web --follow </dev/null >console.txt`,
    )
    .action(async (name: string, _options: unknown, command: Command) => {
      const { follow = false } = optionsOf<{ follow?: boolean }>(command);
      const { terminal, signal } = context;
      await onServer(command, context, async (session) => {
        const machine = await findMachine(session, name);
        const ticket = await session.client
          .call(machine.ref, 'AcquireTicket', { ticketType: 'serial' })
          .catch((error: unknown) => {
            throw withName(machine.name, error);
          });
        if (ticket.url === undefined) throw new CliError('failed', 'The server gives no address of the console.');
        const { url, tls } = await reachTransfer(session, ticket.url, ticket.sslThumbprint);
        if (terminal.input.isTTY) note(terminal, `Console of ${machine.name}; Ctrl-] leaves.`);
        await attachSerial({ url, tls, terminal, signal, follow });
        if (terminal.input.isTTY) note(terminal, '');
      });
    });
};
