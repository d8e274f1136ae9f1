import { type Comparison, compareDisks } from '@hypostyle/vmdk';
import type { Command } from 'commander';
import { type CommandContext, type CommandDefinition, optionsOf } from '../../command-context.ts';
import { exactBytes } from '../../disk/byte-size.ts';
import { withProgress } from '../../disk/disk-progress.ts';
import { openSource, type SourceOptions, sourceOptions } from '../../disk/disk-source.ts';
import { EarlyEnd } from '../../errors.ts';
import { describeFailure } from '../../failure.ts';
import { answer } from '../../output/answer.ts';
import { note } from '../../output/terminal.ts';

/** As of `cmp`, `diff` and `qemu-img compare`. */
const codes = { different: 1, trouble: 2 } as const;

/** `hypo disk compare`: whether two disks of whatever kind hold the same bytes. */
export const defineDiskCompare: CommandDefinition = (program, context) => {
  sourceOptions(
    program
      .command('compare')
      .description('tell whether two disks hold the same bytes, whatever their kinds')
      .argument('<disk>')
      .argument('<other>'),
  )
    .option('--strict', 'disks of different sizes differ, also where the rest of the longer one is zeros')
    .addHelpText(
      'after',
      `
Ends with 0 where they are the same, 1 where they differ, 2 where that cannot be told.

Examples:
  hypo disk compare web.vmdk appliance.ova
  hypo disk compare web.vmdk nbd://backup.example/web --json`,
    )
    .action(async (text: string, other: string, _options: unknown, command: Command) => {
      const options = optionsOf<SourceOptions & { strict?: boolean }>(command);
      const comparison = await compare(context, text, other, options).catch(async (error: unknown) => {
        if (context.signal.aborted) throw error;
        const { message, next } = await describeFailure(error);
        note(context.terminal, `hypo: ${message}${next === undefined ? '' : `\n${next}`}`);
        throw new EarlyEnd(codes.trouble);
      });
      const [one, two] = comparison.virtualBytes;
      const same = comparison.identical && (one === two || !options.strict);
      answer(context, command, { ...comparison, same }, same ? sameWords(comparison) : differentWords(comparison));
      if (!same) throw new EarlyEnd(codes.different);
    });
};

async function compare(
  context: CommandContext,
  text: string,
  other: string,
  options: SourceOptions,
): Promise<Comparison> {
  const first = await openSource(text, options);
  try {
    const second = await openSource(other, options);
    try {
      return await withProgress(context, 'comparing', (onProgress) =>
        compareDisks(first, second, { signal: context.signal, onProgress }),
      );
    } finally {
      await second.close();
    }
  } finally {
    await first.close();
  }
}

function sameWords({ virtualBytes: [one, other] }: Comparison): string {
  if (one === other) return `The disks are the same: ${exactBytes(one)}.`;
  return `The disks are the same but for zeros at the end: ${exactBytes(one)} and ${exactBytes(other)}.`;
}

function differentWords({ virtualBytes: [one, other], differences, truncated }: Comparison): string {
  const sizes = one === other ? [] : [`The sizes differ: ${exactBytes(one)} and ${exactBytes(other)}.`];
  if (differences.length === 0) return sizes.join('\n');
  const lines = differences.map(({ offset, length }) => `${`${offset}`.padStart(16)} ${`${length}`.padStart(16)}`);
  const head = `The disks differ, first at byte ${differences[0]?.offset}:\n${'OFFSET'.padStart(16)} ${'LENGTH'.padStart(16)}`;
  return [...sizes, head, ...lines, ...(truncated ? ['and perhaps more'] : [])].join('\n');
}
