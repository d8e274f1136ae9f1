import { setTimeout as sleep } from 'node:timers/promises';
import type { RunningTask } from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import { machineReference } from '../registration/registration.ts';

/** Milliseconds between two looks for an engine that did not answer when its machine was found. */
const interval = 500;

/**
 * Resolves when it is known whether the machine's engine runs, which an engine that does not answer leaves open: until
 * then nobody may take up work of an earlier process with its disks. Rejects when the task is cancelled.
 */
export async function engineFound({ machines }: HostCore, task: RunningTask, id: string): Promise<void> {
  const ref = machineReference(id);
  while (machines.find(ref.value)?.powerState === 'poweredOn' && machines.engine(id) === undefined)
    await sleep(interval, undefined, { signal: task.signal });
}
