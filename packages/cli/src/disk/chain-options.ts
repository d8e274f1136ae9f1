import type { MergeOptions } from '@hypostyle/vmdk';
import { type Command, Option } from 'commander';
import type { CommandContext } from '../command-context.ts';
import { outside } from './disk-source.ts';

/** Options of commands that change disks with parents or children. */
export interface ChainOptions {
  readonly allowOutside?: boolean;
  readonly childFolder: readonly string[];
}

export function chainOptions(command: Command): Command {
  return command
    .option('--allow-outside', "use parents and extents outside the disk's own folder")
    .addOption(
      new Option('--child-folder <folder>', 'where disks that are made on this one may lie as well; repeatable')
        .argParser((folder: string, before: readonly string[]) => [...before, folder])
        .default([] as readonly string[], 'its own folder'),
    );
}

/** What an operation on a chain takes. */
export function mergeOptions({ signal }: CommandContext, options: ChainOptions): MergeOptions {
  return { signal, childFolders: options.childFolder, ...outside(options) };
}
