import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HostNetwork, TestCenter } from '../../testing/center-fixture.ts';

test('whoever waits for what a host did is told, however many wait at once', { timeout: 60_000 }, async (t) => {
  const network = new HostNetwork();
  await network.add('local');
  const center = await TestCenter.open(network, undefined, 'local');
  t.after(async () => {
    await center.close();
    await network.remove();
  });
  const [host] = center.all('HostSystem');
  assert.ok(host);
  const link = center.center.core.hosts.connected(host.value);
  await Promise.all(Array.from({ length: 300 }, () => link.caughtUp()));
});
