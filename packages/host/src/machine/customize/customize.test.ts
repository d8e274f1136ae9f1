import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ManagedObjectReference, VimFault } from '@hypostyle/vim';
import { CenterCalls } from '../../testing/center-calls.ts';
import { Computer, smallMachine, vmFolder } from '../../testing/host-fixture.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;
const named = (type: string) => (error: unknown) => (error as VimFault).type === type;

const spec = (name: string) => ({
  _typeName: 'CustomizationSpec',
  identity: {
    _typeName: 'CustomizationLinuxPrep',
    hostName: { _typeName: 'CustomizationFixedName', name },
    domain: 'example.com',
  },
  globalIPSettings: { _typeName: 'CustomizationGlobalIPSettings' },
});

test('a clone is told who it is at its first start, once', async (t) => {
  const computer = await Computer.make();
  const daemon = await computer.start();
  t.after(async () => {
    await daemon.host.close();
    assert.deepEqual(computer.defects, []);
    await computer.remove();
  });
  const center = await CenterCalls.of(daemon);
  const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
  const clone = (await center.task(web, 'CloneVM_Task', {
    folder: vmFolder,
    name: 'copy',
    spec: {
      _typeName: 'VirtualMachineCloneSpec',
      location: { _typeName: 'VirtualMachineRelocateSpec' },
      template: false,
      powerOn: false,
      customization: spec('copy1'),
    },
  })) as Machine;
  const file = (name: string) => join(computer.datastore, 'copy', '.hypo', name);
  assert.equal((await stat(file('customization.json'))).mode & 0o777, 0o600);
  const started = async () => {
    const { eventManager } = daemon.host.registry.read(
      { type: 'ServiceInstance', value: 'ServiceInstance' },
      'content',
    ) as {
      eventManager: ManagedObjectReference<'EventManager'>;
    };
    const events = (await daemon.call(eventManager, 'QueryEvents', { filter: {} })) as { _typeName: string }[];
    return events.filter(({ _typeName }) => _typeName === 'CustomizationStartedEvent').length;
  };
  await daemon.task(clone, 'PowerOnVM_Task');
  assert.ok((await readFile(file('customization.iso'))).includes('copy1.example.com'));
  assert.equal(await started(), 1);
  await assert.rejects(daemon.task(clone, 'CustomizeVM_Task', { spec: spec('x') }), named('CustomizationFault'));
  await daemon.task(clone, 'PowerOffVM_Task');
  await daemon.task(clone, 'PowerOnVM_Task');
  assert.equal(existsSync(file('customization.iso')), false);
  assert.equal(await started(), 1);
  await daemon.task(clone, 'PowerOffVM_Task');
  await daemon.task(clone, 'CustomizeVM_Task', { spec: spec('copy2') });
  await daemon.call(clone, 'CheckCustomizationSpec', { spec: spec('copy2') });
  await assert.rejects(daemon.call(clone, 'CheckCustomizationSpec', { spec: spec('-') }), named('CustomizationFault'));
  await daemon.task(clone, 'PowerOnVM_Task');
  assert.ok((await readFile(file('customization.iso'))).includes('copy2.example.com'));
  assert.equal(await started(), 2);
});
