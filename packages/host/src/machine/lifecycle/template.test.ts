import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ManagedObjectReference, VimFault } from '@hypostyle/vim';
import { Computer, rootPool, smallMachine, vmFolder } from '../../testing/host-fixture.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;
const named = (type: string) => (error: unknown) => (error as VimFault).type === type;

test('a machine becomes a template and a machine again, and its folder says which', async (t) => {
  const computer = await Computer.make();
  const daemon = await computer.start();
  t.after(async () => {
    await daemon.host.close();
    assert.deepEqual(computer.defects, []);
    await computer.remove();
  });
  const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
  const pool = { type: 'ResourcePool', value: rootPool.value } as ManagedObjectReference<'ResourcePool'>;
  const inPool = () => (daemon.host.registry.read(pool, 'vm') ?? []).map(({ value }) => value);
  await assert.rejects(daemon.call(web, 'MarkAsVirtualMachine', { pool }), named('NotSupported'));
  await daemon.task(web, 'PowerOnVM_Task');
  await assert.rejects(daemon.call(web, 'MarkAsTemplate'), named('InvalidPowerState'));
  await daemon.task(web, 'PowerOffVM_Task');
  await daemon.call(web, 'MarkAsTemplate');
  assert.equal(daemon.read(web, 'config')?.template, true);
  assert.equal(daemon.read(web, 'summary')?.config.template, true);
  assert.equal(daemon.read(web, 'resourcePool'), undefined);
  assert.deepEqual(inPool(), []);
  await assert.rejects(daemon.task(web, 'PowerOnVM_Task'), named('InvalidState'));
  await assert.rejects(daemon.call(web, 'MarkAsTemplate'), named('NotSupported'));
  await daemon.call(web, 'UnregisterVM');
  const path = '[datastore1] web/web.vmx';
  await assert.rejects(
    daemon.task(vmFolder, 'RegisterVM_Task', { path, asTemplate: true, pool }),
    named('InvalidArgument'),
  );
  const again = (await daemon.task(vmFolder, 'RegisterVM_Task', { path, asTemplate: true })) as Machine;
  assert.equal(daemon.read(again, 'config')?.template, true);
  const host = { type: 'HostSystem', value: 'elsewhere' };
  await assert.rejects(daemon.call(again, 'MarkAsVirtualMachine', { pool, host }), named('InvalidArgument'));
  await daemon.call(again, 'MarkAsVirtualMachine', { pool });
  assert.deepEqual(daemon.read(again, 'resourcePool')?.value, pool.value);
  assert.deepEqual(inPool(), [again.value]);
  await daemon.task(again, 'PowerOnVM_Task');
  await daemon.task(again, 'PowerOffVM_Task');
  await daemon.call(again, 'UnregisterVM');
  await daemon.task(vmFolder, 'RegisterVM_Task', { path, asTemplate: true });
  assert.match(await readFile(join(computer.datastore, 'web', 'web.vmx'), 'utf8'), /^template = "TRUE"$/m);
});
