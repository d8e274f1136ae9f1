import type { Command } from 'commander';
import { type CommandContext, onServer, optionsOf } from '../../command-context.ts';
import { findMachine } from '../../inventory/find-object.ts';
import { waitForAddress } from '../../inventory/wait-for-address.ts';
import { answer } from '../../output/answer.ts';
import { seconds } from './power.ts';

/** `hypo vm ip`: the address of a guest, as soon as it tells one. */
export function defineIp(vm: Command, context: CommandContext): void {
  vm.command('ip')
    .description("wait for the address of a machine's guest, and print it")
    .argument('<machine>', 'name, path or id of the machine')
    .option('--timeout <seconds>', 'how long to wait', seconds, 300)
    .addHelpText('after', '\nExamples:\n  hypo vm ip web\n  ssh root@$(hypo vm ip web --timeout 60)')
    .action(async (machine: string, _options: unknown, command: Command) => {
      const { timeout } = optionsOf<{ timeout: number }>(command);
      const told = await onServer(command, context, async (session) => {
        const { ref, name } = await findMachine(session, machine);
        return { name, ip: await waitForAddress(session, ref, name, timeout, context.signal) };
      });
      answer(context, command, told, told.ip);
    });
}
