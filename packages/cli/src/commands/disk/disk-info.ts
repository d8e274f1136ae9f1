import { stat } from 'node:fs/promises';
import {
  type DiskFacts,
  describeChain,
  formatContentId,
  type ImageFormat,
  type NbdDisk,
  noParent,
  openAnyDisk,
  sectorBytes,
} from '@hypostyle/vmdk';
import type { Command } from 'commander';
import { type CommandContext, type CommandDefinition, optionsOf } from '../../command-context.ts';
import { exactBytes } from '../../disk/byte-size.ts';
import {
  findSource,
  imageFormat,
  openExport,
  outside,
  type SourceOptions,
  sourceOptions,
} from '../../disk/disk-source.ts';
import { answer, answerOne } from '../../output/answer.ts';
import { formatBytes } from '../../output/format.ts';
import { formatTable } from '../../output/table.ts';

/** `hypo disk info`: what a disk is, from its headers. */
export const defineDiskInfo: CommandDefinition = (program, context) => {
  sourceOptions(
    program.command('info').description("tell a disk's kind, sizes, identity and parents").argument('<disk>'),
  )
    .addHelpText(
      'after',
      '\nExamples:\n  hypo disk info web.vmdk\n  hypo disk info appliance.ova --json\n  hypo disk info nbd://backup.example/web',
    )
    .action(async (text: string, _options: unknown, command: Command) => {
      const options = optionsOf<SourceOptions>(command);
      const source = await findSource(text);
      if (source.kind === 'nbd') {
        const disk = await openExport(source.uri, options);
        try {
          tellExport(context, command, disk);
        } finally {
          await disk.close();
        }
        return;
      }
      if (source.kind === 'file') {
        const format = await imageFormat(source.path);
        if (format !== 'vmdk') return tellForeign(context, command, source.path, format);
      }
      const path = source.kind === 'member' ? source.archive : source.path;
      const window = source.kind === 'member' ? { window: source.window } : {};
      const { disks, problem } = await describeChain(path, { ...outside(options), ...window });
      const [top, ...parents] = disks;
      const value = {
        ...(source.kind === 'member' ? { archive: source.archive, member: source.name } : {}),
        ...factsOf(top),
        parents: parents.map(factsOf),
        ...(problem === undefined ? {} : { problem: problem.message }),
      };
      const lines = Object.entries(labels(top, parents, problem?.message))
        .filter(([, shown]) => shown !== undefined)
        .map(([label, shown]) => `${label.padEnd(16)} ${shown}`);
      const extents = top.extents.map(({ type, access, bytes, path: file, storedBytes, problem: trouble }) => [
        type,
        access,
        formatBytes(bytes),
        storedBytes === undefined ? '' : formatBytes(storedBytes),
        `${file ?? ''}${trouble === undefined ? '' : `: ${trouble}`}`,
      ]);
      const table = formatTable(['EXTENT', 'ACCESS', 'SIZE', 'ON DISK', 'FILE'], extents);
      answer(context, command, value, [...lines, '', table].join('\n'));
    });
};

function labels(top: DiskFacts, parents: readonly DiskFacts[], problem: string | undefined) {
  const { descriptor } = top;
  const ddb = (key: string) => descriptor?.ddb.get(key);
  return {
    disk: top.path,
    kind: `${top.kind}${top.compressed ? ', compressed' : ''}${ddb('thinProvisioned') === '1' ? ', thin' : ''}`,
    size: exactBytes(top.virtualBytes),
    'on disk': exactBytes(sum(top, 'storedBytes')),
    CID: descriptor && formatContentId(descriptor.contentId),
    parent:
      descriptor && descriptor.parentContentId !== noParent
        ? `${descriptor.parentFileNameHint ?? ''} (CID ${formatContentId(descriptor.parentContentId)})`
        : undefined,
    chain: parents.length === 0 ? undefined : `${parents.length + 1} disks`,
    UUID: ddb('uuid'),
    adapter: ddb('adapterType'),
    hardware: ddb('virtualHWVersion'),
    unclean: top.unclean ? 'its last writer did not close it' : undefined,
    problem,
  };
}

/** A disk as programs see it. */
export function factsOf(disk: DiskFacts): Record<string, unknown> {
  const { descriptor } = disk;
  return {
    path: disk.path,
    kind: disk.kind,
    virtualBytes: disk.virtualBytes,
    fileBytes: sum(disk, 'fileBytes'),
    storedBytes: sum(disk, 'storedBytes'),
    compressed: disk.compressed,
    unclean: disk.unclean,
    ...(descriptor === undefined
      ? {}
      : {
          contentId: formatContentId(descriptor.contentId),
          version: descriptor.version,
          ddb: Object.fromEntries(descriptor.ddb),
        }),
    ...(descriptor === undefined || descriptor.parentContentId === noParent
      ? {}
      : {
          parent: {
            contentId: formatContentId(descriptor.parentContentId),
            fileNameHint: descriptor.parentFileNameHint,
          },
        }),
    extents: disk.extents,
  };
}

/** What the files of a disk have together. */
export function sum(disk: DiskFacts, what: 'fileBytes' | 'storedBytes'): number {
  return disk.extents.reduce((total, extent) => total + (extent[what] ?? 0), 0);
}

/** An image of another make: what can be said of any disk. */
async function tellForeign(context: CommandContext, command: Command, path: string, format: ImageFormat) {
  const disk = await openAnyDisk(path, { format });
  await disk.close();
  const { virtualBytes } = disk;
  const { size: fileBytes, blocks } = await stat(path);
  const storedBytes = blocks * sectorBytes;
  answerOne(
    context,
    command,
    { path, kind: format, virtualBytes, fileBytes, storedBytes },
    { disk: path, kind: format, size: exactBytes(virtualBytes), 'on disk': exactBytes(storedBytes) },
  );
}

function tellExport(context: CommandContext, command: Command, disk: NbdDisk): void {
  const { path, virtualBytes, blockBytes, description } = disk;
  answerOne(
    context,
    command,
    { uri: path, kind: 'nbd', virtualBytes, blockBytes, ...(description === undefined ? {} : { description }) },
    { export: path, size: exactBytes(virtualBytes), 'best block': exactBytes(blockBytes), description },
  );
}
