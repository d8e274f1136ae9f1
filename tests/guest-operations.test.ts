import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { runClient } from './harness/client-script.ts';
import { Daemon } from './harness/daemon.ts';
import { writeGuestFolder } from './harness/guest-folder.ts';

/** Every script at a host and at a center, which takes minutes; else each at one of them. */
const whole = process.env.HYPOSTYLE_WHOLE !== undefined;

for (const mode of ['host', 'center'] as const) {
  describe(`a real guest at a ${mode}`, () => {
    let daemon: Daemon;
    before(async () => {
      daemon = await Daemon.start({ mode });
      await writeGuestFolder({ directory: join(daemon.datastore, 'guest'), name: 'guest', agent: true });
    });
    after(() => daemon.remove());

    it('is seen and typed to', {
      skip:
        !whole && mode === 'center'
          ? 'tried at a host, and takes a minute more here: npm run test:clients tries both'
          : false,
    }, async () => {
      assert.deepEqual(await runClient('pyvmomi_console.py', daemon, { limitMs: 480_000 }), [
        'ready',
        'keys',
        'screen',
        'webmks',
        'interrupt',
        'what the guest tells',
      ]);
    });

    it('runs programs and keeps files for the user who signs in there', {
      skip:
        !whole && mode === 'host'
          ? 'tried at a center, and takes a minute more here: npm run test:clients tries both'
          : false,
    }, async () => {
      assert.deepEqual(await runClient('pyvmomi_guest_operations.py', daemon, { limitMs: 480_000 }), [
        'ready',
        'names, passwords and tickets',
        'programs run as who signed in',
        'processes listed and ended',
        'environment',
        'files and folders',
        'folders listed, attributes changed',
        'files transferred',
        'aliases',
        'events',
      ]);
    });
  });
}
