import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import type { ManagedObjectReference } from '@hypostyle/vim';
import { references } from '../../inventory/references.ts';
import { CenterCalls } from '../../testing/center-calls.ts';
import { Computer, smallMachine, vmFolder } from '../../testing/host-fixture.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;

const tpm = (operation: 'add' | 'remove') => ({
  _typeName: 'VirtualDeviceConfigSpec',
  operation,
  device: { _typeName: 'VirtualTPM', key: operation === 'add' ? -7 : 11_000 },
});
const faultOf = (work: Promise<unknown>) =>
  work.then(
    () => 'none',
    (error: { readonly type?: string }) => error.type ?? String(error),
  );

test('a machine keeps its TPM beside it; a clone gets one of its own; it comes and goes while it is off', async () => {
  const computer = await Computer.make();
  try {
    const daemon = await computer.start();
    const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
    await daemon.task(web, 'ReconfigVM_Task', { spec: { firmware: 'efi', deviceChange: [tpm('add')] } });
    assert.match(await readFile(join(computer.datastore, 'web', 'web.vmx'), 'utf8'), /vtpm\.present = "TRUE"/);
    const shown = (daemon.read(web, 'config')?.hardware.device ?? []).find(({ key }) => key === 11_000);
    assert.equal(shown?._typeName, 'VirtualTPM');
    await daemon.task(web, 'PowerOnVM_Task');
    const engine = computer.engines.engines.get(join(computer.datastore, 'web', '.hypo', 'vm.lck'));
    const statePath = engine?.hardware.tpm?.statePath ?? '';
    assert.equal(statePath, join(computer.datastore, 'web', 'web.tpm'));
    await writeFile(statePath, 'state');
    assert.equal(
      await faultOf(daemon.task(web, 'ReconfigVM_Task', { spec: { deviceChange: [tpm('remove')] } })),
      'DeviceHotPlugNotSupported',
    );
    const fast = await daemon.call(references.datastoreSystem, 'CreateLocalDatastore', {
      name: 'fast',
      path: join(computer.directory, 'fast'),
    });
    const move = { spec: { _typeName: 'VirtualMachineRelocateSpec', datastore: fast } };
    assert.equal(await faultOf(daemon.task(web, 'RelocateVM_Task', move)), 'NotSupported');
    await daemon.task(web, 'PowerOffVM_Task');
    const center = await CenterCalls.of(daemon);
    const clone = (tpmProvisionPolicy: string) =>
      center.task(web, 'CloneVM_Task', {
        folder: vmFolder,
        name: 'copy',
        spec: {
          _typeName: 'VirtualMachineCloneSpec',
          location: { _typeName: 'VirtualMachineRelocateSpec' },
          powerOn: false,
          template: false,
          tpmProvisionPolicy,
        },
      });
    assert.equal(await faultOf(clone('copy')), 'NotSupported');
    const copy = (await clone('replace')) as Machine;
    assert.ok((daemon.read(copy, 'config')?.hardware.device ?? []).some(({ key }) => key === 11_000));
    const ofCopy = await readdir(join(computer.datastore, 'copy'));
    assert.deepEqual(
      ofCopy.filter((name) => name.endsWith('.tpm')),
      [],
    );
    await daemon.task(web, 'ReconfigVM_Task', { spec: { deviceChange: [tpm('remove')] } });
    await daemon.task(web, 'PowerOnVM_Task');
    const again = computer.engines.engines.get(join(computer.datastore, 'web', '.hypo', 'vm.lck'));
    assert.equal(again?.hardware.tpm, undefined);
    await daemon.task(web, 'PowerOffVM_Task');
    await daemon.task(web, 'Destroy_Task');
    assert.deepEqual(
      (await readdir(computer.datastore)).filter((name) => name === basename('web')),
      [],
    );
    assert.deepEqual(computer.defects, []);
    await daemon.host.close();
  } finally {
    await computer.remove();
  }
});
