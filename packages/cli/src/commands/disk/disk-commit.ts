import { commitDisk } from '@hypostyle/vmdk';
import type { Command } from 'commander';
import { type CommandDefinition, optionsOf } from '../../command-context.ts';
import { type ChainOptions, chainOptions, mergeOptions } from '../../disk/chain-options.ts';
import { withProgress } from '../../disk/disk-progress.ts';
import { answer } from '../../output/answer.ts';

/** `hypo disk commit`: the last disk of a chain into its parent. */
export const defineDiskCommit: CommandDefinition = (program, context) => {
  chainOptions(
    program
      .command('commit')
      .description('merge the last disk of a chain into its parent, and remove it')
      .argument('<disk>'),
  )
    .addHelpText(
      'after',
      `
No disk may be made on it, and on its parent no other. Cut off in the middle, the chain reads the same; the same command
finishes it.

Example:
  hypo disk commit web-000001.vmdk`,
    )
    .action(async (path: string, _options: unknown, command: Command) => {
      const merging = mergeOptions(context, optionsOf<ChainOptions>(command));
      const into = await withProgress(context, 'merging', (onProgress) => commitDisk({ path, ...merging, onProgress }));
      answer(context, command, { into }, `${path}: merged into ${into}`);
    });
};
