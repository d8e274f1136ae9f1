import { describeChain, resizeDisk } from '@hypostyle/vmdk';
import type { Command } from 'commander';
import { type CommandDefinition, optionsOf } from '../../command-context.ts';
import { exactBytes, parseByteSize } from '../../disk/byte-size.ts';
import { type ChainOptions, chainOptions, mergeOptions } from '../../disk/chain-options.ts';
import { withProgress } from '../../disk/disk-progress.ts';
import { outside } from '../../disk/disk-source.ts';
import { CliError } from '../../errors.ts';
import { answer } from '../../output/answer.ts';

const ways = {
  grow: {
    does: 'give a disk more capacity, in place; what is added reads as zeros and takes no room',
    example: 'hypo disk grow web.vmdk 80G\n  hypo disk grow web.vmdk +10G',
    wrong: (now: number, wanted: number) => wanted < now,
    other: "'hypo disk shrink' makes it smaller.",
  },
  shrink: {
    does: 'take capacity from a disk, in place; what is cut off must be zeros',
    example: 'hypo disk shrink web.vmdk 20G',
    wrong: (now: number, wanted: number) => wanted > now,
    other: "'hypo disk grow' makes it larger.",
  },
} as const;

/** `hypo disk grow` and `hypo disk shrink`. */
export const defineDiskResize: CommandDefinition = (program, context) => {
  for (const [name, way] of Object.entries(ways)) {
    chainOptions(
      program
        .command(name)
        .description(way.does)
        .argument('<disk>')
        .argument('<size>', name === 'grow' ? 'such as 80G, or +10G' : 'such as 20G'),
    )
      .addHelpText(
        'after',
        `\nNo disk may be made on it. Cut off in the middle, the same command finishes it.\n\nExamples:\n  ${way.example}`,
      )
      .action(async (path: string, size: string, _options: unknown, command: Command) => {
        const options = optionsOf<ChainOptions>(command);
        const { disks } = await describeChain(path, outside(options));
        const now = disks[0].virtualBytes;
        const virtualBytes = size.startsWith('+') ? now + parseByteSize(size.slice(1)) : parseByteSize(size);
        if (way.wrong(now, virtualBytes)) {
          throw new CliError('usage', `${path} has ${exactBytes(now)}.`, { next: way.other });
        }
        const merging = mergeOptions(context, options);
        await withProgress(context, `${name}ing`, (onProgress) =>
          resizeDisk({ path, virtualBytes, ...merging, onProgress }),
        );
        answer(context, command, { path, virtualBytes }, `${path}: ${exactBytes(virtualBytes)}`);
      });
  }
};
