import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ManagedObjectReference } from '@hypostyle/vim';
import { CenterCalls } from '../../testing/center-calls.ts';
import { filesOfChains, readFakeDisk, visibleFiles } from '../../testing/disk-reading.ts';
import { Computer, smallMachine, vmFolder } from '../../testing/host-fixture.ts';
import { deaths, killedAt, killLimit } from '../../testing/killed.ts';
import { gateFiles } from '../../testing/mortal-files.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;

const spec = (snapshot: unknown) => ({
  _typeName: 'VirtualMachineCloneSpec',
  location: { _typeName: 'VirtualMachineRelocateSpec', diskMoveType: 'createNewChildDiskBacking' },
  template: false,
  powerOn: false,
  snapshot,
});

test(
  'killed at any step of a promotion: the clone has the same bytes, on a base or of its own',
  killLimit,
  async (t) => {
    t.after(gateFiles());
    const computer = await Computer.make();
    t.after(() => computer.remove());
    let daemon = await computer.start();
    const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
    const lock = (name: string) => join(computer.datastore, name, '.hypo', 'vm.lck');
    await daemon.task(web, 'PowerOnVM_Task');
    computer.engines.write(lock('web'), 'scsi0u0', 0, 1);
    const take = { name: 'base', memory: false, quiesce: false };
    const snapshot = await daemon.task(web, 'CreateSnapshot_Task', take);
    const folder = join(computer.datastore, 'thin');
    let thin: Machine | undefined;
    for (const dies of deaths(5)) {
      if (thin === undefined) {
        const center = await CenterCalls.of(daemon);
        const args = { folder: vmFolder, name: 'thin', spec: spec(snapshot) };
        thin = (await center.task(web, 'CloneVM_Task', args)) as Machine;
        await daemon.task(thin, 'PowerOnVM_Task');
        computer.engines.write(lock('thin'), 'scsi0u0', 1, 2);
        await daemon.task(thin, 'PowerOffVM_Task');
      }
      const known = new Set(daemon.tasks('PromoteDisks_Task').map(({ key }) => key));
      const clone = thin;
      const end = await killedAt({ computer, daemon, dies }, (alive) =>
        alive.task(clone, 'PromoteDisks_Task', { unlink: true }),
      );
      daemon = end.daemon;
      const where = `killed at ${dies}`;
      const task = daemon.tasks('PromoteDisks_Task').find(({ key }) => !known.has(key));
      assert.ok(task === undefined || task.state === 'success', `${where}: ${task?.error?.localizedMessage}`);
      const device = daemon.read(clone, 'config')?.hardware.device?.find((one) => one._typeName === 'VirtualDisk');
      const name = (device?.backing as { readonly fileName?: string } | undefined)?.fileName?.split('/').at(-1) ?? '';
      assert.equal(name, task === undefined ? 'thin.vmdk' : 'thin-whole.vmdk', where);
      assert.deepEqual(await readFakeDisk(join(folder, name), 3), [1, 2, 0], where);
      const own = task === undefined ? ['thin-delta.qcow2', 'thin.vmdk'] : [...(await filesOfChains(folder, [name]))];
      assert.deepEqual(await visibleFiles(folder), [...own, 'thin.vmx'].sort(), where);
      await daemon.task(clone, 'PowerOnVM_Task');
      await daemon.task(clone, 'PowerOffVM_Task');
      if (task !== undefined) {
        await daemon.task(clone, 'Destroy_Task');
        thin = undefined;
      }
      assert.deepEqual(computer.defects, [], where);
      if (end.whole) break;
    }
    // Nothing stands on the snapshot any more.
    await daemon.task(web, 'RemoveAllSnapshots_Task');
    assert.deepEqual(await visibleFiles(join(computer.datastore, 'web')), [
      'web-flat.vmdk',
      'web.vmdk',
      'web.vmsd',
      'web.vmx',
    ]);
  },
);
