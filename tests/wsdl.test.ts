import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createClient } from '@hypostyle/vim';
import { runClient } from './harness/client-script.ts';
import { Daemon } from './harness/daemon.ts';
import { writeGuestFolder } from './harness/guest-folder.ts';

describe('clients made from the WSDL of the server', () => {
  let daemon: Daemon;
  before(async () => {
    daemon = await Daemon.start();
    await writeGuestFolder({ directory: join(daemon.datastore, 'guest'), name: 'guest' });
    await using client = createClient({ url: daemon.url, tls: { insecure: true } });
    await client.signIn(daemon.username, daemon.password);
    const task = await client.call({ type: 'Folder', value: 'ha-folder-vm' }, 'RegisterVM_Task', {
      path: '[datastore1] guest/guest.vmx',
      asTemplate: false,
      pool: { type: 'ResourcePool', value: 'ha-root-pool' },
    });
    await client.waitForTask(task);
  });
  after(() => daemon.remove());

  it("Debian's suds signs in and reads", async () => {
    assert.deepEqual(await runClient('suds_read.py', daemon), [
      'read the WSDL',
      'wrong password: InvalidLogin',
      'signed in',
      'read a machine through a view',
      'signed out',
    ]);
  });

  it("Debian's zeep signs in and reads", async () => {
    assert.deepEqual(await runClient('zeep_read.py', daemon), [
      'read the WSDL',
      'wrong password: InvalidLogin',
      'signed in',
      'read every property of the inventory',
      'signed out',
    ]);
  });
});
