import { checkDisk, type DiskCheck } from '@hypostyle/vmdk';
import type { Command } from 'commander';
import { type CommandDefinition, optionsOf } from '../../command-context.ts';
import { checkLines } from '../../disk/check-lines.ts';
import { withProgress } from '../../disk/disk-progress.ts';
import { outside } from '../../disk/disk-source.ts';
import { EarlyEnd } from '../../errors.ts';
import { describeFailure } from '../../failure.ts';
import { answer } from '../../output/answer.ts';
import { note } from '../../output/terminal.ts';

/** `hypo disk check`: whether a disk and its parents are sound. */
export const defineDiskCheck: CommandDefinition = (program, context) => {
  program
    .command('check')
    .description('check a VMDK and its parents: descriptors, tables, grains, the chain; nothing is changed')
    .argument('<disk...>')
    .option('--quick', 'do not expand compressed grains, which reads all of the file')
    .option('--allow-outside', "open parents and extents outside the disk's own folder")
    .addHelpText(
      'after',
      `
Ends with 0 where all are sound, 1 where one is not, 2 where one could not be checked.

Examples:
  hypo disk check web.vmdk
  hypo disk check *.vmdk --quick --json`,
    )
    .action(async (paths: readonly string[], _options: unknown, command: Command) => {
      const options = optionsOf<{ quick?: boolean; allowOutside?: boolean }>(command);
      const checks: DiskCheck[] = [];
      let failed = false;
      for (const path of paths) {
        try {
          const check = await withProgress(context, 'checking', (onProgress) =>
            checkDisk(path, {
              expandGrains: !options.quick,
              signal: context.signal,
              onProgress,
              ...outside(options),
            }),
          );
          checks.push(check);
        } catch (error) {
          if (context.signal.aborted) throw error;
          failed = true;
          note(context.terminal, `hypo: ${(await describeFailure(error)).message}`);
        }
      }
      answer(context, command, checks, checks.map(checkLines).join('\n'));
      if (failed) throw new EarlyEnd(2);
      if (checks.some(({ sound }) => !sound)) throw new EarlyEnd(1);
    });
};
