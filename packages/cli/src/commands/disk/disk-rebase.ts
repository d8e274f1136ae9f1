import { rebaseDisk } from '@hypostyle/vmdk';
import type { Command } from 'commander';
import { type CommandDefinition, optionsOf } from '../../command-context.ts';
import { withProgress } from '../../disk/disk-progress.ts';
import { outside } from '../../disk/disk-source.ts';
import { CliError } from '../../errors.ts';
import { answer } from '../../output/answer.ts';

interface RebaseOptions {
  readonly parent?: string;
  readonly alone?: boolean;
  readonly unsafe?: boolean;
  readonly allowOutside?: boolean;
}

/** `hypo disk rebase`: another parent, or none. */
export const defineDiskRebase: CommandDefinition = (program, context) => {
  program
    .command('rebase')
    .description('give a disk another parent, with its content kept')
    .argument('<disk>')
    .option('--parent <disk>', 'the new parent')
    .option('--alone', 'no parent: the disk holds everything itself')
    .option('--unsafe', 'write the new name only: for a parent that was moved, or is known to hold the same')
    .option('--allow-outside', 'parents may lie in other folders')
    .addHelpText(
      'after',
      '\nCut off in the middle, it has its old parent and content; the same command finishes it.\n\nExamples:\n  hypo disk rebase web-000002.vmdk --parent web.vmdk\n  hypo disk rebase web-000001.vmdk --alone',
    )
    .action(async (path: string, _options: unknown, command: Command) => {
      const options = optionsOf<RebaseOptions>(command);
      const { parent, alone = false, unsafe = false } = options;
      if ((parent === undefined) !== alone) throw new CliError('usage', 'Say --parent or --alone.');
      const target = parent === undefined ? {} : { parent };
      const mode = unsafe ? 'unsafe' : 'safe';
      await withProgress(context, 'copying', (onProgress) =>
        rebaseDisk({ path, ...target, mode, signal: context.signal, onProgress, ...outside(options) }),
      );
      answer(
        context,
        command,
        { path, parent: parent ?? null },
        `${path}: ${parent ? `on ${parent}` : 'stands alone'}`,
      );
    });
};
