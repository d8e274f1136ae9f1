import { setTimeout as sleep } from 'node:timers/promises';
import type { KeyStroke } from '@hypostyle/contracts';
import type { Engine } from '../machine/engine.ts';
import { keyCode } from './key-codes.ts';

/**
 * Milliseconds after each change of keys. An emulated keyboard keeps 16 bytes for a guest that is slow, and drops what
 * comes while they are full; a firmware that polls every tick sees a key that is held as long.
 */
const pauseMs = 20;

/** Presses and lets go of keys (`input-send-event`). Keys that are held when a call fails are let go of. */
export async function pressKeys(engine: Pick<Engine, 'execute'>, strokes: readonly KeyStroke[]): Promise<void> {
  for (const { usage, modifiers } of strokes) {
    const keys = [...modifiers, usage].flatMap((each) => keyCode(each) ?? []);
    if (keys.length === 0) continue;
    try {
      await send(engine, keys, true);
      await sleep(pauseMs);
    } finally {
      await send(engine, keys.toReversed(), false);
    }
    await sleep(pauseMs);
  }
}

async function send(engine: Pick<Engine, 'execute'>, keys: readonly string[], down: boolean): Promise<void> {
  const events = keys.map((data) => ({ type: 'key', data: { down, key: { type: 'qcode', data } } }));
  await engine.execute('input-send-event', { events });
}
