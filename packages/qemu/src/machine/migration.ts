import { setTimeout as sleep } from 'node:timers/promises';
import { isObject } from '../qmp/qmp-message.ts';
import type { Engine } from './engine.ts';

/** Bytes a second: the machine stands still meanwhile, so nothing is held back. */
const bandwidth = 2 ** 40;
const unsettled = new Set(['setup', 'cancelling', 'active', 'device', 'pre-switchover', 'wait-unplug']);

/** Before `migrate` or `migrate-incoming`. `background`: the guest runs while its memory is sent, as it was at first. */
export async function prepareMigration(
  engine: Pick<Engine, 'execute'>,
  { background = false }: { readonly background?: boolean } = {},
): Promise<void> {
  const capabilities = [
    { capability: 'events', state: true },
    // An owner that was killed may have left it on.
    { capability: 'background-snapshot', state: background },
  ];
  await Promise.all([
    engine.execute('migrate-set-capabilities', { capabilities }),
    engine.execute('migrate-set-parameters', { 'max-bandwidth': bandwidth }),
  ]);
}

/** Why this machine's state cannot be taken now; a device may not be able to tell its own. */
export async function migrationBlocked(engine: Pick<Engine, 'execute'>): Promise<string | undefined> {
  const answer = await engine.execute('query-migrate');
  const reasons = isObject(answer) ? answer['blocked-reasons'] : undefined;
  return Array.isArray(reasons) && reasons.length > 0 ? reasons.join('; ') : undefined;
}

/** Whether memory is on its way, in either direction. */
export async function isMigrating(engine: Pick<Engine, 'execute'>): Promise<boolean> {
  const answer = await engine.execute('query-migrate');
  return isObject(answer) && typeof answer.status === 'string' && unsettled.has(answer.status);
}

/**
 * Waits for the end of a migration in either direction. Undefined: completed; else why it did not. `onProgress` is told
 * how much of the memory was sent, 0 to 1.
 */
export async function migrationSettled(
  engine: Engine,
  onProgress: (fraction: number) => void = () => {},
): Promise<string | undefined> {
  let wake: (() => void) | undefined;
  const unsubscribe = engine.onEvent((event) => {
    if (event.name === 'MIGRATION') wake?.();
  });
  try {
    return await settled();
  } finally {
    unsubscribe();
  }

  async function settled(): Promise<string | undefined> {
    for (;;) {
      const next = new Promise<void>((resolve) => {
        wake = resolve;
      });
      const answer = await engine.execute('query-migrate');
      const status = isObject(answer) && typeof answer.status === 'string' ? answer.status : 'none';
      if (status === 'completed') return undefined;
      if (!unsettled.has(status)) {
        const detail = isObject(answer) ? answer['error-desc'] : undefined;
        return typeof detail === 'string' ? detail : `the engine's transfer of memory is ${status}`;
      }
      onProgress(sentFraction(answer));
      // Events are missed while a connection is lost, so ask again now and then.
      await Promise.race([next, sleep(200)]);
    }
  }
}

function sentFraction(answer: unknown): number {
  const ram = isObject(answer) && isObject(answer.ram) ? answer.ram : {};
  const { remaining, total } = ram;
  if (typeof remaining !== 'number' || typeof total !== 'number' || total <= 0) return 0;
  return Math.min(1, Math.max(0, 1 - remaining / total));
}
