import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { PostgresServer } from '../packages/store/src/testing/postgres-server.ts';
import { centerOf } from './harness/center.ts';
import { Daemon } from './harness/daemon.ts';
import { machineSpec } from './harness/guest-machine.ts';

describe('a center that keeps its state in PostgreSQL', () => {
  let server: PostgresServer;
  let home: string;

  before(async () => {
    server = await PostgresServer.start();
    home = await mkdtemp(join(tmpdir(), 'hypostyle-test-'));
  });

  after(async () => {
    await server?.remove();
    await rm(home, { recursive: true, force: true });
  });

  it('finds it again after kill -9, and has none in its home', async () => {
    let daemon = await Daemon.start({ home, mode: 'center', postgres: server.url });
    let machine: unknown;
    {
      await using center = await centerOf(daemon);
      const folder = await center.client.call(await center.machineFolder(), 'CreateFolder', { name: 'kept' });
      assert.equal(folder.type, 'Folder');
      machine = await center.create(machineSpec('one'), { folder: { ...folder, type: 'Folder' } });
      await daemon.kill();
    }
    assert.ok(!(await readdir(join(home, 'store'))).some((name) => name.startsWith('center')));
    daemon = await Daemon.start({ home, mode: 'center', postgres: server.url });
    await using again = await centerOf(daemon);
    assert.deepEqual((await again.machines()).get('one'), machine);
    const parent = await again.property(machine as never, 'parent');
    assert.equal(await again.property(parent as never, 'name'), 'kept');

    // Two centers on one state would undo each other's work.
    await assert.rejects(Daemon.start({ mode: 'center', postgres: server.url }), /another|in use|owned/i);
    await daemon[Symbol.asyncDispose]();
  });
});
