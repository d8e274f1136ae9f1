import type { DiskChain, DiskLink } from '@hypostyle/services';
import type { Disk, MachineConfiguration } from '../../configuration/machine-configuration.ts';
import { isShared } from '../../configuration/shared-disk.ts';

/** Why changes of a disk cannot be told, in words for its user; undefined where they can. */
export function untrackable(
  { changeTracking, controllers }: Pick<MachineConfiguration, 'changeTracking' | 'controllers'>,
  disk: Pick<Disk, 'mode' | 'tracked' | 'multiWriter' | 'controllerKey'>,
  kinds: readonly DiskLink['kind'][],
): string | undefined {
  if (!changeTracking) return 'changed blocks are not tracked on this machine';
  if (!disk.tracked) return 'changed blocks are not tracked on this disk';
  if (disk.mode === 'independent_nonpersistent') return 'what is written to it is dropped at every power-off';
  if (isShared({ controllers }, disk)) return 'several machines write it';
  if (kinds.includes('settling')) return 'it still settles';
  return undefined;
}

/** The raw file at the base of a chain; undefined where there is none. */
export function flatBase({ links }: DiskChain): DiskLink | undefined {
  const base = links.at(-1);
  return base?.kind === 'flat' ? base : undefined;
}
