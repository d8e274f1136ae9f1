import { repairDisk } from '@hypostyle/vmdk';
import type { Command } from 'commander';
import { type CommandDefinition, optionsOf } from '../../command-context.ts';
import { checkLines } from '../../disk/check-lines.ts';
import { withProgress } from '../../disk/disk-progress.ts';
import { outside } from '../../disk/disk-source.ts';
import { EarlyEnd } from '../../errors.ts';
import { answer } from '../../output/answer.ts';
import { printable } from '../../output/table.ts';

interface RepairCommandOptions {
  readonly matchExtents?: boolean;
  readonly acceptParent?: boolean;
  readonly acceptLoss?: boolean;
  readonly allowOutside?: boolean;
}

/** `hypo disk repair`: what is safe to repair, and what the options allow. */
export const defineDiskRepair: CommandDefinition = (program, context) => {
  program
    .command('repair')
    .description('repair what is safe to repair of a VMDK, and what the options allow; its parents are left alone')
    .argument('<disk>')
    .option('--match-extents', "make the descriptor's sizes those of its extents")
    .option('--accept-parent', 'take the parent as it is now, though it was written; what the disk reads may change')
    .option('--accept-loss', 'finish a stream that was cut off; what is lost reads as zeros')
    .option('--allow-outside', "open parents and extents outside the disk's own folder")
    .addHelpText(
      'after',
      `
Nobody may have the disk open. Ends with 0 where it is sound afterwards, with 1 where it is not.

Examples:
  hypo disk repair web.vmdk
  hypo disk repair cut-off.vmdk --accept-loss`,
    )
    .action(async (path: string, _options: unknown, command: Command) => {
      const {
        matchExtents = false,
        acceptParent = false,
        acceptLoss = false,
        ...options
      } = optionsOf<RepairCommandOptions>(command);
      const { before, actions, after } = await withProgress(context, 'repairing', (onProgress) =>
        repairDisk(path, {
          matchExtents,
          acceptParent,
          acceptLoss,
          signal: context.signal,
          onProgress,
          ...outside(options),
        }),
      );
      const done = actions.map(({ file, message }) => `  ${printable(file)}: ${printable(message)}`);
      const repaired = done.length === 0 ? ['Nothing was repaired.'] : ['Repaired:', ...done];
      answer(context, command, { before, actions, after }, [...repaired, checkLines(after)].join('\n'));
      if (!after.sound) throw new EarlyEnd(1);
    });
};
