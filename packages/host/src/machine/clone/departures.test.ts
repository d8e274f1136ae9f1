import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { HypervisorError } from '@hypostyle/contracts';
import type { ManagedObjectReference, VimFault, VirtualDevice } from '@hypostyle/vim';
import { references } from '../../inventory/references.ts';
import { CenterCalls } from '../../testing/center-calls.ts';
import { readFakeDisk, visibleFiles } from '../../testing/disk-reading.ts';
import { Computer, type Daemon, newDisk, smallMachine, vmFolder } from '../../testing/host-fixture.ts';
import { deaths, killedAt, killLimit } from '../../testing/killed.ts';
import { gateFiles } from '../../testing/mortal-files.ts';

/** Disks that go to another datastore by themselves, while their machine stays, or goes elsewhere. */

type Machine = ManagedObjectReference<'VirtualMachine'>;
type Store = 'datastore' | 'fast';
interface Backing {
  readonly fileName?: string;
  readonly uuid?: string;
  readonly thinProvisioned?: boolean;
}

const named = (type: string) => (error: unknown) => (error as VimFault).type === type;
const first = 2000;
const second = 2001;

/** A machine with two disks, which have 1 and 2 in their first blocks, on the first of two datastores. */
class Scene {
  readonly computer: Computer;
  daemon: Daemon;
  readonly web: Machine;
  readonly datastores: Readonly<Record<Store, ManagedObjectReference<'Datastore'>>>;

  private constructor(computer: Computer, daemon: Daemon, web: Machine, datastores: Scene['datastores']) {
    this.computer = computer;
    this.daemon = daemon;
    this.web = web;
    this.datastores = datastores;
  }

  static async make(t: TestContext): Promise<Scene> {
    const computer = await Computer.make();
    t.after(() => computer.remove());
    const daemon = await computer.start();
    const datastore = daemon.host.registry.read(references.host, 'datastore')?.[0];
    assert.ok(datastore);
    const fast = (await daemon.call(references.datastoreSystem, 'CreateLocalDatastore', {
      name: 'fast',
      path: join(computer.directory, 'fast'),
    })) as ManagedObjectReference<'Datastore'>;
    const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
    const scene = new Scene(computer, daemon, web, { datastore, fast });
    await scene.task('ReconfigVM_Task', { spec: { deviceChange: [newDisk(1000)] } });
    await scene.task('PowerOnVM_Task');
    scene.write(first, 0, 1);
    scene.write(second, 0, 2);
    return scene;
  }

  task(name: string, args: Record<string, unknown> = {}): Promise<unknown> {
    return this.daemon.task(this.web, name, args);
  }

  spec(more: object): { spec: object } {
    return { spec: { _typeName: 'VirtualMachineRelocateSpec', ...more } };
  }

  move(more: object): Promise<unknown> {
    return this.task('RelocateVM_Task', this.spec(more));
  }

  locator(diskId: number, to: Store, more: object = {}): object {
    return { _typeName: 'VirtualMachineRelocateSpecDiskLocator', diskId, datastore: this.datastores[to], ...more };
  }

  folder(store: Store, name = ''): string {
    return join(this.computer.directory, store, name);
  }

  lock(store: Store = 'datastore', folder = 'web'): string {
    return join(this.folder(store, folder), '.hypo', 'vm.lck');
  }

  write(key: number, block: number, value: number, lock = this.lock()): void {
    this.computer.engines.write(lock, `scsi0u${key - first}`, block, value);
  }

  backing(key: number): Backing {
    const devices: readonly VirtualDevice[] = this.daemon.read(this.web, 'config')?.hardware.device ?? [];
    return (devices.find((device) => device.key === key)?.backing ?? {}) as Backing;
  }

  places(): (string | undefined)[] {
    return [
      this.daemon.read(this.web, 'config')?.files.vmPathName,
      this.backing(first).fileName,
      this.backing(second).fileName,
    ];
  }

  read(key: number, blocks = 3): Promise<number[]> {
    const [, store = '', path = ''] = /^\[(.*)\] (.*)$/.exec(this.backing(key).fileName ?? '') ?? [];
    return readFakeDisk(this.folder(store === 'fast' ? 'fast' : 'datastore', path), blocks);
  }

  async files(store: Store, name = ''): Promise<string[]> {
    return visibleFiles(this.folder(store, name)).catch(() => []);
  }
}

const backing = (more: object) => ({
  diskBackingInfo: { _typeName: 'VirtualDiskFlatVer2BackingInfo', fileName: '', diskMode: 'persistent', ...more },
});

for (const running of [false, true]) {
  const state = running ? 'runs' : 'is off';
  test(`one disk of a machine that ${state} goes to another datastore and comes back, thick and thin`, async (t) => {
    const scene = await Scene.make(t);
    const { computer, daemon, web, datastores } = scene;
    if (!running) await scene.task('PowerOffVM_Task');
    const { uuid } = scene.backing(second);
    assert.ok(uuid);
    await scene.move({ disk: [scene.locator(second, 'fast', backing({ thinProvisioned: false }))] });
    assert.deepEqual(scene.places(), [
      '[datastore1] web/web.vmx',
      '[datastore1] web/web.vmdk',
      '[fast] web/web_1.vmdk',
    ]);
    assert.equal(scene.backing(second).uuid, uuid, 'the guest knows it again');
    assert.equal(scene.backing(second).thinProvisioned, false);
    assert.deepEqual(await scene.files('fast', 'web'), ['web_1-flat.vmdk', 'web_1.vmdk']);
    assert.equal((await stat(scene.folder('fast', 'web/web_1-flat.vmdk'))).blocks * 512, 2 ** 20);
    assert.deepEqual(
      (await scene.files('datastore', 'web')).filter((name) => name.startsWith('web_1')),
      [],
    );
    assert.equal(daemon.read(web, 'datastore')?.length, 2);
    assert.deepEqual(daemon.host.registry.read(datastores.fast, 'vm'), [web]);
    assert.deepEqual([...computer.engines.engines.keys()], running ? [scene.lock()] : []);
    if (!running) await scene.task('PowerOnVM_Task');
    scene.write(first, 1, 3);
    scene.write(second, 1, 4);
    if (!running) await scene.task('PowerOffVM_Task');
    assert.deepEqual(
      [await scene.read(first), await scene.read(second)],
      [
        [1, 3, 0],
        [2, 4, 0],
      ],
    );
    // It becomes thin where it is, and is the same disk to a next process.
    await scene.move({ transform: 'sparse' });
    assert.equal(scene.backing(second).thinProvisioned, true);
    assert.match(
      scene.backing(second).fileName ?? '',
      running ? /^\[fast\] web\/web_1_1\.vmdk$/ : /^\[fast\] web\/web_1\.vmdk$/,
    );
    await daemon.host.close();
    scene.daemon = await computer.start();
    await scene.move({ disk: [scene.locator(second, 'datastore')] });
    assert.match(scene.backing(second).fileName ?? '', /^\[datastore1\] web\/web_1(_1)?\.vmdk$/);
    assert.deepEqual(await scene.files('fast'), []);
    assert.deepEqual(
      [await scene.read(first), await scene.read(second)],
      [
        [1, 3, 0],
        [2, 4, 0],
      ],
    );
    assert.equal(scene.backing(second).uuid, uuid);
    if (running) await scene.task('PowerOffVM_Task');
    await scene.task('PowerOnVM_Task');
    await scene.task('PowerOffVM_Task');
    await scene.task('Destroy_Task');
    assert.deepEqual(await scene.files('datastore'), []);
    await scene.daemon.host.close();
    assert.deepEqual(computer.defects, []);
  });

  test(`a machine that ${state} goes without one disk, and another disk goes where neither is`, async (t) => {
    const scene = await Scene.make(t);
    const { computer } = scene;
    if (!running) await scene.task('PowerOffVM_Task');
    await scene.move({ datastore: scene.datastores.fast, disk: [scene.locator(second, 'datastore')] });
    assert.deepEqual(scene.places(), ['[fast] web/web.vmx', '[fast] web/web.vmdk', '[datastore1] web/web_1.vmdk']);
    assert.deepEqual(await scene.files('datastore', 'web'), ['web_1-flat.vmdk', 'web_1.vmdk']);
    if (running) scene.write(second, 1, 5, scene.lock('fast'));
    // They change places.
    await scene.move({ datastore: scene.datastores.datastore, disk: [scene.locator(first, 'fast')] });
    const [vmx, one, two] = scene.places();
    assert.match(vmx ?? '', /^\[datastore1\] web/);
    assert.match(one ?? '', /^\[fast\] web\/web/);
    assert.match(two ?? '', /^\[datastore1\] web/);
    assert.deepEqual(
      [await scene.read(first), await scene.read(second)],
      [
        [1, 0, 0],
        [2, running ? 5 : 0, 0],
      ],
    );
    if (!running) await scene.task('PowerOnVM_Task');
    await scene.task('PowerOffVM_Task');
    // Told a datastore, it brings all of them together.
    await scene.move({ datastore: scene.datastores.fast });
    assert.ok(
      scene.places().every((name) => name?.startsWith('[fast] ')),
      String(scene.places()),
    );
    assert.deepEqual(await scene.files('datastore'), []);
    await scene.task('Destroy_Task');
    assert.deepEqual(await scene.files('fast'), []);
    await scene.daemon.host.close();
    assert.deepEqual(computer.defects, []);
  });
}

test('a disk that cannot move by itself stays, with the reason, and nothing is left where it was to go', async (t) => {
  const scene = await Scene.make(t);
  const { computer, daemon } = scene;
  const before = scene.places();
  const stays = async () => {
    assert.deepEqual(scene.places(), before);
    assert.deepEqual(await scene.files('fast'), []);
    assert.deepEqual([...computer.engines.engines.keys()], [scene.lock()]);
  };
  const toFast = { disk: [scene.locator(second, 'fast')] };
  const unknown = {
    _typeName: 'VirtualMachineRelocateSpecDiskLocator',
    diskId: second,
    datastore: { type: 'Datastore', value: 'no' },
  };
  await assert.rejects(scene.move({ disk: [unknown] }), (error: VimFault) =>
    /NoPermission|InvalidDatastore/.test(error.type),
  );
  await assert.rejects(scene.move({ disk: [scene.locator(2009, 'fast')] }), named('InvalidArgument'));
  const { failures } = daemon.hypervisor;
  failures.set('moveDisks', new HypervisorError('block-failed', 'The disks were not moved: No space left on device'));
  await assert.rejects(scene.move(toFast), named('NoDiskSpace'));
  await stays();
  const task = (await daemon.call(scene.web, 'RelocateVM_Task', scene.spec(toFast))) as ManagedObjectReference<'Task'>;
  await daemon.call(task, 'CancelTask');
  if ((await daemon.finished(task)).state === 'error') await stays();
  else await scene.move({ disk: [scene.locator(second, 'datastore')] });
  // Its engine ends on the way: it moves like one that is off.
  failures.set('moveDisks', new HypervisorError('not-running', 'died'));
  computer.engines.end(scene.lock(), 'guest-shutdown');
  await scene.move(toFast);
  assert.match(scene.backing(second).fileName ?? '', /^\[fast\] /);
  assert.equal(daemon.read(scene.web, 'runtime')?.powerState, 'poweredOff');
  assert.deepEqual(await scene.read(second), [2, 0, 0]);
  await scene.move({ disk: [scene.locator(second, 'datastore')] });
  const snapshot = await scene.task('CreateSnapshot_Task', { name: 'base', memory: false, quiesce: false });
  await assert.rejects(scene.move(toFast), named('NotSupported'));
  const center = await CenterCalls.of(daemon);
  const location = { _typeName: 'VirtualMachineRelocateSpec', diskMoveType: 'createNewChildDiskBacking' };
  await center.task(scene.web, 'CloneVM_Task', {
    folder: vmFolder,
    name: 'linked',
    spec: { _typeName: 'VirtualMachineCloneSpec', location, template: false, powerOn: false, snapshot },
  });
  await scene.task('RemoveAllSnapshots_Task');
  await assert.rejects(scene.move(toFast), named('NotSupported'));
  assert.deepEqual(await scene.files('fast'), []);
  await daemon.host.close();
  assert.deepEqual(computer.defects, []);
});

for (const running of [false, true]) {
  test(`killed at any step of a move of one disk of a machine that ${running ? 'runs' : 'is off'}: it is here or there, whole`, {
    ...killLimit,
  }, async (t) => {
    t.after(gateFiles());
    const scene = await Scene.make(t);
    const { computer } = scene;
    if (!running) await scene.task('PowerOffVM_Task');
    let steps = 0;
    for (const dies of deaths(7)) {
      const { daemon } = scene;
      const here = scene.backing(second).fileName?.startsWith('[fast]') ? 'fast' : 'datastore';
      const target = here === 'fast' ? 'datastore' : 'fast';
      const end = await killedAt({ computer, daemon, dies }, (alive) =>
        alive.task(scene.web, 'RelocateVM_Task', scene.spec({ disk: [scene.locator(second, target)] })),
      );
      scene.daemon = end.daemon;
      const where = `killed at step ${dies}`;
      assert.deepEqual(computer.defects, [], where);
      const [vmx, one, two = ''] = scene.places();
      assert.deepEqual([vmx, one], ['[datastore1] web/web.vmx', '[datastore1] web/web.vmdk'], where);
      const now = two.startsWith('[fast]') ? 'fast' : 'datastore';
      const disks = (await scene.files(now, 'web')).filter((name) => /^web_1/.test(name));
      assert.deepEqual(disks, ['web_1-flat.vmdk', 'web_1.vmdk'], where);
      if (now === 'datastore') assert.deepEqual(await scene.files('fast'), [], where);
      else
        assert.deepEqual(
          (await scene.files('datastore', 'web')).filter((name) => /^web_1/.test(name)),
          [],
          where,
        );
      const value = (dies % 250) + 1;
      if (running) {
        assert.equal(scene.daemon.read(scene.web, 'runtime')?.powerState, 'poweredOn', where);
        assert.deepEqual([...computer.engines.engines.keys()], [scene.lock()], where);
        const engine = computer.engines.engines.get(scene.lock());
        assert.deepEqual([engine?.pivoting, engine?.mirrors.size], [false, 0], where);
        // What is written now is written where the disk is.
        scene.write(second, 2, value);
      }
      assert.deepEqual(await scene.read(first), [1, 0, 0], where);
      assert.deepEqual(await scene.read(second), [2, 0, running ? value : 0], where);
      steps += 1;
      if (end.whole) break;
    }
    assert.ok(steps > 2, 'it was killed at some steps');
    await scene.daemon.host.close();
  });
}
