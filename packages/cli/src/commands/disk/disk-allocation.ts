import { describeChain, thickenDisk, thinDisk } from '@hypostyle/vmdk';
import type { Command } from 'commander';
import { type CommandContext, type CommandDefinition, optionsOf } from '../../command-context.ts';
import { exactBytes } from '../../disk/byte-size.ts';
import { withProgress } from '../../disk/disk-progress.ts';
import { outside } from '../../disk/disk-source.ts';
import { answer } from '../../output/answer.ts';
import { sum } from './disk-info.ts';

interface AllocationOptions {
  readonly allowOutside?: boolean;
  readonly eager?: boolean;
}

/** `hypo disk thin` and `hypo disk thick`: the room that a disk takes. */
export const defineDiskAllocation: CommandDefinition = (program, context) => {
  program
    .command('thin')
    .description('give back the room of all that reads as zeros; no byte of the disk changes')
    .argument('<disk>')
    .option('--allow-outside', 'extents may lie in other folders')
    .addHelpText('after', '\nNobody may write the disk meanwhile.\n\nExample:\n  hypo disk thin web.vmdk')
    .action(async (path: string, _options: unknown, command: Command) => {
      const options = optionsOf<AllocationOptions>(command);
      await withProgress(context, 'thinning', (onProgress) =>
        thinDisk({ path, signal: context.signal, onProgress, ...outside(options) }),
      );
      await tell(context, command, path, options);
    });
  program
    .command('thick')
    .description('take all room that a flat disk may ever need; no byte of the disk changes')
    .argument('<disk>')
    .option('--eager', 'write zeros wherever it reads zeros, so that no first write is slow')
    .option('--allow-outside', 'extents may lie in other folders')
    .addHelpText('after', '\nNobody may write the disk meanwhile.\n\nExample:\n  hypo disk thick web.vmdk --eager')
    .action(async (path: string, _options: unknown, command: Command) => {
      const options = optionsOf<AllocationOptions>(command);
      const allocation = options.eager ? 'eager' : 'thick';
      await withProgress(context, 'reserving', (onProgress) =>
        thickenDisk({ path, allocation, signal: context.signal, onProgress, ...outside(options) }),
      );
      await tell(context, command, path, options);
    });
};

async function tell(context: CommandContext, command: Command, path: string, options: AllocationOptions) {
  const { disks } = await describeChain(path, outside(options));
  const storedBytes = sum(disks[0], 'storedBytes');
  const { virtualBytes } = disks[0];
  answer(context, command, { path, virtualBytes, storedBytes }, `${path}: ${exactBytes(storedBytes)} on disk`);
}
