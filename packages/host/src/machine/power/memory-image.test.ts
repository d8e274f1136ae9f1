import assert from 'node:assert/strict';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { VimFault } from '@hypostyle/vim';
import { Computer, rootPool, smallMachine, vmFolder } from '../../testing/host-fixture.ts';
import { deaths, killedAt, killLimit } from '../../testing/killed.ts';
import { gateFiles } from '../../testing/mortal-files.ts';
import { withMachine } from '../../testing/snapshot-fixture.ts';

const saying = (words: RegExp) => (error: unknown) =>
  (error as VimFault).type === 'FileNotFound' && words.test((error as VimFault).message);

test('a suspended machine whose memory is gone is not started anew unasked', async (t) => {
  const { computer, daemon, web, folder } = await withMachine(t);
  const state = () => daemon.read(web, 'runtime')?.powerState;
  await daemon.task(web, 'PowerOnVM_Task');
  await daemon.task(web, 'SuspendVM_Task');
  const [image = ''] = (await readdir(folder)).filter((name) => name.endsWith('.vmss'));
  const { started } = computer.engines;
  await rm(join(folder, image));
  await assert.rejects(daemon.task(web, 'PowerOnVM_Task'), saying(new RegExp(`\\[datastore1\\] web/${image}`)));
  assert.equal(state(), 'suspended');
  const vmx = await readFile(join(folder, 'web.vmx'), 'utf8');
  await writeFile(join(folder, 'web.vmx'), vmx.replace(/^checkpoint\.vmState.*\n/m, ''));
  await assert.rejects(daemon.task(web, 'PowerOnVM_Task'), saying(/web\.vmx names no memory/));
  assert.equal(state(), 'suspended');
  assert.equal(computer.engines.started, started);
  // What it remembered is given up by whoever says so.
  await daemon.task(web, 'PowerOffVM_Task');
  await daemon.task(web, 'PowerOnVM_Task');
  assert.equal(state(), 'poweredOn');
  assert.equal(computer.engines.started, started + 1);
  assert.deepEqual(computer.defects, []);
});

test('a suspended machine that is forgotten and registered anew goes on from its memory', async (t) => {
  const { computer, daemon, web, folder, lock } = await withMachine(t);
  await daemon.task(web, 'PowerOnVM_Task');
  computer.engines.remember(lock, 'words to keep');
  await daemon.task(web, 'SuspendVM_Task');
  const suspended = daemon.read(web, 'runtime')?.suspendTime;
  await daemon.call(web, 'UnregisterVM');
  const register = (asTemplate: boolean, place: object = { pool: rootPool }) =>
    daemon.task(vmFolder, 'RegisterVM_Task', { path: '[datastore1] web/web.vmx', asTemplate, ...place });
  await assert.rejects(register(true, {}), (error) => (error as VimFault).type === 'InvalidVmConfig');
  const again = (await register(false)) as typeof web;
  const runtime = daemon.read(again, 'runtime');
  assert.equal(runtime?.powerState, 'suspended');
  // It was suspended when its memory was whole, which a file system may say to the second only.
  assert.ok(Math.abs(Date.parse(runtime?.suspendTime ?? '') - Date.parse(suspended ?? '')) < 600_000);
  await daemon.task(again, 'PowerOnVM_Task');
  assert.equal(computer.engines.engines.get(lock)?.memory, 'words to keep');
  // It is known as that to the next process too.
  await daemon.task(again, 'SuspendVM_Task');
  await daemon.call(again, 'UnregisterVM');
  const third = (await register(false)) as typeof web;
  daemon.die();
  const next = await computer.start();
  assert.equal(next.read(third, 'runtime')?.powerState, 'suspended');
  // Memory that did not come with the folder is not waited for.
  await next.call(third, 'UnregisterVM');
  for (const name of await readdir(folder)) if (name.endsWith('.vmss')) await rm(join(folder, name));
  const path = '[datastore1] web/web.vmx';
  const off = (await next.task(vmFolder, 'RegisterVM_Task', { path, asTemplate: false, pool: rootPool })) as typeof web;
  assert.equal(next.read(off, 'runtime')?.powerState, 'poweredOff');
  await next.task(off, 'PowerOnVM_Task');
  assert.doesNotMatch(await readFile(join(folder, 'web.vmx'), 'utf8'), /vmState/);
  assert.deepEqual(computer.defects, []);
});

test('wherever the process dies that finds no memory, the machine stays suspended', killLimit, async (t) => {
  t.after(gateFiles());
  const computer = await Computer.make();
  t.after(() => computer.remove());
  let daemon = await computer.start();
  const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as never;
  await daemon.task(web, 'PowerOnVM_Task');
  await daemon.task(web, 'SuspendVM_Task');
  const folder = join(computer.datastore, 'web');
  for (const name of await readdir(folder)) if (name.endsWith('.vmss')) await rm(join(folder, name));
  for (const dies of deaths(3)) {
    const end = await killedAt({ computer, daemon, dies }, (alive) =>
      assert.rejects(alive.task(web, 'PowerOnVM_Task'), saying(/is not there/)),
    );
    daemon = end.daemon;
    assert.equal(daemon.read(web, 'runtime')?.powerState, 'suspended', `killed at ${dies}`);
    assert.equal(computer.engines.engines.size, 0);
    for (const task of daemon.tasks('PowerOnVM_Task').slice(1))
      assert.equal(task.error?.fault._typeName, 'FileNotFound');
    if (end.whole) break;
  }
  assert.deepEqual(computer.defects, []);
});
