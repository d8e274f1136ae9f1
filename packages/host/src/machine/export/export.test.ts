import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { HttpNfcLeaseInfo, ManagedObjectReference, VimFault } from '@hypostyle/vim';
import { Computer, type Daemon, smallMachine, vmFolder } from '../../testing/host-fixture.ts';

type Lease = ManagedObjectReference<'HttpNfcLease'>;
const named = (type: string) => (error: unknown) => (error as VimFault).type === type;

async function withMachine(t: TestContext) {
  const computer = await Computer.make();
  const daemon = await computer.start();
  t.after(async () => {
    await daemon.host.close();
    await computer.remove();
  });
  const machine = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as ManagedObjectReference;
  return { daemon, machine };
}

async function ready(daemon: Daemon, lease: Lease): Promise<HttpNfcLeaseInfo> {
  while (daemon.host.registry.read(lease, 'state') === 'initializing') await new Promise(setImmediate);
  assert.equal(daemon.host.registry.read(lease, 'state'), 'ready');
  return daemon.host.registry.read(lease, 'info') as HttpNfcLeaseInfo;
}

test('disks of a machine that is off are given by a lease, which has the machine to itself', async (t) => {
  const { daemon, machine } = await withMachine(t);
  const lease = (await daemon.call(machine, 'ExportVm')) as Lease;
  const [device] = (await ready(daemon, lease)).deviceUrl ?? [];
  const [, id = '', file = ''] = /nfc\/([0-9a-f]+)\/(.+)$/.exec(device?.url ?? '') ?? [];
  const given = daemon.host.leases.target(id, file);
  assert.ok(given);
  const parts: Uint8Array[] = [];
  for await (const part of given.provide(file, new AbortController().signal)) parts.push(part);
  assert.equal(Buffer.concat(parts).subarray(0, 4).toString(), 'KDMV', 'a sparse extent of VMDK');
  await assert.rejects(daemon.task(machine, 'PowerOnVM_Task'), named('TaskInProgress'));
  await daemon.call(lease, 'HttpNfcLeaseComplete');
  await daemon.task(machine, 'PowerOnVM_Task');
  await assert.rejects(daemon.call(machine, 'ExportVm'), named('InvalidPowerState'));
});

test('a lease that is aborted lets go of the machine', async (t) => {
  const { daemon, machine } = await withMachine(t);
  const lease = (await daemon.call(machine, 'ExportVm')) as Lease;
  await ready(daemon, lease);
  await daemon.call(lease, 'HttpNfcLeaseAbort');
  await daemon.idle();
  await daemon.task(machine, 'Destroy_Task');
  assert.deepEqual(daemon.machines(), []);
});

test('who asks for the machine right after an export was granted hears so at once', async (t) => {
  const { daemon, machine } = await withMachine(t);
  const lease = (await daemon.call(machine, 'ExportVm')) as Lease;
  for (const method of ['MarkAsTemplate', 'ExportVm'])
    await assert.rejects(daemon.call(machine, method), named('TaskInProgress'), method);
  await assert.rejects(daemon.task(machine, 'PowerOnVM_Task'), named('TaskInProgress'));
  await ready(daemon, lease);
  await daemon.call(lease, 'HttpNfcLeaseComplete');
  await daemon.call(machine, 'MarkAsTemplate');
});
