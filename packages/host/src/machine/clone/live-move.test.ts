import assert from 'node:assert/strict';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { HypervisorError } from '@hypostyle/contracts';
import type { ManagedObjectReference, TaskInfo, VimFault } from '@hypostyle/vim';
import { references } from '../../inventory/references.ts';
import { readFakeDisk, visibleFiles } from '../../testing/disk-reading.ts';
import { Computer, type Daemon, newDisk, smallMachine, vmFolder } from '../../testing/host-fixture.ts';
import { deaths, killedAt, killLimit } from '../../testing/killed.ts';
import { gateFiles } from '../../testing/mortal-files.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;
type Store = 'datastore' | 'fast';
const named = (type: string) => (error: unknown) => (error as VimFault).type === type;
const spec = (more: object) => ({ spec: { _typeName: 'VirtualMachineRelocateSpec', ...more } });

interface Scene {
  readonly computer: Computer;
  daemon: Daemon;
  readonly web: Machine;
  readonly datastores: Readonly<Record<Store, ManagedObjectReference<'Datastore'>>>;
}

const lockOf = ({ computer }: Pick<Scene, 'computer'>, store: Store, folder = 'web') =>
  join(computer.directory, store, folder, '.hypo', 'vm.lck');
const folderOf = ({ computer }: Pick<Scene, 'computer'>, store: Store, name = '') =>
  join(computer.directory, store, name);
const placeOf = ({ daemon, web }: Scene) => daemon.read(web, 'config')?.files.vmPathName;
const stateOf = ({ daemon, web }: Scene) => daemon.read(web, 'runtime')?.powerState;

/** A machine that runs, with a snapshot unless told, on the first of two datastores. */
async function running(t: TestContext, { snapshot = true } = {}): Promise<Scene> {
  const computer = await Computer.make();
  t.after(() => computer.remove());
  const daemon = await computer.start();
  const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
  const first = daemon.host.registry.read(references.host, 'datastore')?.[0];
  const path = join(computer.directory, 'fast');
  const fast = await daemon.call(references.datastoreSystem, 'CreateLocalDatastore', { name: 'fast', path });
  assert.ok(first);
  const datastores = { datastore: first, fast: fast as ManagedObjectReference<'Datastore'> };
  await daemon.task(web, 'PowerOnVM_Task');
  computer.engines.write(lockOf({ computer }, 'datastore'), 'scsi0u0', 0, 1);
  if (snapshot) await daemon.task(web, 'CreateSnapshot_Task', { name: 'base', memory: false, quiesce: false });
  computer.engines.write(lockOf({ computer }, 'datastore'), 'scsi0u0', 1, 2);
  return { computer, daemon, web, datastores };
}

test('a machine that runs goes to another datastore with its snapshots, runs on there, and leaves nothing', async (t) => {
  const scene = await running(t);
  const { computer, daemon, web, datastores } = scene;
  await writeFile(join(folderOf(scene, 'datastore', 'web'), '.hypo', 'customization.json'), 'to be told');
  const files = await visibleFiles(folderOf(scene, 'datastore', 'web'));
  await daemon.task(web, 'RelocateVM_Task', spec({ datastore: datastores.fast }));
  assert.equal(placeOf(scene), '[fast] web/web.vmx');
  assert.equal(stateOf(scene), 'poweredOn');
  assert.deepEqual(await visibleFiles(folderOf(scene, 'datastore')), []);
  assert.deepEqual(await visibleFiles(folderOf(scene, 'fast', 'web')), files);
  assert.equal(
    await readFile(join(folderOf(scene, 'fast', 'web'), '.hypo', 'customization.json'), 'utf8'),
    'to be told',
  );
  const lock = lockOf(scene, 'fast');
  assert.deepEqual([...computer.engines.engines.keys()], [lock], 'one engine, with the lock of its new place');
  computer.engines.write(lock, 'scsi0u0', 2, 3);
  assert.deepEqual(await readFakeDisk(join(folderOf(scene, 'fast', 'web'), 'web-000001.vmdk'), 4), [1, 2, 3, 0]);
  // It is managed there as anywhere: after a restart too.
  await daemon.host.close();
  const next = await computer.start();
  assert.equal(next.read(web, 'runtime')?.powerState, 'poweredOn');
  await next.task(web, 'RemoveAllSnapshots_Task');
  await next.task(web, 'PowerOffVM_Task');
  assert.deepEqual(await readFakeDisk(join(folderOf(scene, 'fast', 'web'), 'web.vmdk'), 4), [1, 2, 3, 0]);
  await next.task(web, 'Destroy_Task');
  assert.deepEqual(await visibleFiles(folderOf(scene, 'fast')), []);
  await next.host.close();
  assert.deepEqual(computer.defects, []);
});

test('disks become thick and thin under a guest that writes them, and keep who they are', async (t) => {
  const scene = await running(t, { snapshot: false });
  const { computer, daemon, web, datastores } = scene;
  const uuid = () =>
    daemon
      .read(web, 'config')
      ?.hardware.device?.map((device) => (device.backing as { uuid?: string } | undefined)?.uuid)
      .find((one) => one !== undefined);
  const room = async (store: Store, folder: string) =>
    (await stat(join(folderOf(scene, store, folder), 'web-flat.vmdk'))).blocks * 512;
  const known = uuid();
  await daemon.task(web, 'RelocateVM_Task', spec({ datastore: datastores.fast }));
  assert.equal(uuid(), known);
  const disk = { diskId: 2000, datastore: datastores.datastore };
  const backing = (thinProvisioned: boolean) => ({
    _typeName: 'VirtualDiskFlatVer2BackingInfo',
    fileName: '',
    diskMode: 'persistent',
    thinProvisioned,
  });
  const key = daemon.read(web, 'config')?.hardware.device?.find(({ _typeName }) => _typeName === 'VirtualDisk')?.key;
  const locator = (more: object) => ({
    _typeName: 'VirtualMachineRelocateSpecDiskLocator',
    ...disk,
    diskId: key,
    ...more,
  });
  await daemon.task(
    web,
    'RelocateVM_Task',
    spec({ datastore: datastores.datastore, disk: [locator({ diskBackingInfo: backing(false) })] }),
  );
  assert.equal(await room('datastore', 'web'), 2 ** 20);
  // On the same datastore it becomes another disk in another folder.
  await daemon.task(web, 'RelocateVM_Task', spec({ transform: 'sparse' }));
  assert.equal(placeOf(scene), '[datastore1] web_1/web.vmx');
  assert.deepEqual(await visibleFiles(folderOf(scene, 'datastore')), ['web_1']);
  computer.engines.write(lockOf(scene, 'datastore', 'web_1'), 'scsi0u0', 2, 3);
  assert.deepEqual(await readFakeDisk(join(folderOf(scene, 'datastore', 'web_1'), 'web.vmdk'), 3), [1, 2, 3]);
  await daemon.task(web, 'RelocateVM_Task', spec({}));
  await daemon.host.close();
});

test('what was asked of changes before a move is answered by no id after it', async (t) => {
  const computer = await Computer.make();
  t.after(() => computer.remove());
  const daemon = await computer.start();
  const { config } = smallMachine('web') as { config: object };
  const web = (await daemon.task(vmFolder, 'CreateVM_Task', {
    ...smallMachine('web'),
    config: { ...config, changeTrackingEnabled: true },
  })) as Machine;
  const path = join(computer.directory, 'fast');
  const fast = await daemon.call(references.datastoreSystem, 'CreateLocalDatastore', { name: 'fast', path });
  await daemon.task(web, 'PowerOnVM_Task');
  const snapshot = (name: string) =>
    daemon.task(web, 'CreateSnapshot_Task', { name, memory: false, quiesce: false }) as Promise<
      ManagedObjectReference<'VirtualMachineSnapshot'>
    >;
  const idAt = (taken: ManagedObjectReference<'VirtualMachineSnapshot'>) => {
    const config = daemon.host.registry.read(taken, 'config');
    const disk = config?.hardware.device?.find(({ _typeName }) => _typeName === 'VirtualDisk');
    return { key: disk?.key ?? 0, id: (disk?.backing as { changeId?: string } | undefined)?.changeId };
  };
  const ask = (key: number, since: string | undefined) =>
    daemon.call(web, 'QueryChangedDiskAreas', { deviceKey: key, startOffset: 0n, changeId: since });
  const before = idAt(await snapshot('before'));
  assert.ok(before.id);
  await ask(before.key, before.id);
  await daemon.task(web, 'RelocateVM_Task', spec({ datastore: fast }));
  await assert.rejects(ask(before.key, before.id), named('FileFault'));
  const after = idAt(await snapshot('after'));
  assert.ok(after.id);
  computer.engines.write(lockOf({ computer }, 'fast'), 'scsi0u0', 3, 1);
  const told = (await ask(after.key, after.id)) as { changedArea?: readonly { start: number | bigint }[] };
  assert.ok((told.changedArea ?? []).some(({ start }) => Number(start) <= 3 * 512));
  await daemon.host.close();
  assert.deepEqual(computer.defects, []);
});

test('a move that is cancelled, refused or has no room leaves the machine where it runs', async (t) => {
  const scene = await running(t);
  const { computer, daemon, web, datastores } = scene;
  const stays = async () => {
    assert.equal(placeOf(scene), '[datastore1] web/web.vmx');
    assert.equal(stateOf(scene), 'poweredOn');
    assert.deepEqual(await visibleFiles(folderOf(scene, 'fast')), []);
    assert.deepEqual([...computer.engines.engines.keys()], [lockOf(scene, 'datastore')]);
  };
  const move = spec({ datastore: datastores.fast });
  const { failures } = daemon.hypervisor;
  failures.set('moveDisks', new HypervisorError('block-failed', 'The disks were not moved: No space left on device'));
  await assert.rejects(daemon.task(web, 'RelocateVM_Task', move), named('NoDiskSpace'));
  await stays();
  failures.set('moveDisks', new HypervisorError('locked', 'Another engine holds it'));
  await assert.rejects(daemon.task(web, 'RelocateVM_Task', move), named('FileFault'));
  await stays();
  const task = (await daemon.call(web, 'RelocateVM_Task', move)) as ManagedObjectReference<'Task'>;
  await daemon.call(task, 'CancelTask');
  const info = (await daemon.finished(task)) as TaskInfo;
  assert.ok(info.state === 'error' || info.state === 'success');
  if (info.state === 'error') await stays();
  computer.engines.write([...computer.engines.engines.keys()][0] ?? '', 'scsi0u0', 2, 3);
  await daemon.host.close();
});

test('disks whose writes are dropped stay while the machine runs', async (t) => {
  const scene = await running(t, { snapshot: false });
  const { daemon, web, datastores } = scene;
  await daemon.task(web, 'PowerOffVM_Task');
  const disk = newDisk(1000) as { device: { backing: object } };
  await daemon.task(web, 'ReconfigVM_Task', {
    spec: {
      _typeName: 'VirtualMachineConfigSpec',
      deviceChange: [
        {
          ...disk,
          device: { ...disk.device, backing: { ...disk.device.backing, diskMode: 'independent_nonpersistent' } },
        },
      ],
    },
  });
  await daemon.task(web, 'PowerOnVM_Task');
  await assert.rejects(
    daemon.call(web, 'RelocateVM_Task', spec({ datastore: datastores.fast })),
    named('NotSupported'),
  );
  await daemon.host.close();
});

test('an engine that ends on the way has its machine moved all the same', async (t) => {
  const scene = await running(t);
  const { computer, daemon, web, datastores } = scene;
  daemon.hypervisor.failures.set('moveDisks', new HypervisorError('not-running', 'died'));
  computer.engines.end(lockOf(scene, 'datastore'), 'guest-shutdown');
  await daemon.task(web, 'RelocateVM_Task', spec({ datastore: datastores.fast }));
  assert.equal(placeOf(scene), '[fast] web/web.vmx');
  assert.equal(stateOf(scene), 'poweredOff');
  await daemon.host.close();
});

test('killed at any step of a move under a guest: it runs here or there, whole, and no file for nothing', {
  ...killLimit,
}, async (t) => {
  t.after(gateFiles());
  const scene = await running(t);
  const { computer, web, datastores } = scene;
  const files = await visibleFiles(folderOf(scene, 'datastore', 'web'));
  let steps = 0;
  for (const dies of deaths(7)) {
    const { daemon } = scene;
    const here = daemon.read(web, 'datastore')?.[0]?.value === datastores.fast.value ? 'fast' : 'datastore';
    const target = datastores[here === 'fast' ? 'datastore' : 'fast'];
    const end = await killedAt({ computer, daemon, dies }, (alive) =>
      alive.task(web, 'RelocateVM_Task', spec({ datastore: target })),
    );
    scene.daemon = end.daemon;
    const where = `killed at step ${dies}`;
    const now = scene.daemon.read(web, 'datastore')?.[0]?.value === datastores.fast.value ? 'fast' : 'datastore';
    const other = now === 'fast' ? 'datastore' : 'fast';
    const lock = lockOf(scene, now);
    assert.deepEqual(computer.defects, [], where);
    assert.equal(stateOf(scene), 'poweredOn', where);
    assert.deepEqual([...computer.engines.engines.keys()], [lock], where);
    const engine = computer.engines.engines.get(lock);
    assert.deepEqual([engine?.pivoting, engine?.mirrors.size], [false, 0], where);
    assert.deepEqual(await visibleFiles(folderOf(scene, other)), [], where);
    assert.deepEqual(await visibleFiles(folderOf(scene, now)), ['web'], where);
    assert.deepEqual(await visibleFiles(folderOf(scene, now, 'web')), files, where);
    // What is written now is written where the machine is.
    const value = (dies % 250) + 1;
    computer.engines.write(lock, 'scsi0u0', 2, value);
    assert.deepEqual(await readFakeDisk(join(folderOf(scene, now, 'web'), 'web-000001.vmdk'), 3), [1, 2, value], where);
    steps += 1;
    if (end.whole) break;
  }
  assert.ok(steps > 2, 'it was killed at some steps');
  await scene.daemon.host.close();
});
