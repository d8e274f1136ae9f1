import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { HttpNfcLeaseInfo, ManagedObjectReference, VimFault, VirtualMachineTicket } from '@hypostyle/vim';
import { Computer, type Daemon, smallMachine, vmFolder } from '../../testing/host-fixture.ts';

const named = (type: string) => (error: unknown) => (error as VimFault).type === type;

async function withMachine(t: TestContext) {
  const computer = await Computer.make();
  const daemon = await computer.start();
  t.after(async () => {
    await daemon.host.close();
    await computer.remove();
  });
  const machine = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as ManagedObjectReference;
  const acquire = async (ticketType: string) =>
    (await daemon.call(machine, 'AcquireTicket', { ticketType })) as VirtualMachineTicket;
  return { computer, daemon, machine, acquire };
}

/** The disk of a ticket, as the NBD face gets it. */
async function diskOf(daemon: Daemon, { ticket }: VirtualMachineTicket) {
  const [id = '', file = ''] = ticket.split('/');
  const lease = daemon.host.leases.target(id, file);
  assert.ok(lease);
  const released: unknown[] = [];
  /** Whether it has clients at the moment. */
  const clients = { connected: true };
  const disk = await lease.disk(file, {
    release: async (one) => void released.push(one),
    isUsed: () => clients.connected,
  });
  return { lease, disk, released, clients };
}

/** The lease of a ticket as clients know it. */
function leaseOf(daemon: Daemon, { ticket }: VirtualMachineTicket): ManagedObjectReference<'HttpNfcLease'> {
  for (let number = 1; ; number += 1) {
    const ref = { type: 'HttpNfcLease', value: `lease-${number}` } as ManagedObjectReference<'HttpNfcLease'>;
    const info = daemon.host.registry.read(ref, 'info') as HttpNfcLeaseInfo | undefined;
    if (info?.deviceUrl?.some(({ url }) => url.endsWith(ticket))) return ref;
  }
}

test('a disk of a machine that is off is read, and the machine is left alone meanwhile', async (t) => {
  const { daemon, machine, acquire } = await withMachine(t);
  const ticket = await acquire('nbd:2000');
  assert.equal(ticket.port, 10_809);
  assert.match(ticket.ticket, /^[0-9a-f]{32}\/disk-0\.vmdk$/);
  assert.equal(ticket.url, `nbds://*/${ticket.ticket}`);
  const { disk, released } = await diskOf(daemon, ticket);
  assert.equal(disk.disk.virtualBytes, 2 ** 20);
  assert.equal(disk.writable, false);
  assert.equal((await disk.disk.read(0, 512)).length, 512);
  assert.equal((await diskOf(daemon, ticket)).disk, disk, 'opened once');
  await assert.rejects(daemon.task(machine, 'PowerOnVM_Task'), named('TaskInProgress'));
  await assert.rejects(acquire('nbd:2000'), named('TaskInProgress'));
  await daemon.call(leaseOf(daemon, ticket), 'HttpNfcLeaseComplete');
  assert.deepEqual(released, [disk]);
  await assert.rejects(disk.disk.read(0, 512));
  await daemon.idle();
  await daemon.task(machine, 'PowerOnVM_Task');
});

test('a disk of a machine that is off is written, and has another CID then', async (t) => {
  const { daemon, acquire } = await withMachine(t);
  const ticket = await acquire('nbd:2000:rw');
  const { disk } = await diskOf(daemon, ticket);
  const before = disk.disk.descriptor?.contentId;
  await disk.disk.write(4096, Buffer.from('written'));
  await daemon.call(leaseOf(daemon, ticket), 'HttpNfcLeaseComplete');
  await daemon.idle();
  const again = await diskOf(daemon, await acquire('nbd:2000'));
  assert.equal((await again.disk.disk.read(4096, 7)).toString(), 'written');
  assert.notEqual(again.disk.disk.descriptor?.contentId, before);
});

test('a disk of a machine that runs is read through its engine, until that ends', async (t) => {
  const { computer, daemon, machine, acquire } = await withMachine(t);
  await daemon.task(machine, 'PowerOnVM_Task');
  await assert.rejects(acquire('nbd:2000:rw'), named('InvalidPowerState'));
  const ticket = await acquire('nbd:2000');
  const [engine] = [...computer.engines.engines.values()];
  const { disk } = await diskOf(daemon, ticket);
  assert.equal(engine?.exports.size, 1);
  const { lockPath = '' } = engine ?? {};
  computer.engines.write(lockPath, 'scsi0u0', 3, 7);
  assert.equal((await disk.disk.read(3 * 512, 1))[0], 7);
  const lease = leaseOf(daemon, ticket);
  assert.equal(daemon.host.registry.read(lease, 'state'), 'ready');
  await daemon.task(machine, 'PowerOffVM_Task');
  while (daemon.host.registry.read(lease, 'state') === 'ready') await new Promise(setImmediate);
  assert.equal(daemon.host.registry.read(lease, 'state'), 'error');
});

test('an export whose clients have left ends when somebody asks for what it holds', async (t) => {
  const { daemon, machine, acquire } = await withMachine(t);
  const written = await diskOf(daemon, await acquire('nbd:2000:rw'));
  await assert.rejects(daemon.task(machine, 'PowerOnVM_Task'), named('TaskInProgress'));
  await written.disk.disk.write(4096, Buffer.from('written'));
  written.clients.connected = false;
  // What comes next does not fail, and waits until it has ended.
  const again = await diskOf(daemon, await acquire('nbd:2000'));
  assert.deepEqual(written.released, [written.disk]);
  assert.equal((await again.disk.disk.read(4096, 7)).toString(), 'written');
  again.clients.connected = false;
  await daemon.task(machine, 'PowerOnVM_Task');
  const take = { name: 'first', memory: false, quiesce: false };
  const snapshot = (await daemon.task(machine, 'CreateSnapshot_Task', take)) as ManagedObjectReference;
  // One that nobody has come for yet is held.
  const ticket = await acquire('nbd:2000@1');
  await assert.rejects(
    daemon.task(snapshot, 'RemoveSnapshot_Task', { removeChildren: false }),
    named('TaskInProgress'),
  );
  const { clients } = await diskOf(daemon, ticket);
  clients.connected = false;
  await daemon.task(snapshot, 'RemoveSnapshot_Task', { removeChildren: false });
});

test('tickets for no disk, and malformed ones, are refused', async (t) => {
  const { acquire } = await withMachine(t);
  for (const type of ['nbd', 'nbd:', 'nbd:disk', 'nbd:1999', 'nbd:2000:w', 'nbds:2000']) {
    await assert.rejects(acquire(type), named('InvalidArgument'), type);
  }
});

test('a snapshot is exported while its machine runs, and is not merged away meanwhile', async (t) => {
  const { daemon, machine, acquire } = await withMachine(t);
  await daemon.task(machine, 'PowerOnVM_Task');
  const snapshot = (await daemon.task(machine, 'CreateSnapshot_Task', {
    name: 'first',
    memory: false,
    quiesce: false,
  })) as ManagedObjectReference;
  const ticket = await acquire('nbd:2000@1');
  const { disk } = await diskOf(daemon, ticket);
  assert.equal(disk.disk.virtualBytes, 2 ** 20);
  assert.equal(disk.writable, false);
  const remove = { removeChildren: false };
  await assert.rejects(daemon.call(snapshot, 'RemoveSnapshot_Task', remove), named('TaskInProgress'));
  await daemon.task(machine, 'PowerOffVM_Task');
  await daemon.call(leaseOf(daemon, ticket), 'HttpNfcLeaseComplete');
  await daemon.idle();
  const lease = (await daemon.call(snapshot, 'ExportSnapshot')) as ManagedObjectReference<'HttpNfcLease'>;
  while (daemon.host.registry.read(lease, 'state') === 'initializing') await new Promise(setImmediate);
  assert.equal((daemon.host.registry.read(lease, 'info') as HttpNfcLeaseInfo).deviceUrl?.length, 1);
  await daemon.call(lease, 'HttpNfcLeaseAbort');
  await daemon.idle();
  await assert.rejects(acquire('nbd:2000@2'), named('NotFound'));
  await assert.rejects(acquire('nbd:2000@1:rw'), named('InvalidArgument'));
  await daemon.task(snapshot, 'RemoveSnapshot_Task', remove);
  await assert.rejects(acquire('nbd:2000@1'), named('NotFound'));
});

test('a disk is exported with what changed since an id: of a machine that runs, of a snapshot, and of one that is off', async (t) => {
  const { computer, daemon, machine, acquire } = await withMachine(t);
  const web = machine as ManagedObjectReference<'VirtualMachine'>;
  const spec = { _typeName: 'VirtualMachineConfigSpec', changeTrackingEnabled: true };
  await daemon.task(web, 'ReconfigVM_Task', { spec });
  await daemon.task(web, 'PowerOnVM_Task');
  const disk = daemon.read(web, 'config')?.hardware.device?.find(({ key }) => key === 2000);
  const since = (disk?.backing as { readonly changeId?: string } | undefined)?.changeId;
  assert.ok(since);
  const [lockPath = ''] = [...computer.engines.engines.keys()];
  const changed = async (ticket: VirtualMachineTicket) => {
    const opened = await diskOf(daemon, ticket);
    const [map] = opened.disk.changeMaps ?? [];
    assert.equal(map?.name, 'changes');
    const found: number[] = [];
    let reach = 0;
    for await (const { offset, length, changed: isChanged } of map?.changes({}) ?? []) {
      assert.equal(offset, reach);
      reach += length;
      if (isChanged) found.push(offset / 65_536);
    }
    assert.equal(reach, 1 << 20);
    await daemon.call(leaseOf(daemon, ticket), 'HttpNfcLeaseComplete');
    await daemon.idle();
    return found;
  };
  computer.engines.write(lockPath, 'scsi0u0', 3 * 128, 7);
  assert.deepEqual(await changed(await acquire(`nbd:2000?since=${since}`)), [3]);
  await daemon.task(web, 'CreateSnapshot_Task', { name: 'first', memory: false, quiesce: false });
  computer.engines.write(lockPath, 'scsi0u0', 5 * 128, 7);
  assert.deepEqual(await changed(await acquire(`nbd:2000@1?since=${since}`)), [3]);
  await daemon.task(web, 'PowerOffVM_Task');
  assert.deepEqual(await changed(await acquire(`nbd:2000?since=${since}`)), [3, 5]);
  const other = since.replace(/.$/, '9');
  await assert.rejects(acquire(`nbd:2000?since=${other}`), named('FileFault'));
  for (const type of ['nbd:2000:rw?since=*', 'nbd:2000?since=', 'nbd:2000?since=it']) {
    await assert.rejects(acquire(type), named('InvalidArgument'), type);
  }
  // Whoever writes the disk does not say what.
  const writing = await acquire('nbd:2000:rw');
  await daemon.call(leaseOf(daemon, writing), 'HttpNfcLeaseComplete');
  await daemon.idle();
  await assert.rejects(acquire(`nbd:2000?since=${since}`), named('FileFault'));
});
