import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { historySteps, runClient } from './harness/client-script.ts';
import { Daemon } from './harness/daemon.ts';
import { writeGuestFolder } from './harness/guest-folder.ts';

describe("Debian's pyVmomi", () => {
  let daemon: Daemon;
  before(async () => {
    daemon = await Daemon.start();
  });
  after(() => daemon.remove());

  it('creates, runs, changes and destroys a machine', async () => {
    assert.deepEqual(await runClient('pyvmomi_lifecycle.py', daemon), [
      'created with a disk and a NIC',
      'a second of that name: DuplicateName',
      'WaitForUpdatesEx around a power-on',
      'what cannot be done while it runs: InvalidPowerState',
      'what is not plugged while it runs: a fault for each',
      'a disk and an adapter come, change and go while it runs',
      'reset',
      'powered off',
      'reconfigured memory',
      'a disk added and removed, renamed',
      'events',
      'tasks',
      'destroyed',
    ]);
  });

  it('uploads, browses and downloads files of a datastore', async () => {
    assert.deepEqual(await runClient('pyvmomi_files.py', daemon), [
      'uploaded',
      'refused without a session',
      'browsed',
      'downloaded',
      'copied and moved',
      'deleted',
    ]);
  });

  it('suspends, resumes, resets and shuts down a real guest', async () => {
    await writeGuestFolder({ directory: join(daemon.datastore, 'guest'), name: 'guest', agent: true });
    assert.deepEqual(await runClient('pyvmomi_guest.py', daemon, { limitMs: 300_000 }), [
      'booted',
      'what the agent tells',
      'a busy guest is seen',
      'what it writes is seen, by disk and together',
      'CSV says the same',
      'the host, and what runs on it',
      'suspended',
      'resumed',
      'reset',
      'rebooted by the agent',
      'shut down by the agent',
      'powered off while suspended',
      'unregistered, folder kept',
    ]);
  });

  it('reads the history of events and tasks, page by page', async () => {
    assert.deepEqual(await runClient('pyvmomi_history.py', daemon), historySteps);
  });

  it('walks the inventory and reads every machine', async () => {
    assert.deepEqual(await runClient('pyvmomi_walk.py', daemon), [
      'wrong password: InvalidLogin',
      'signed in',
      'made three machines',
      'about',
      'inventory by a ContainerView',
      'name, power state and hardware',
      'summary of all machines',
      'host, datastore and search',
      'signed out',
    ]);
  });
});
