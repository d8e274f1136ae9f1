import { describeChain, formatContentId, noParent } from '@hypostyle/vmdk';
import type { Command } from 'commander';
import { type CommandDefinition, optionsOf } from '../../command-context.ts';
import { outside, type SourceOptions, sourceOptions } from '../../disk/disk-source.ts';
import { EarlyEnd } from '../../errors.ts';
import { answer } from '../../output/answer.ts';
import { formatBytes } from '../../output/format.ts';
import { formatTable } from '../../output/table.ts';
import { factsOf, sum } from './disk-info.ts';

/** `hypo disk snapshot-chain`: a disk and what it stands on, and whether that still fits. */
export const defineDiskSnapshotChain: CommandDefinition = (program, context) => {
  sourceOptions(
    program
      .command('snapshot-chain')
      .description('list a disk and its parents, top first, and whether each still is what its child was made on')
      .argument('<disk>'),
  )
    .addHelpText(
      'after',
      '\nEnds with 1 where the chain is broken.\n\nExamples:\n  hypo disk snapshot-chain web-000002.vmdk\n  hypo disk snapshot-chain clone/web.vmdk --allow-outside --json',
    )
    .action(async (path: string, _options: unknown, command: Command) => {
      const { disks, problem } = await describeChain(path, outside(optionsOf<SourceOptions>(command)));
      const value = { disks: disks.map(factsOf), ...(problem === undefined ? {} : { problem: problem.message }) };
      const rows = disks.map((disk, index) => {
        const { descriptor } = disk;
        const expected = disks[index - 1]?.descriptor?.parentContentId;
        const fits = expected === undefined || expected === descriptor?.contentId;
        const missing = disk.extents.find(({ problem: trouble }) => trouble !== undefined);
        const state = [
          ...(fits ? [] : [`changed: its child expects ${formatContentId(expected)}`]),
          ...(disk.unclean ? ['unclean'] : []),
          ...(missing === undefined ? [] : [`${missing.path ?? 'an extent'} ${missing.problem}`]),
        ];
        return [
          `${index}`,
          disk.path,
          disk.kind,
          formatBytes(disk.virtualBytes),
          formatBytes(sum(disk, 'storedBytes')),
          descriptor === undefined ? '' : formatContentId(descriptor.contentId),
          descriptor === undefined || descriptor.parentContentId === noParent
            ? 'none'
            : formatContentId(descriptor.parentContentId),
          state.length === 0 ? 'ok' : state.join('; '),
        ];
      });
      const table = formatTable(['', 'DISK', 'KIND', 'SIZE', 'ON DISK', 'CID', 'PARENT', 'STATE'], rows);
      answer(context, command, value, problem === undefined ? table : `${table}\n\n${problem.message}`);
      const broken = disks.some(({ extents }) => extents.some(({ problem: trouble }) => trouble !== undefined));
      if (problem !== undefined || broken) throw new EarlyEnd(1);
    });
};
