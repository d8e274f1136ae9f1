import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { VimFault } from '@hypostyle/vim';
import { filesAtRest } from '../../testing/files-at-rest.ts';
import { Computer, newDisk, rootPool, smallMachine, vmFolder } from '../../testing/host-fixture.ts';

const named = (type: string) => (error: unknown) => (error as VimFault).type === type;
const folders = async (computer: Computer) =>
  (await readdir(computer.datastore)).filter((name) => name[0] !== '.').sort();

async function withComputer(work: (computer: Computer) => Promise<void>): Promise<void> {
  const computer = await Computer.make();
  try {
    await work(computer);
    assert.deepEqual(computer.defects, []);
  } finally {
    await computer.remove();
  }
}

test('of two machines made with one name at once there is one, and its files are whole', async () => {
  await withComputer(async (computer) => {
    const daemon = await computer.start();
    const made = await Promise.allSettled(
      [1, 2, 3].map(() => daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))),
    );
    const failed = made.filter((one) => one.status === 'rejected');
    assert.equal(failed.length, 2);
    for (const one of failed) assert.ok(named('DuplicateName')(one.reason));
    assert.equal(daemon.machines().length, 1);
    assert.deepEqual(await folders(computer), ['web']);
    assert.deepEqual((await readdir(join(computer.datastore, 'web'))).sort(), ['web-flat.vmdk', 'web.vmdk', 'web.vmx']);
    await daemon.task(daemon.machines()[0]!, 'PowerOnVM_Task');
    await daemon.host.close();
  });
});

test('a machine that fails to be made in a folder with another one takes nothing of it away', async () => {
  await withComputer(async (computer) => {
    const daemon = await computer.start();
    await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web', '[datastore1] shared/web.vmx'));
    const before = await readdir(join(computer.datastore, 'shared'));
    await assert.rejects(
      daemon.task(vmFolder, 'CreateVM_Task', smallMachine('other', '[datastore1] shared/web.vmx')),
      named('FileAlreadyExists'),
    );
    const spec = smallMachine('third', '[datastore1] shared/third.vmx') as { config: { deviceChange: unknown[] } };
    // The second disk is there already, so the machine fails after its first was made.
    spec.config.deviceChange.push(newDisk(-1, '[datastore1] shared/web.vmdk'));
    await assert.rejects(daemon.task(vmFolder, 'CreateVM_Task', spec as never), named('FileAlreadyExists'));
    assert.deepEqual(await readdir(join(computer.datastore, 'shared')), before);
    await daemon.host.close();
  });
});

test('a folder is registered once, however many ask at the same time', async () => {
  await withComputer(async (computer) => {
    const daemon = await computer.start();
    const web = await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'));
    await daemon.call(web as never, 'UnregisterVM');
    const register = { path: '[datastore1] web/web.vmx', asTemplate: false, pool: rootPool };
    const results = await Promise.allSettled(
      ['a', 'b', undefined].map((name) => daemon.task(vmFolder, 'RegisterVM_Task', { ...register, name })),
    );
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
    assert.equal(daemon.machines().length, 1);
    await assert.rejects(
      daemon.task(vmFolder, 'RegisterVM_Task', { ...register, name: 'two\nlines' }),
      named('InvalidName'),
    );
    await daemon.host.close();
  });
});

test('a machine that is being started is not forgotten', async () => {
  await withComputer(async (computer) => {
    const daemon = await computer.start();
    const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as never;
    const task = (await daemon.call(web, 'PowerOnVM_Task')) as never;
    await assert.rejects(Promise.resolve(daemon.call(web, 'UnregisterVM')), named('InvalidPowerState'));
    await daemon.outcome(task);
    assert.equal(daemon.machines().length, 1);
    assert.equal(computer.engines.engines.size, 1);
    await daemon.host.close();
  });
});

test('destroying a machine leaves the disks that another one uses, and machines beside it', async () => {
  await withComputer(async (computer) => {
    const daemon = await computer.start();
    const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as never;
    const attached = smallMachine('reader') as { config: { deviceChange: Record<string, unknown>[] } };
    const disk = newDisk(-1, '[datastore1] web/web.vmdk');
    attached.config.deviceChange = [attached.config.deviceChange[0]!, { ...disk, fileOperation: undefined }];
    await daemon.task(vmFolder, 'CreateVM_Task', attached as never);
    await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web2', '[datastore1] web/web2.vmx'));
    await writeFile(join(computer.datastore, 'web', 'notes.txt'), 'mine');
    await daemon.task(web, 'Destroy_Task');
    const left = (await readdir(join(computer.datastore, 'web'))).filter((name) => name !== '.hypo').sort();
    assert.deepEqual(left, ['notes.txt', 'web-flat.vmdk', 'web.vmdk', 'web2-flat.vmdk', 'web2.vmdk', 'web2.vmx']);
    await daemon.task(daemon.machine('reader')!, 'PowerOnVM_Task');
    await daemon.host.close();
  });
});

test('a destruction that was cut off at any step is carried on', async () => {
  await withComputer(async (computer) => {
    for (let steps = 1; ; steps += 1) {
      const daemon = await computer.start();
      const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as never;
      daemon.store.stepsLeft = steps;
      const done = daemon.task(web, 'Destroy_Task').then(() => true);
      const whole = await daemon.store.outlives(done);
      if (whole) {
        assert.ok(steps > 5);
        await daemon.host.close();
        return;
      }
      await filesAtRest();
      if (!whole) daemon.bury();
      const next = await computer.start();
      await next.idle();
      if (next.machines().length > 0) await next.task(next.machines()[0]!, 'Destroy_Task');
      assert.deepEqual(await folders(computer), [], `killed at step ${steps}`);
      await next.host.close();
    }
  });
});

test('a reconfiguration that was cut off leaves no disk that nothing names, and keeps those that are named', async () => {
  await withComputer(async (computer) => {
    for (let steps = 1; ; steps += 1) {
      const daemon = await computer.start();
      const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as never;
      daemon.store.stepsLeft = steps;
      const remove = {
        _typeName: 'VirtualDeviceConfigSpec',
        operation: 'remove',
        fileOperation: 'destroy',
        device: { _typeName: 'VirtualDisk', key: 2000, capacityInKB: 0n },
      };
      const spec = { _typeName: 'VirtualMachineConfigSpec', deviceChange: [newDisk(1000), remove] };
      const done = daemon.task(web, 'ReconfigVM_Task', { spec }).then(() => true);
      const whole = await daemon.store.outlives(done);
      await filesAtRest();
      if (!whole) daemon.bury();
      daemon.store.stepsLeft += whole ? 1000 : 0;
      const next = whole ? daemon : await computer.start();
      await next.idle();
      const text = await readFile(join(computer.datastore, 'web', 'web.vmx'), 'utf8');
      const named = /fileName = "(.*)\.vmdk"/.exec(text)?.[1];
      const disks = (await readdir(join(computer.datastore, 'web'))).filter((name) => name.endsWith('.vmdk')).sort();
      assert.deepEqual(disks, [`${named}-flat.vmdk`, `${named}.vmdk`], `killed at step ${steps}`);
      await next.task(next.machines()[0]!, 'Destroy_Task');
      assert.deepEqual(await folders(computer), []);
      await next.host.close();
      if (whole) return;
    }
  });
});

test('a name of 80 characters of four bytes each makes a machine', async () => {
  await withComputer(async (computer) => {
    const daemon = await computer.start();
    const name = '🖥'.repeat(40);
    const machine = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine(name))) as never;
    assert.equal(daemon.read(machine, 'name'), name);
    await daemon.task(machine, 'PowerOnVM_Task');
    await daemon.host.close();
  });
});
