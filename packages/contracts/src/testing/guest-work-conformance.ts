import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { type KeyStroke, maxGuestOutputBytes } from '../guest-work.ts';
import type { HypervisorCapabilities, RunningMachine } from '../hypervisor.ts';
import type { GuestSession } from './conformance-guest.ts';
import { rejects } from './observed-machine.ts';

/** What a guest with an agent that runs can be asked. */
export async function guestWorkConformance(
  machine: RunningMachine,
  session: GuestSession,
  capabilities: HypervisorCapabilities,
): Promise<void> {
  if (capabilities.guestPrograms) await programs(machine);
  if (capabilities.screenshots) await screen(machine);
  if (capabilities.keyStrokes) await keyboard(machine, session);
}

async function programs(machine: RunningMachine): Promise<void> {
  const shell = (script: string, input?: string) => ({
    path: '/bin/sh',
    arguments: ['-c', script],
    ...(input === undefined ? {} : { input: Buffer.from(input) }),
  });
  const { exitCode, output, errors } = await machine.runInGuest({
    ...shell('read line; echo "$line $WORD"; echo no >&2; exit 7', 'said\n'),
    environment: ['PATH=/bin:/usr/bin', 'WORD=twice'],
  });
  assert.deepEqual([exitCode, `${output}`, `${errors}`], [7, 'said twice\n', 'no\n']);
  // Several at a time, each with its own output.
  const all = await Promise.all([1, 2, 3].map((each) => machine.runInGuest(shell(`echo ${each}`))));
  assert.deepEqual(
    all.map((end) => `${end.output}`),
    ['1\n', '2\n', '3\n'],
  );
  const much = await machine.runInGuest(shell(`head -c ${maxGuestOutputBytes + 1000} /dev/zero`));
  assert.equal(much.output.length, maxGuestOutputBytes);
  await rejects(machine.runInGuest({ path: '/no/such/program', arguments: [] }), 'guest-refused');
  await rejects(machine.runInGuest({ ...shell('sleep 600'), timeoutMs: 1 }), 'guest-late');
  const pid = await machine.startInGuest(shell('exec sleep 600'));
  assert.deepEqual(await machine.guestProgram(pid), { running: true });
  await machine.runInGuest(shell(`kill -TERM ${pid}`));
  let state = await machine.guestProgram(pid);
  while (state?.running) state = await machine.guestProgram(pid);
  assert.equal(state?.signal, 15);
  assert.equal(await machine.guestProgram(pid), undefined, 'an end is told once');
}

async function screen(machine: RunningMachine): Promise<void> {
  const [first, second] = await Promise.all([machine.captureScreen(), machine.captureScreen()]);
  for (const { width, height, pixels } of [first, second]) {
    assert.ok(width >= 320 && height >= 200, `${width} × ${height}`);
    assert.equal(pixels.length, width * height * 3);
  }
}

/** `echo A1 >/tmp/typed` and the return key. */
const typing: readonly KeyStroke[] = [
  ...[0x08, 0x06, 0x0b, 0x12, 0x2c].map((usage) => ({ usage, modifiers: [] })),
  { usage: 0x04, modifiers: [0xe1] },
  ...[0x1e, 0x2c].map((usage) => ({ usage, modifiers: [] })),
  { usage: 0x37, modifiers: [0xe5] },
  ...[0x38, 0x17, 0x10, 0x13, 0x38, 0x17, 0x1c, 0x13, 0x08, 0x07, 0x28].map((usage) => ({ usage, modifiers: [] })),
];

async function keyboard(machine: RunningMachine, session: GuestSession): Promise<void> {
  await machine.pressKeys(typing);
  for (let waited = 0; waited < 200; waited += 1) {
    if ((await session.typed()) === 'A1') return;
    await sleep(100);
  }
  assert.fail(`what was typed did not arrive: ${await session.typed()}`);
}
