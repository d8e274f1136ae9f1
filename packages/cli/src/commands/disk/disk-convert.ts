import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  type Allocation,
  blockSource,
  type ConvertProgress,
  type ConvertSource,
  convertDisk,
  convertToForeign,
  type Disk,
  openAnyDisk,
  rawSource,
  rawStream,
  readStreamOptimized,
  writeStreamOptimized,
} from '@hypostyle/vmdk';
import { type Command, Option } from 'commander';
import { type CommandContext, type CommandDefinition, optionsOf } from '../../command-context.ts';
import { exactBytes, parseByteSize } from '../../disk/byte-size.ts';
import { isForeign, sourceFormat, targetFormat, targetFormats } from '../../disk/convert-format.ts';
import { findSource, openSource, outside, type SourceOptions, sourceOptions } from '../../disk/disk-source.ts';
import { CliError } from '../../errors.ts';
import { answerOne } from '../../output/answer.ts';
import { showProgress } from '../../output/progress.ts';

interface ConvertCommandOptions extends SourceOptions {
  readonly to?: string;
  readonly from?: string;
  readonly force?: boolean;
  readonly allocation?: Allocation;
  readonly grain?: number;
  readonly level?: number;
  readonly size?: number;
}

interface OpenedSource {
  readonly source: ConvertSource;
  close(): Promise<void>;
}

/** `hypo disk convert`: a new disk of any kind with the bytes of another. */
export const defineDiskConvert: CommandDefinition = (program, context) => {
  sourceOptions(
    program
      .command('convert')
      .description('make a disk of another kind with the same bytes; the source is only read')
      .argument('<disk>', "what to read; '-' for standard input")
      .argument('<target>', "what to make; '-' for standard output"),
  )
    .option('--to <kind>', `what to make: ${targetFormats.join(', ')}; default by the name of the target, .vmdk: vmfs`)
    .option('--from <format>', 'what the source is: vmdk, raw, qcow2, …; default by its first bytes')
    .option('--force', 'replace the target, once the new disk is whole')
    .addOption(new Option('--allocation <how>', 'of flat disks').choices(['thin', 'thick', 'eager']))
    .addOption(new Option('--grain <size>', 'of sparse disks, such as 64K').argParser(parseByteSize))
    .addOption(new Option('--level <number>', 'of streamOptimized: 1 fast to 9 small').argParser(level))
    .addOption(new Option('--size <size>', 'of a raw image on standard input, such as 10G').argParser(parseByteSize))
    .addHelpText(
      'after',
      `
The target gets its name when it is whole; until then it is made in TARGET.partial.

Examples:
  hypo disk convert appliance.ova disk.vmdk
  hypo disk convert web.qcow2 web.vmdk
  hypo disk convert web.vmdk web-export.vmdk --to streamOptimized
  hypo disk convert web.vmdk - | ssh backup 'cat > web.vmdk'`,
    )
    .action(async (from: string, target: string, _options: unknown, command: Command) => {
      const options = optionsOf<ConvertCommandOptions>(command);
      const format = targetFormat(target, options.to);
      const opened = await open(context, from, options);
      const { source } = opened;
      const progress = showProgress(context.terminal, 'converting', source.virtualBytes, 'bytes');
      const watched = {
        signal: context.signal,
        onProgress: ({ doneBytes }: ConvertProgress) => progress.update(doneBytes),
      };
      try {
        if (target === '-') {
          await writeOut(context, source, format === 'raw', options, watched);
          return;
        }
        const overwrite = options.force ?? false;
        const made = isForeign(format)
          ? await convertToForeign({ source, target: { path: target, format, overwrite }, ...watched })
          : await convertDisk({
              source,
              target: {
                path: target,
                kind: format,
                overwrite,
                ...(options.allocation === undefined ? {} : { allocation: options.allocation }),
                ...(options.grain === undefined ? {} : { grainBytes: options.grain }),
                ...(options.level === undefined ? {} : { level: options.level }),
              },
              ...watched,
            });
        progress.end();
        const { virtualBytes, storedBytes, files } = made;
        answerOne(
          context,
          command,
          { disk: target, kind: format, virtualBytes, storedBytes, files },
          { disk: target, kind: format, size: exactBytes(virtualBytes), stored: exactBytes(storedBytes) },
        );
      } finally {
        progress.end();
        await opened.close();
      }
    });
};

async function open(context: CommandContext, text: string, options: ConvertCommandOptions): Promise<OpenedSource> {
  const format = sourceFormat(options.from);
  if (text === '-') return { source: await standardInput(context, format, options.size), close: async () => undefined };
  if (options.size !== undefined) throw new CliError('usage', '--size is for standard input.');
  const found = await findSource(text);
  const { signal } = context;
  const disk: Disk =
    found.kind === 'file'
      ? await openAnyDisk(found.path, {
          ...outside(options),
          ...(format ? { format } : {}),
          signal,
          ...references(options),
        })
      : await openSource(text, options);
  return { source: disk, close: () => disk.close() };
}

function references({ allowOutside = false }: SourceOptions): { readonly allowReferences?: boolean } {
  return allowOutside ? { allowReferences: true } : {};
}

async function standardInput(
  { terminal, signal }: CommandContext,
  format: string | undefined,
  size: number | undefined,
): Promise<ConvertSource> {
  if (format === undefined || format === 'vmdk') {
    if (size !== undefined) throw new CliError('usage', '--size goes with --from raw.');
    return readStreamOptimized(terminal.input, { name: 'standard input', signal });
  }
  if (format !== 'raw') {
    throw new CliError('usage', `${format} cannot be read from a pipe.`, { next: 'Save it to a file first.' });
  }
  if (size === undefined) {
    throw new CliError('usage', 'A raw image on standard input does not say its size.', { next: 'Give --size.' });
  }
  return rawSource(terminal.input, size, 'standard input');
}

async function writeOut(
  { terminal }: CommandContext,
  source: ConvertSource,
  raw: boolean,
  { level }: ConvertCommandOptions,
  watched: { readonly signal: AbortSignal; readonly onProgress: (progress: ConvertProgress) => void },
): Promise<void> {
  if (terminal.output.isTTY) throw new CliError('usage', 'A terminal cannot take a disk.', { next: 'Use a pipe.' });
  const bytes = raw
    ? rawStream(source, watched.signal)
    : writeStreamOptimized(await blockSource(source, watched.signal), {
        ...watched,
        ...(level === undefined ? {} : { level }),
      });
  await pipeline(Readable.from(bytes), terminal.output, { end: false, signal: watched.signal });
}

function level(text: string): number {
  const number = Number(text);
  if (!/^[1-9]$/.test(text)) throw new CliError('usage', `'${text}' is no level from 1 to 9.`);
  return number;
}
