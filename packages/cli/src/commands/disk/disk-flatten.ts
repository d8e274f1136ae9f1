import { type CreatableKind, creatableKinds, flattenDisk } from '@hypostyle/vmdk';
import { type Command, Option } from 'commander';
import { type CommandDefinition, optionsOf } from '../../command-context.ts';
import { withProgress } from '../../disk/disk-progress.ts';
import { outside } from '../../disk/disk-source.ts';
import { answer } from '../../output/answer.ts';

/** `hypo disk flatten`: a chain as one disk. */
export const defineDiskFlatten: CommandDefinition = (program, context) => {
  program
    .command('flatten')
    .description('copy a disk with all its parents into one new disk')
    .argument('<disk>')
    .argument('<target>')
    .addOption(new Option('--kind <kind>', 'of the new disk').choices(creatableKinds).default('vmfs'))
    .option('--allow-outside', "use parents and extents outside the disk's own folder")
    .addHelpText('after', '\nExample:\n  hypo disk flatten web-000002.vmdk web-copy.vmdk --kind monolithicSparse')
    .action(async (path: string, target: string, _options: unknown, command: Command) => {
      const options = optionsOf<{ kind: CreatableKind; allowOutside?: boolean }>(command);
      const { kind } = options;
      await withProgress(context, 'copying', (onProgress) =>
        flattenDisk({ path, target: { path: target, kind }, signal: context.signal, onProgress, ...outside(options) }),
      );
      answer(context, command, { path: target, kind }, `${target}: made of ${path} and its parents`);
    });
};
