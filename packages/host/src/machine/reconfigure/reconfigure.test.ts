import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ManagedObjectReference } from '@hypostyle/vim';
import { Computer, smallMachine, vmFolder } from '../../testing/host-fixture.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;
const instanceUuid = '52aa0000-1111-2222-3333-444455556666';

test('a machine gets another instance UUID while it is off and while it runs, in its folder, and copies are told', async () => {
  const computer = await Computer.make();
  try {
    const daemon = await computer.start();
    const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
    const db = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('db'))) as Machine;
    await daemon.task(web, 'PowerOnVM_Task');
    for (const machine of [web, db]) {
      await daemon.task(machine, 'ReconfigVM_Task', { spec: { instanceUuid } });
      assert.equal(daemon.read(machine, 'config')?.instanceUuid, instanceUuid);
      assert.equal(daemon.read(machine, 'summary')?.config.instanceUuid, instanceUuid);
    }
    const vmx = await readFile(join(computer.datastore, 'web', 'web.vmx'), 'utf8');
    assert.match(vmx, /vc\.uuid = "52 aa 00 00 11 11 22 22-33 33 44 44 55 55 66 66"/);
    const eventManager = { type: 'EventManager', value: 'ha-eventmgr' };
    const events = (await daemon.call(eventManager, 'QueryEvents', { filter: {} })) as {
      readonly _typeName: string;
      readonly vm?: { readonly name: string };
      readonly conflictedVm?: { readonly name: string };
    }[];
    const told = events.filter((event) => event._typeName.startsWith('VmInstanceUuid'));
    assert.deepEqual(
      told.map((event) => [event._typeName, event.vm?.name, event.conflictedVm?.name]),
      [
        ['VmInstanceUuidChangedEvent', 'web', undefined],
        ['VmInstanceUuidChangedEvent', 'db', undefined],
        ['VmInstanceUuidConflictEvent', 'db', 'web'],
      ],
    );
    assert.deepEqual(computer.defects, []);
    await daemon.host.close();
  } finally {
    await computer.remove();
  }
});
