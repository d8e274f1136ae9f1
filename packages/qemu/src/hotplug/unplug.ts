import { setTimeout as sleep } from 'node:timers/promises';
import { qemuErrors } from '../errors.ts';
import type { Engine } from '../machine/engine.ts';
import { readDevices } from './engine-hardware.ts';

/** How long a guest may take to let go of a device, milliseconds. */
const guestDeadlineMs = 20_000;
/** How long a request that the guest missed, such as while it booted, is left alone. */
const againMs = 6_000;

/**
 * Takes a device away and waits until the guest has let go of it. Rejects with `hot-plug-failed` where it does not: the
 * request stands, and the device may go later. `words`: the device as a person knows it.
 */
export async function unplug(engine: Engine, id: string, words: string): Promise<void> {
  let wake: (() => void) | undefined;
  let refused = false;
  const unsubscribe = engine.onEvent(({ name, data }) => {
    if (name === 'DEVICE_UNPLUG_GUEST_ERROR' && data.device === id) refused = true;
    if (name === 'DEVICE_DELETED' || refused) wake?.();
  });
  const deadline = performance.now() + guestDeadlineMs;
  let ask = performance.now();
  try {
    for (;;) {
      const next = new Promise<void>((resolve) => {
        wake = resolve;
      });
      if (!(await readDevices(engine)).has(id)) return;
      const now = performance.now();
      if (refused) throw qemuErrors.hotPlugFailed(`The guest refuses to let go of ${words}.`);
      if (now > deadline) throw qemuErrors.hotPlugFailed(`The guest does not let go of ${words}.`);
      if (now >= ask) {
        ask = now + againMs;
        // Asked again too soon, the engine says that the first request is still under way.
        await engine.execute('device_del', { id }).catch((error: unknown) => {
          if (!/process of unplug|not found/.test(String(error))) throw error;
        });
        // Most devices are gone by now.
        continue;
      }
      // Events are missed while a connection is lost, so look again now and then.
      await Promise.race([next, sleep(100)]);
    }
  } finally {
    unsubscribe();
  }
}
