import { setTimeout as sleep } from 'node:timers/promises';
import { roomIn } from '@hypostyle/services';
import type { VimFault } from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { noRoomFault } from './settle-faults.ts';

/** Milliseconds between looks at whether a datastore has room again. */
const roomInterval = 1_000;

export interface RoomWait {
  /** Told why it waits, and with nothing once there is room. */
  readonly say: (reason: VimFault | undefined) => void;
  /** Told how to have room given back meanwhile. */
  readonly onWanted?: (give: () => void) => void;
  readonly give?: () => Promise<void>;
}

/** Whether a datastore has no more than what is kept for its guests. */
export async function isFull({ datastore }: MachineRecord): Promise<boolean> {
  const { free, reserve } = await roomIn(datastore.directory);
  return free < reserve;
}

/** Waits until the datastore of a machine whose disks settle has room again, and says so at both ends. */
export async function untilRoom(
  core: Pick<HostCore, 'events'>,
  machine: MachineRecord,
  signal: AbortSignal,
  waiting: RoomWait,
): Promise<void> {
  const reason = noRoomFault(machine);
  waiting.say(reason);
  core.events.post(undefined, {
    type: 'GeneralVmErrorEvent',
    entity: machine.ref,
    members: { message: `${reason.message} Its disks go on settling when there is.` },
  });
  let wanted = false;
  waiting.onWanted?.(() => {
    wanted = true;
  });
  for (;;) {
    await sleep(roomInterval, undefined, { signal, ref: false });
    // Here, where nothing is being written to what goes.
    if (wanted) await waiting.give?.();
    wanted = false;
    const { free, reserve } = await roomIn(machine.datastore.directory);
    // Not at the first free block: it would stop again at once.
    if (free >= 2 * reserve) break;
  }
  waiting.say(undefined);
}
