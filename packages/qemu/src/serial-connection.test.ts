import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { connectSerial, SlowViewerError } from './serial-connection.ts';

it('passes bytes both ways, and drops a viewer that does not read rather than stall the port', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'serial-'));
  const server = createServer();
  server.listen(join(folder, 's'));
  await once(server, 'listening');
  const port = async (maxBacklogBytes: number) => {
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const viewer = await connectSerial(join(folder, 's'), { maxBacklogBytes });
    return { viewer, guest: (await accepted)[0] };
  };
  try {
    const { viewer, guest } = await port(1 << 20);
    guest.write('login:');
    assert.equal(String((await once(viewer, 'data'))[0]), 'login:');
    viewer.write('root');
    assert.equal(String((await once(guest, 'data'))[0]), 'root');
    viewer.destroy();
    const slow = await port(100_000);
    const reason = once(slow.viewer, 'error');
    slow.guest.on('error', () => {});
    slow.guest.write(Buffer.alloc(4_000_000));
    assert.ok((await reason)[0] instanceof SlowViewerError);
    assert.ok(slow.viewer.destroyed);
  } finally {
    server.close();
    await rm(folder, { recursive: true });
  }
});
