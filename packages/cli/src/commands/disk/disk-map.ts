import { once } from 'node:events';
import { allocationMap } from '@hypostyle/vmdk';
import type { Command } from 'commander';
import { type CommandContext, type CommandDefinition, optionsOf } from '../../command-context.ts';
import {
  findSource,
  imageFormat,
  openExport,
  openSource,
  outside,
  type SourceOptions,
  sourceOptions,
} from '../../disk/disk-source.ts';
import { formatBytes } from '../../output/format.ts';

interface MapOptions extends SourceOptions {
  readonly changes?: string;
  readonly json?: boolean;
}

interface Row {
  readonly offset: number;
  readonly length: number;
  readonly state: string;
  /** Disk of the chain that the range is read from. */
  readonly file?: string;
}

/** `hypo disk map`: which parts of a disk are stored, and where. */
export const defineDiskMap: CommandDefinition = (program, context) => {
  sourceOptions(
    program
      .command('map')
      .description(
        'list which parts of a disk hold data, are zeros or were never written, and which disk of a chain has them',
      )
      .argument('<disk>'),
  )
    .option('--changes <name>', 'of an NBD export: what this change map tells')
    .addHelpText(
      'after',
      '\nExamples:\n  hypo disk map web.vmdk\n  hypo disk map web-000001.vmdk --json\n  hypo disk map nbd+unix:///web?socket=/tmp/web.sock --changes monday',
    )
    .action(async (text: string, _options: unknown, command: Command) => {
      const options = optionsOf<MapOptions>(command);
      await tell(context, rowsOf(text, options, context.signal), options.json ?? false);
    });
};

async function* rowsOf(text: string, options: MapOptions, signal: AbortSignal): AsyncGenerator<Row> {
  const source = await findSource(text);
  if (source.kind === 'nbd' && options.changes !== undefined) {
    const disk = await openExport(source.uri, { ...options, changeMaps: [options.changes] });
    try {
      for await (const { offset, length, changed } of disk.changes(options.changes, { signal })) {
        yield { offset, length, state: changed ? 'changed' : 'unchanged' };
      }
    } finally {
      await disk.close();
    }
  } else if (source.kind === 'file' && (await imageFormat(source.path)) === 'vmdk') {
    for await (const { offset, length, state, path } of allocationMap(source.path, { ...outside(options), signal })) {
      yield { offset, length, state, ...(path === undefined ? {} : { file: path }) };
    }
  } else {
    const disk = await openSource(text, options);
    try {
      for await (const { offset, length, state } of disk.map({ signal })) yield { offset, length, state };
    } finally {
      await disk.close();
    }
  }
}

/** Tells rows as they come: a map may have millions. */
async function tell({ terminal }: CommandContext, rows: AsyncIterable<Row>, json: boolean): Promise<void> {
  const line = async (words: string) => {
    if (!terminal.output.write(`${words}\n`)) await once(terminal.output, 'drain');
  };
  let first = true;
  if (!json) await line(columns('OFFSET', 'LENGTH', '', 'STATE', 'FILE'));
  for await (const row of rows) {
    if (json) await line(`${first ? '[' : ','}${JSON.stringify(row)}`);
    else await line(columns(`${row.offset}`, `${row.length}`, formatBytes(row.length), row.state, row.file ?? ''));
    first = false;
  }
  if (json) await line(first ? '[]' : ']');
}

function columns(offset: string, length: string, size: string, state: string, file: string): string {
  return `${offset.padStart(16)} ${length.padStart(16)} ${size.padStart(10)}  ${state.padEnd(12)} ${file}`.trimEnd();
}
