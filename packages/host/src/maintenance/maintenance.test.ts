import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ManagedObjectReference, VimFault } from '@hypostyle/vim';
import { references } from '../inventory/references.ts';
import { Computer, type Daemon, smallMachine, vmFolder } from '../testing/host-fixture.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;
type Task = ManagedObjectReference<'Task'>;
const { host, computeResource, rootPool } = references;
const named = (type: string) => (error: unknown) => (error as VimFault).type === type;
const eventManager: ManagedObjectReference<'EventManager'> = { type: 'EventManager', value: 'ha-eventmgr' };

async function withHost(work: (daemon: Daemon, computer: Computer) => Promise<void>): Promise<void> {
  const computer = await Computer.make();
  try {
    const daemon = await computer.start();
    await work(daemon, computer);
    assert.deepEqual(computer.defects, []);
  } finally {
    await computer.remove();
  }
}

const inMaintenance = (daemon: Daemon) => daemon.host.registry.read(host, 'runtime')?.inMaintenanceMode;
const lastEvents = async (daemon: Daemon, count: number) => {
  const filter = { _typeName: 'EventFilterSpec' };
  const events = (await daemon.call(eventManager, 'QueryEvents', { filter })) as { readonly _typeName: string }[];
  return events.map((event) => event._typeName).slice(-count);
};

/** Resolves when the host has begun to enter maintenance mode. */
async function entering(daemon: Daemon): Promise<void> {
  const { registry } = daemon.host;
  const begun = () => (registry.read(eventManager, 'latestEvent') as { _typeName?: string })?._typeName;
  while (begun() !== 'EnteringMaintenanceModeEvent') await new Promise((resolve) => setImmediate(resolve));
}

test('a host in maintenance mode runs, makes and takes in no machine, over restarts, until it exits', async () => {
  await withHost(async (first, computer) => {
    const web = (await first.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
    await first.task(host, 'EnterMaintenanceMode_Task', { timeout: 0 });
    assert.equal(inMaintenance(first), true);
    assert.equal(first.host.registry.read(host, 'summary')?.runtime?.inMaintenanceMode, true);
    assert.equal(first.host.registry.read(computeResource, 'summary')?.numEffectiveHosts, 0);
    assert.deepEqual(await lastEvents(first, 2), ['EnteringMaintenanceModeEvent', 'EnteredMaintenanceModeEvent']);
    await first.host.close();

    const daemon = await computer.start();
    assert.equal(inMaintenance(daemon), true);
    const refused: [ManagedObjectReference, string, Record<string, unknown>][] = [
      [web, 'PowerOnVM_Task', {}],
      [vmFolder, 'CreateVM_Task', smallMachine('db')],
      [vmFolder, 'RegisterVM_Task', { path: '[datastore1] x/x.vmx', asTemplate: false, pool: rootPool }],
      [host, 'EnterMaintenanceMode_Task', { timeout: 0 }],
    ];
    for (const [self, method, args] of refused)
      await assert.rejects(daemon.call(self, method, args), named('InvalidState'), method);
    // The method names no such fault: its lease does.
    const configSpec = smallMachine('app').config;
    const spec = { _typeName: 'VirtualMachineImportSpec', configSpec };
    const lease = (await daemon.call(rootPool, 'ImportVApp', { spec })) as ManagedObjectReference<'HttpNfcLease'>;
    await daemon.idle();
    while (daemon.host.registry.read(lease, 'state') === 'initializing')
      await new Promise((resolve) => setImmediate(resolve));
    assert.equal(daemon.host.registry.read(lease, 'error')?.fault._typeName, 'InvalidState');
    assert.ok(daemon.host.registry.read(host, 'disabledMethod')?.includes('EnterMaintenanceMode_Task'));
    await daemon.task(host, 'ExitMaintenanceMode_Task', { timeout: 0 });
    assert.deepEqual(await lastEvents(daemon, 1), ['ExitMaintenanceModeEvent']);
    await daemon.task(web, 'PowerOnVM_Task');
    await assert.rejects(daemon.call(host, 'ExitMaintenanceMode_Task', { timeout: 0 }), named('InvalidState'));
    await daemon.host.close();
  });
});

test('a host that is entered into maintenance mode waits for its machines, and starts none meanwhile', async () => {
  await withHost(async (daemon) => {
    const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
    const db = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('db'))) as Machine;
    await daemon.task(web, 'PowerOnVM_Task');
    const enter = (await daemon.call(host, 'EnterMaintenanceMode_Task', { timeout: 0 })) as Task;
    await entering(daemon);
    await assert.rejects(daemon.call(db, 'PowerOnVM_Task'), named('InvalidState'));
    assert.equal(inMaintenance(daemon), false);
    await daemon.task(web, 'PowerOffVM_Task');
    await daemon.outcome(enter);
    assert.equal(inMaintenance(daemon), true);
    await daemon.host.close();
  });
});

test('entering maintenance mode that is cancelled, or takes too long, leaves the host as it was', async () => {
  await withHost(async (daemon) => {
    const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
    await daemon.task(web, 'PowerOnVM_Task');
    const late = daemon.task(host, 'EnterMaintenanceMode_Task', { timeout: 1 });
    await assert.rejects(late, named('Timedout'));
    assert.deepEqual(await lastEvents(daemon, 1), ['TimedOutHostOperationEvent']);
    const enter = (await daemon.call(host, 'EnterMaintenanceMode_Task', { timeout: 0 })) as Task;
    await entering(daemon);
    await daemon.call(enter, 'CancelTask');
    await assert.rejects(daemon.outcome(enter), named('RequestCanceled'));
    assert.deepEqual(await lastEvents(daemon, 1), ['CanceledHostOperationEvent']);
    assert.equal(inMaintenance(daemon), false);
    await daemon.task(web, 'PowerOffVM_Task');
    await daemon.task(web, 'PowerOnVM_Task');
    await daemon.host.close();
  });
});

test('a restart while a host enters maintenance mode goes on with it', async () => {
  await withHost(async (first, computer) => {
    const web = (await first.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
    await first.task(web, 'PowerOnVM_Task');
    const enter = (await first.call(host, 'EnterMaintenanceMode_Task', { timeout: 0 })) as Task;
    await entering(first);
    await first.host.close();
    const daemon = await computer.start();
    await daemon.task(web, 'PowerOffVM_Task');
    await daemon.outcome(enter);
    assert.equal(inMaintenance(daemon), true);
    await daemon.host.close();
  });
});
