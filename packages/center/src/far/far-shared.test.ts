import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { smallMachine } from '@hypostyle/host/testing';
import type { ManagedObjectReference } from '@hypostyle/vim';
import { twoHosts } from '../testing/two-hosts.ts';

test('between hosts that share its datastore a machine is registered elsewhere, and no byte is sent', {
  timeout: 120_000,
}, async (t) => {
  const { center, daemon, farHost, farPool, pool, vmFolder, network } = await twoHosts(t);
  const path = await mkdtemp(join(tmpdir(), 'hypo-shared-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  const system: ManagedObjectReference = { type: 'HostDatastoreSystem', value: 'ha-datastoresystem' };
  for (const host of ['local', 'far'])
    await daemon(host).call(system, 'CreateLocalDatastore', { name: 'shared', path });
  await center.until(
    () =>
      center.center.core.hosts.shared.hostsOf(
        center.all('Datastore').find((ref) => center.read(ref, 'name') === 'shared')?.value ?? '',
      ).length === 2,
  );
  const { config } = smallMachine('web', '[shared]') as { config: object };
  const near = center.all('HostSystem').find(({ value }) => value !== farHost.value);
  const web = (await center.task(vmFolder, 'CreateVM_Task', {
    config,
    pool,
    host: near,
  })) as ManagedObjectReference<'VirtualMachine'>;
  const uuid = center.read(web, 'config')?.instanceUuid;
  let sent = 0;
  network.onExchange = () => {
    sent += 1;
  };
  await center.task(web, 'MigrateVM_Task', { host: farHost, pool: farPool, priority: 'defaultPriority' });
  assert.equal(sent, 0);
  assert.deepEqual(center.read(web, 'runtime')?.host, farHost);
  assert.equal(center.read(web, 'config')?.instanceUuid, uuid);
  assert.ok(daemon('far').machine('web') !== undefined && daemon('local').machine('web') === undefined);
  const spec = { _typeName: 'VirtualMachineRelocateSpec', host: near, pool };
  await center.task(web, 'RelocateVM_Task', { spec });
  assert.deepEqual(center.read(web, 'runtime')?.host, near);
  await center.task(web, 'PowerOnVM_Task', {});
  assert.ok((await center.events()).includes('VmMigratedEvent' as never));
  assert.equal(center.all('VirtualMachine').length, 1);
  assert.deepEqual(center.defects, []);
});
