import type { CommandDefinition } from '../../command-context.ts';
import { defineDiskAbandon } from './disk-abandon.ts';
import { defineDiskAllocation } from './disk-allocation.ts';
import { defineDiskChanged } from './disk-changed.ts';
import { defineDiskCheck } from './disk-check.ts';
import { defineDiskCommit } from './disk-commit.ts';
import { defineDiskCompare } from './disk-compare.ts';
import { defineDiskConsolidate } from './disk-consolidate.ts';
import { defineDiskConvert } from './disk-convert.ts';
import { defineDiskCreate } from './disk-create.ts';
import { defineDiskFlatten } from './disk-flatten.ts';
import { defineDiskInfo } from './disk-info.ts';
import { defineDiskMap } from './disk-map.ts';
import { defineDiskRebase } from './disk-rebase.ts';
import { defineDiskRepair } from './disk-repair.ts';
import { defineDiskResize } from './disk-resize.ts';
import { defineDiskServe } from './disk-serve.ts';
import { defineDiskSnapshotChain } from './disk-snapshot-chain.ts';

/** Commands that work on files, with no server. */
const parts: readonly CommandDefinition[] = [
  defineDiskInfo,
  defineDiskMap,
  defineDiskCheck,
  defineDiskRepair,
  defineDiskCompare,
  defineDiskSnapshotChain,
  defineDiskCreate,
  defineDiskFlatten,
  defineDiskRebase,
  defineDiskCommit,
  defineDiskConsolidate,
  defineDiskAbandon,
  defineDiskResize,
  defineDiskAllocation,
  defineDiskConvert,
  defineDiskServe,
  defineDiskChanged,
];

/** `hypo disk`: virtual disks as files. */
export const defineDisk: CommandDefinition = (program, context) => {
  const disk = program
    .command('disk')
    .description('look at virtual disks, change and serve them; no server needed')
    .addHelpText(
      'after',
      `
A disk is a file, an OVA with one disk, 'FILE.ova/DISK.vmdk', or the URI of an NBD export.

Examples:
  hypo disk info web.vmdk
  hypo disk compare web.vmdk appliance.ova
  hypo disk serve web.vmdk --socket /tmp/web.sock`,
    );
  for (const define of parts) define(disk, context);
};
