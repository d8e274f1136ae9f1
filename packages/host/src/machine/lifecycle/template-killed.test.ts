import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ManagedObjectReference } from '@hypostyle/vim';
import { Computer, rootPool, smallMachine, vmFolder } from '../../testing/host-fixture.ts';
import { deaths, killedAt, killLimit } from '../../testing/killed.ts';
import { gateFiles } from '../../testing/mortal-files.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;

for (const method of ['MarkAsTemplate', 'MarkAsVirtualMachine']) {
  const toTemplate = method === 'MarkAsTemplate';
  test(`killed at any step of ${method}: folder, inventory, pool and task agree`, killLimit, async (t) => {
    t.after(gateFiles());
    const computer = await Computer.make();
    t.after(() => computer.remove());
    let daemon = await computer.start();
    const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
    const other = toTemplate ? 'MarkAsVirtualMachine' : 'MarkAsTemplate';
    const args = (name: string) => (name === 'MarkAsTemplate' ? {} : { pool: rootPool });
    for (const dies of deaths(3)) {
      if (daemon.read(web, 'config')?.template === toTemplate) await daemon.call(web, other, args(other));
      const known = new Set(daemon.tasks(method).map(({ key }) => key));
      const end = await killedAt({ computer, daemon, dies }, (alive) => alive.call(web, method, args(method)));
      daemon = end.daemon;
      const where = `killed at ${dies}`;
      const task = daemon.tasks(method).find(({ key }) => !known.has(key));
      assert.ok(task === undefined || task.state === 'success', `${where}: ${task?.error?.localizedMessage}`);
      const isTemplate = (task !== undefined) === toTemplate;
      assert.equal(daemon.read(web, 'config')?.template, isTemplate, where);
      assert.equal(daemon.read(web, 'resourcePool') === undefined, isTemplate, where);
      const inPool = (daemon.host.registry.read(rootPool, 'vm') ?? []).map(({ value }) => value);
      assert.deepEqual(inPool, isTemplate ? [] : [web.value], where);
      const vmx = await readFile(join(computer.datastore, 'web', 'web.vmx'), 'utf8');
      assert.equal(/^template = "TRUE"$/m.test(vmx), isTemplate, where);
      assert.deepEqual(computer.defects, [], where);
      if (end.whole) break;
    }
    if (toTemplate) await daemon.call(web, other, args(other));
    await daemon.task(web, 'PowerOnVM_Task');
  });
}
