import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { HypervisorError } from '@hypostyle/contracts';
import type { ManagedObjectReference, VimFault } from '@hypostyle/vim';
import { Computer, type Daemon, newDisk, smallMachine, vmFolder } from '../../testing/host-fixture.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;
const named = (type: string) => (error: unknown) => (error as VimFault).type === type;

async function withMachine(work: (computer: Computer, daemon: Daemon, web: Machine) => Promise<void>): Promise<void> {
  const computer = await Computer.make();
  try {
    const daemon = await computer.start();
    const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
    await work(computer, daemon, web);
  } finally {
    await computer.remove();
  }
}

const state = (daemon: Daemon, machine: Machine) => daemon.read(machine, 'runtime')?.powerState;
/** Waits until it is so; the test's own limit ends what never is. */
const until = async (so: () => boolean) => {
  while (!so()) await sleep(2);
};

test('a guest that shuts down as soon as it runs is seen to be off, and can be started again', async () => {
  await withMachine(async (computer, daemon, web) => {
    for (const turn of [queueMicrotask, setImmediate]) {
      daemon.hypervisor.onStarted = ({ lockPath }) => turn(() => computer.engines.end(lockPath, 'guest-shutdown'));
      await daemon.task(web, 'PowerOnVM_Task');
      // Its end is state once it is written down.
      await until(() => state(daemon, web) === 'poweredOff');
    }
    daemon.hypervisor.onStarted = () => {};
    await daemon.task(web, 'PowerOnVM_Task');
    assert.equal(state(daemon, web), 'poweredOn');
    await daemon.task(web, 'PowerOffVM_Task');
    assert.equal(state(daemon, web), 'poweredOff');
    assert.deepEqual(computer.defects, []);
    await daemon.host.close();
  });
});

test('a machine whose .vmx cannot be written after its start runs, and is known to run', async () => {
  await withMachine(async (computer, daemon, web) => {
    const vmx = join(computer.datastore, 'web', 'web.vmx');
    await daemon.task(web, 'PowerOnVM_Task');
    await daemon.task(web, 'PowerOffVM_Task');
    daemon.hypervisor.onStarted = () => {};
    const text = (await readFile(vmx, 'utf8')).replace(/hypostyle\.machineType.*\n/, '');
    await writeFile(vmx, text);
    // Where the temporary file of the .vmx would be written there is a folder.
    daemon.hypervisor.onStarted = () =>
      mkdirSync(join(computer.datastore, 'web', '.hypo-web.vmx.partial', 'occupied'), { recursive: true });
    await daemon.task(web, 'PowerOnVM_Task');
    assert.equal(state(daemon, web), 'poweredOn');
    assert.equal(computer.defects.length, 1);
    await assert.rejects(daemon.task(web, 'Destroy_Task'), named('InvalidPowerState'));
    await daemon.task(web, 'PowerOffVM_Task');
    assert.equal(computer.engines.engines.size, 0);
    await daemon.host.close();
  });
});

test('an engine that dies while it is powered off or suspended ends the task, and leaves the truth', async () => {
  await withMachine(async (computer, daemon, web) => {
    await daemon.task(web, 'PowerOnVM_Task');
    daemon.hypervisor.failures.set('powerOff', new Error('died'));
    await daemon.task(web, 'PowerOffVM_Task');
    assert.equal(state(daemon, web), 'poweredOff');
    await daemon.task(web, 'PowerOnVM_Task');
    daemon.hypervisor.failures.set('suspend', new Error('died'));
    await assert.rejects(daemon.task(web, 'SuspendVM_Task'), named('GenericVmConfigFault'));
    assert.equal(state(daemon, web), 'poweredOff');
    await daemon.host.close();
    const next = await computer.start();
    assert.equal(state(next, web), 'poweredOff');
    await next.task(web, 'PowerOnVM_Task');
    await next.host.close();
  });
});

test('a store that fails when an engine ends holds no task up', async () => {
  await withMachine(async (computer, daemon, web) => {
    await daemon.task(web, 'PowerOnVM_Task');
    const task = (await daemon.call(web, 'PowerOffVM_Task')) as ManagedObjectReference<'Task'>;
    daemon.store.failing = new Error('no space');
    await daemon.finished(task);
    assert.equal(state(daemon, web), computer.engines.engines.size === 0 ? 'poweredOff' : 'poweredOn');
    daemon.store.failing = undefined;
    await daemon.host.close();
  });
});

test('an engine is found again when its .vmx is out of reach, and none is lost with one that does not answer', async () => {
  await withMachine(async (computer, daemon, web) => {
    await daemon.task(web, 'PowerOnVM_Task');
    await daemon.host.close();
    const folder = join(computer.datastore, 'web');
    await rename(join(folder, 'web.vmx'), join(folder, 'away'));
    const next = await computer.start();
    assert.equal(state(next, web), 'poweredOn');
    await next.host.close();
    await rename(join(folder, 'away'), join(folder, 'web.vmx'));
    const last = await computer.start();
    assert.equal(state(last, web), 'poweredOn');
    await last.task(web, 'PowerOffVM_Task');
    await last.host.close();
  });
});

test('a disk that another machine runs on, or has a delta over, is not written', async () => {
  await withMachine(async (computer, daemon, web) => {
    const spec = smallMachine('twin') as { config: { deviceChange: Record<string, unknown>[] } };
    const disk = { ...newDisk(-1, '[datastore1] web/web.vmdk'), fileOperation: undefined };
    spec.config.deviceChange = [spec.config.deviceChange[0] as never, disk];
    const twin = (await daemon.task(vmFolder, 'CreateVM_Task', spec as never)) as Machine;
    await daemon.task(web, 'PowerOnVM_Task');
    const descriptor = await readFile(join(computer.datastore, 'web', 'web.vmdk'), 'utf8');
    await assert.rejects(daemon.task(twin, 'PowerOnVM_Task'), named('FileLocked'));
    assert.equal(await readFile(join(computer.datastore, 'web', 'web.vmdk'), 'utf8'), descriptor);
    await daemon.task(web, 'PowerOffVM_Task');
    await daemon.task(twin, 'PowerOnVM_Task');
    await assert.rejects(daemon.task(web, 'PowerOnVM_Task'), named('FileLocked'));
    await daemon.host.close();
  });
});

test('links that a folder brought are not followed by the engine', async () => {
  await withMachine(async (computer, daemon, web) => {
    const folder = join(computer.datastore, 'web');
    const outside = join(computer.directory, 'outside');
    await writeFile(outside, Buffer.alloc(2 ** 20));
    for (const name of ['web-flat.vmdk', 'hypostyle.log', 'web.nvram']) {
      const path = join(folder, name);
      const saved = name === 'web-flat.vmdk' ? await readFile(path) : undefined;
      await rm(path, { force: true });
      await symlink(outside, path);
      await assert.rejects(daemon.task(web, 'PowerOnVM_Task'), named('InvalidDatastorePath'), name);
      await rm(path);
      if (saved !== undefined) await writeFile(path, saved);
    }
    const vmx = join(folder, 'web.vmx');
    await writeFile(vmx, (await readFile(vmx, 'utf8')).replace(/nvram = ".*"/, 'nvram = "../../outside"'));
    await daemon.task(web, 'PowerOnVM_Task');
    await daemon.host.close();
  });
});

test('an engine that does not answer keeps no other from its service, and is found when it does', async (t) => {
  await withMachine(async (computer, daemon, web) => {
    await daemon.task(web, 'PowerOnVM_Task');
    await daemon.host.close();
    t.mock.timers.enable({ apis: ['setInterval'] });
    const next = await computer.start((hypervisor) =>
      hypervisor.failures.set('adopt', new HypervisorError('engine-lost', 'it does not answer')),
    );
    assert.equal(state(next, web), 'poweredOn');
    assert.equal(next.read(web, 'runtime')?.connectionState, 'inaccessible');
    await assert.rejects(next.task(web, 'PowerOffVM_Task'), named('GenericVmConfigFault'));
    assert.equal(computer.engines.engines.size, 1);
    t.mock.timers.tick(10_000);
    await until(() => next.read(web, 'runtime')?.connectionState === 'connected');
    await next.task(web, 'PowerOffVM_Task');
    assert.equal(computer.engines.engines.size, 0);
    await next.host.close();
  });
});

test('what is wanted of a run and not enforced here is said at each start', async () => {
  await withMachine(async (_computer, daemon, web) => {
    const spec = { cpuAllocation: { limit: 500n }, memoryAllocation: { limit: 64n } };
    await daemon.task(web, 'ReconfigVM_Task', { spec });
    await daemon.task(web, 'PowerOnVM_Task');
    const eventManager = { type: 'EventManager', value: 'ha-eventmgr' };
    const events = (await daemon.call(eventManager, 'QueryEvents', { filter: {} })) as {
      readonly _typeName: string;
      readonly message?: string;
    }[];
    const said = events.filter((event) => event._typeName === 'GeneralVmWarningEvent').map(({ message }) => message);
    assert.deepEqual(said, [
      'The limit of 500 MHz is kept and not enforced on this host. This host holds no processes to limits.',
      'The limit of 64 MiB of memory is asked of the guest by its balloon, and not enforced where its guest has no driver for it. This host holds no processes to limits.',
    ]);
    await daemon.host.close();
  });
});
