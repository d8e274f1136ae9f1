import { consolidateDisk } from '@hypostyle/vmdk';
import { type Command, Option } from 'commander';
import { type CommandDefinition, optionsOf } from '../../command-context.ts';
import { type ChainOptions, chainOptions, mergeOptions } from '../../disk/chain-options.ts';
import { withProgress } from '../../disk/disk-progress.ts';
import { answer } from '../../output/answer.ts';

/** `hypo disk consolidate`: a disk in the middle of a chain goes, and its data does not. */
export const defineDiskConsolidate: CommandDefinition = (program, context) => {
  chainOptions(
    program
      .command('consolidate')
      .description('take a disk out of the middle of a chain, with all content kept')
      .argument('<disk>'),
  )
    .addOption(
      new Option('--into <where>', 'into every disk that is made on it, or into its parent')
        .choices(['child', 'parent'])
        .default('child'),
    )
    .addHelpText(
      'after',
      '\nCut off in the middle, all disks read the same; the same command finishes it.\n\nExamples:\n  hypo disk consolidate web-000001.vmdk\n  hypo disk consolidate web-000001.vmdk --into parent',
    )
    .action(async (path: string, _options: unknown, command: Command) => {
      const options = optionsOf<ChainOptions & { into: 'child' | 'parent' }>(command);
      const { into } = options;
      const merging = mergeOptions(context, options);
      await withProgress(context, 'merging', (onProgress) => consolidateDisk({ path, into, ...merging, onProgress }));
      const where = into === 'child' ? 'the disks that were made on it' : 'its parent';
      answer(context, command, { path, into }, `${path}: merged into ${where}, and removed`);
    });
};
