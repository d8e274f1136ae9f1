import assert from 'node:assert/strict';
import { GuestConsole } from '@hypostyle/contracts/testing';
import type { Daemon } from './daemon.ts';
import { serialSocketOf } from './engines.ts';
import { eventually } from './guest-machine.ts';

/** Uses the serial console of a guest: of the machine with this UUID, else of the only engine that runs. */
export async function onConsole<T>(
  daemon: Daemon,
  uuid: string | undefined,
  use: (console: GuestConsole) => Promise<T>,
): Promise<T> {
  const engines = await daemon.engines();
  const engine = engines.find((one) => uuid === undefined || one.arguments.some((word) => word.includes(uuid)));
  assert.ok(engine, uuid === undefined ? 'no engine runs' : `no engine of ${uuid} runs`);
  const console = await GuestConsole.connect(serialSocketOf(engine));
  try {
    return await use(console);
  } finally {
    console.close();
  }
}

/** Waits until a guest answers: what it said before somebody listened is gone. */
export async function guestAnswers(daemon: Daemon, uuid: string, limitMs: number): Promise<void> {
  const answers = () =>
    onConsole(daemon, uuid, (console) => console.run('true', 2_000)).then(
      () => true,
      () => false,
    );
  await eventually(answers, 'the guest answers', limitMs);
}
