import { type CreatableKind, creatableKinds, createChild, createDisk } from '@hypostyle/vmdk';
import { type Command, Option } from 'commander';
import { type CommandDefinition, optionsOf } from '../../command-context.ts';
import { exactBytes, parseByteSize } from '../../disk/byte-size.ts';
import { withProgress } from '../../disk/disk-progress.ts';
import { outside } from '../../disk/disk-source.ts';
import { CliError } from '../../errors.ts';
import { answer } from '../../output/answer.ts';

interface CreateOptions {
  readonly kind?: CreatableKind;
  readonly allocation?: 'thin' | 'thick' | 'eager';
  readonly parent?: string;
  readonly allowOutside?: boolean;
}

/** `hypo disk create`: an empty disk, or a child of one. */
export const defineDiskCreate: CommandDefinition = (program, context) => {
  program
    .command('create')
    .description('make an empty disk, or one that is made on another')
    .argument('<disk>', 'path of the descriptor, or of the one file')
    .argument('[size]', "such as 40G; the parent's with --parent")
    .addOption(new Option('--kind <kind>', 'vmfs unless told; monolithicSparse with --parent').choices(creatableKinds))
    .addOption(
      new Option(
        '--allocation <how>',
        'of flat kinds: thin takes no space, thick reserves it, eager writes zeros',
      ).choices(['thin', 'thick', 'eager']),
    )
    .option('--parent <disk>', 'disk that it is made on, which must not be written from then on')
    .option('--allow-outside', 'the parent may lie in another folder')
    .addHelpText(
      'after',
      '\nExamples:\n  hypo disk create web.vmdk 40G\n  hypo disk create web.vmdk 40G --kind monolithicSparse\n  hypo disk create web-000001.vmdk --parent web.vmdk',
    )
    .action(async (path: string, size: string | undefined, _options: unknown, command: Command) => {
      const options = optionsOf<CreateOptions>(command);
      const virtualBytes = size === undefined ? undefined : parseByteSize(size);
      if (options.parent !== undefined) {
        const kind = options.kind ?? 'monolithicSparse';
        if (kind !== 'monolithicSparse' && kind !== 'twoGbMaxExtentSparse') {
          throw new CliError('usage', `A disk of kind ${kind} has no parent.`, { next: 'Use a sparse kind.' });
        }
        const sized = virtualBytes === undefined ? {} : { virtualBytes };
        await createChild({ path, parent: options.parent, kind, ...sized, ...outside(options) });
        answer(context, command, { path, kind, parent: options.parent }, `${path}: made on ${options.parent}`);
        return;
      }
      if (virtualBytes === undefined) throw new CliError('usage', 'Say how large it is, such as 40G.');
      const kind = options.kind ?? 'vmfs';
      const allocation = options.allocation === undefined ? {} : { allocation: options.allocation };
      await withProgress(context, 'making', (onProgress) =>
        createDisk({ path, kind, virtualBytes, ...allocation, signal: context.signal, onProgress }),
      );
      answer(context, command, { path, kind, virtualBytes }, `${path}: ${kind}, ${exactBytes(virtualBytes)}`);
    });
};
