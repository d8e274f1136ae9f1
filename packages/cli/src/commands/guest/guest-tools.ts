import type { Command } from 'commander';
import { type CommandContext, onServer, optionsOf } from '../../command-context.ts';
import { CliError } from '../../errors.ts';
import { findMachine } from '../../inventory/find-object.ts';
import { answer } from '../../output/answer.ts';

/** `hypo guest tools`. */
export function defineGuestTools(guest: Command, context: CommandContext): void {
  guest
    .command('tools')
    .description('put the disc that installs the guest agent into machines that run, or take it out')
    .argument('<machine...>', 'name, path or id of the machine')
    .option('--mount', 'into a CD-ROM drive; as root, mount it in the guest and run install.sh')
    .option('--unmount', 'out of the drive, which gets back what it had')
    .addHelpText('after', '\nExamples:\n  hypo guest tools --mount web\n  hypo guest tools --unmount web')
    .action(async (names: string[], _options: unknown, command: Command) => {
      const { mount = false, unmount = false } = optionsOf<{ mount?: boolean; unmount?: boolean }>(command);
      if (mount === unmount) throw new CliError('usage', 'Say --mount or --unmount.');
      await onServer(command, context, async (session) => {
        for (const name of names) {
          const { ref } = await findMachine(session, name);
          await session.client.call(ref, mount ? 'MountToolsInstaller' : 'UnmountToolsInstaller', {});
        }
      });
      const lines = names.map((name) => `${name}: the disc with the tools is ${mount ? 'in its drive' : 'out'}`);
      answer(context, command, { machines: names, mounted: mount }, lines.join('\n'));
    });
}
