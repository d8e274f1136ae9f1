import { abandonOperation } from '@hypostyle/vmdk';
import type { Command } from 'commander';
import { type CommandDefinition, optionsOf } from '../../command-context.ts';
import { outside } from '../../disk/disk-source.ts';
import { CliError } from '../../errors.ts';
import { answer } from '../../output/answer.ts';

interface AbandonOptions {
  readonly acceptLoss?: boolean;
  readonly allowOutside?: boolean;
}

/** `hypo disk abandon`: an operation that was cut off and cannot be finished. */
export const defineDiskAbandon: CommandDefinition = (program, context) => {
  program
    .command('abandon')
    .description('give up an operation that was cut off and cannot be finished')
    .argument('<disk>', 'the disk that it was begun on; its file may be gone')
    .option('--accept-loss', 'though something is lost by it')
    .option('--allow-outside', 'parents may lie in other folders')
    .addHelpText(
      'after',
      `
For a commit, rebase, consolidation or resize one of whose files is gone: where all are there, run it again instead. What
would be lost is said, and nothing is done, until --accept-loss.

Examples:
  hypo disk abandon web-000001.vmdk
  hypo disk abandon web-000001.vmdk --accept-loss`,
    )
    .action(async (path: string, _options: unknown, command: Command) => {
      const options = optionsOf<AbandonOptions>(command);
      const { acceptLoss = false } = options;
      const abandoned = await abandonOperation({ path, acceptLoss, ...outside(options) });
      if (abandoned === undefined) throw new CliError('not-found', `No operation on ${path} was cut off.`);
      const lost = abandoned.losses.map(({ file, what }) => `\nlost: ${what} (${file})`).join('');
      answer(context, command, abandoned, `${path}: its ${abandoned.operation} is given up${lost}`);
    });
};
