import { deltaCreateType } from '../descriptor/delta.ts';
import { VmdkError } from '../errors.ts';

/** Kinds that are opened from a descriptor file. */
const openable: ReadonlySet<string> = new Set([
  'monolithicFlat',
  'monolithicSparse',
  'twoGbMaxExtentFlat',
  'twoGbMaxExtentSparse',
  'streamOptimized',
  'vmfs',
  'vmfsThin',
  'vmfsPreallocated',
  'vmfsEagerZeroedThick',
  'vmfsSparse',
  'seSparse',
]);

const device =
  'it stands for a device of the machine that it was made on; copy that device to a raw file and convert it';
const mapping = 'it maps a LUN of an ESXi host; clone it to a file there with "vmkfstools -i"';

/** Kinds that are known and not opened, and what to do instead. */
const refused: ReadonlyMap<string, string> = new Map([
  ['fullDevice', device],
  ['partitionedDevice', device],
  ['vmfsRDM', mapping],
  ['vmfsRDMP', mapping],
  ['vmfsRaw', mapping],
  ['vmfsPassthroughRawDeviceMap', mapping],
  ['vmfsRawDeviceMap', mapping],
  ['custom', 'its extents follow no rule; convert it with the product that made it, such as "vmware-vdiskmanager -r"'],
  [deltaCreateType, 'its extent is qcow2, which the engine reads; consolidate or export the disk instead'],
]);

/** Refuses a kind that is not opened, by its name (`unsupported-create-type`); an unknown one is never guessed. */
export function expectOpenable(createType: string, file: string): void {
  if (openable.has(createType)) return;
  const advice = refused.get(createType) ?? 'no such kind is known, and it is not guessed what it holds';
  throw new VmdkError('unsupported-create-type', { file, reason: `createType "${createType}": ${advice}` });
}
