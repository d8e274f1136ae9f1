import type { Command } from 'commander';
import type { PlaceChoice } from '../../inventory/machine-place.ts';

/** Options that say where a machine goes. */
export interface PlaceOptions {
  readonly datacenter?: string;
  readonly folder?: string;
  readonly pool?: string;
  readonly host?: string;
}

/** Adds them to a command. */
export function placeOptions(command: Command): Command {
  return command
    .option('--datacenter <name>', 'datacenter; the only one unless told')
    .option('--folder <path>', "folder of machines; the datacenter's own unless told")
    .option('--pool <name>', "resource pool, vApp or cluster; the host's own pool unless told")
    .option('--host <name>', 'host; the one with most free memory unless told');
}

export function placeOf({ datacenter, folder, pool, host }: PlaceOptions): PlaceChoice {
  return { datacenter, folder, pool, host };
}
