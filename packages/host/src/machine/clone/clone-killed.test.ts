import assert from 'node:assert/strict';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ManagedObjectReference } from '@hypostyle/vim';
import { references } from '../../inventory/references.ts';
import { CenterCalls } from '../../testing/center-calls.ts';
import { readFakeDisk, visibleFiles } from '../../testing/disk-reading.ts';
import { Computer, type Daemon, smallMachine, vmFolder } from '../../testing/host-fixture.ts';
import { deaths, killedAt, killLimit } from '../../testing/killed.ts';
import { gateFiles } from '../../testing/mortal-files.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;
type Snapshot = ManagedObjectReference<'VirtualMachineSnapshot'>;

interface Scene {
  readonly computer: Computer;
  daemon: Daemon;
  readonly web: Machine;
  readonly snapshot: Snapshot;
  /** Another datastore than that of the machine. */
  readonly other: ManagedObjectReference<'Datastore'>;
}

interface Clone {
  readonly spec: (scene: Scene) => object;
  /** It goes on with the memory of the machine, beside it. */
  readonly instant?: boolean;
  readonly powerOn: boolean;
  readonly isTemplate?: boolean;
  /** What the first blocks of the clone's disk are. */
  readonly blocks: readonly number[];
  /** Files that it has, when it is not running. */
  readonly files: readonly string[];
  /** Those on the other datastore: its disk is one of them, where there are any. */
  readonly filesThere?: readonly string[];
}

const location = (more: object = {}) => ({ _typeName: 'VirtualMachineRelocateSpec', ...more });
const linked = location({ diskMoveType: 'createNewChildDiskBacking' });

const customization = {
  _typeName: 'CustomizationSpec',
  identity: {
    _typeName: 'CustomizationLinuxPrep',
    hostName: { _typeName: 'CustomizationFixedName', name: 'copy' },
    domain: 'example.com',
  },
  globalIPSettings: { _typeName: 'CustomizationGlobalIPSettings' },
};

const clones: Readonly<Record<string, Clone>> = {
  'a copy of a machine that runs': {
    spec: () => ({ location: location() }),
    powerOn: false,
    blocks: [2, 0],
    files: ['copy-flat.vmdk', 'copy.vmdk', 'copy.vmx'],
  },
  'a copy whose disk comes to another datastore': {
    spec: ({ other }) => ({
      location: location({
        disk: [{ _typeName: 'VirtualMachineRelocateSpecDiskLocator', diskId: 2000, datastore: other }],
      }),
    }),
    powerOn: false,
    blocks: [2, 0],
    files: ['copy.vmx'],
    filesThere: ['copy-flat.vmdk', 'copy.vmdk'],
  },
  'a copy of a snapshot': {
    spec: ({ snapshot }) => ({ snapshot, location: location() }),
    powerOn: false,
    blocks: [1, 0],
    files: ['copy-flat.vmdk', 'copy.vmdk', 'copy.vmx'],
  },
  'a template with a name to be told': {
    spec: () => ({ location: location(), template: true, customization }),
    powerOn: false,
    isTemplate: true,
    blocks: [2, 0],
    files: ['copy-flat.vmdk', 'copy.vmdk', 'copy.vmx'],
  },
  'a linked clone': {
    spec: ({ snapshot }) => ({ snapshot, location: linked }),
    powerOn: false,
    blocks: [1, 0],
    files: ['copy-delta.qcow2', 'copy.vmdk', 'copy.vmx'],
  },
  'a linked clone that is started': {
    spec: ({ snapshot }) => ({ snapshot, location: linked }),
    powerOn: true,
    blocks: [1, 0],
    files: ['copy-delta.qcow2', 'copy.vmdk', 'copy.vmx'],
  },
  'an instant clone': {
    spec: () => ({ location: location() }),
    instant: true,
    powerOn: true,
    blocks: [2, 0],
    files: ['copy-delta.qcow2', 'copy.vmdk', 'copy.vmx'],
  },
};

for (const [name, clone] of Object.entries(clones)) {
  test(`killed at any step of ${name}: it is there whole, and no file for nothing`, killLimit, async (t) => {
    t.after(gateFiles());
    const computer = await Computer.make();
    t.after(() => computer.remove());
    let daemon = await computer.start();
    const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
    await daemon.task(web, 'PowerOnVM_Task');
    computer.engines.write(join(computer.datastore, 'web', '.hypo', 'vm.lck'), 'scsi0u0', 0, 1);
    const snapshot = (await daemon.task(web, 'CreateSnapshot_Task', {
      name: 'base',
      memory: false,
      quiesce: false,
    })) as Snapshot;
    computer.engines.write(join(computer.datastore, 'web', '.hypo', 'vm.lck'), 'scsi0u0', 0, 2);
    const path = join(computer.directory, 'other');
    const elsewhere = await daemon.call(references.datastoreSystem, 'CreateLocalDatastore', { name: 'other', path });
    const other = elsewhere as Scene['other'];
    const nothingElse = async (where: string) => {
      assert.deepEqual(await visibleFiles(computer.datastore), ['web'], where);
      assert.deepEqual(await visibleFiles(path), [], where);
    };
    const known = new Set<string>();
    let steps = 0;
    for (const dies of deaths(clone.instant ? 29 : 13)) {
      const center = await CenterCalls.of(daemon);
      const scene = { computer, daemon, web, snapshot, other };
      const spec = {
        _typeName: 'VirtualMachineCloneSpec',
        template: false,
        powerOn: clone.powerOn,
        ...clone.spec(scene),
      };
      const method = clone.instant ? 'InstantClone_Task' : 'CloneVM_Task';
      const instant = { _typeName: 'VirtualMachineInstantCloneSpec', name: 'copy', location: location() };
      const asked = clone.instant ? { spec: instant } : { folder: vmFolder, name: 'copy', spec };
      const end = await killedAt({ computer, daemon, dies }, () => center.task(web, method, asked));
      daemon = end.daemon;
      const where = `killed at step ${dies}`;
      const copy = daemon.machine('copy');
      const tasks = daemon.tasks(method).filter((task) => !known.has(task.key));
      const last = tasks.at(-1);
      if (copy === undefined) {
        // Only where nobody ever heard of the task.
        assert.deepEqual(tasks, [], where);
        await nothingElse(where);
      } else {
        assert.equal(last?.state, 'success', `${where}: ${last?.error?.localizedMessage}`);
        assert.deepEqual(last?.result, copy, where);
        assert.equal(daemon.read(copy, 'runtime')?.powerState, clone.powerOn ? 'poweredOn' : 'poweredOff', where);
        assert.equal(daemon.read(copy, 'config')?.template, clone.isTemplate ?? false, where);
        if (clone.isTemplate) {
          const { mode } = await stat(join(computer.datastore, 'copy', '.hypo', 'customization.json'));
          assert.equal(mode & 0o777, 0o600, where);
        }
        const memory = (name: string) =>
          computer.engines.engines.get(join(computer.datastore, name, '.hypo', 'vm.lck'))?.memory;
        if (clone.instant) assert.equal(memory('copy'), memory('web'), where);
        if (clone.powerOn) await daemon.task(copy, 'PowerOffVM_Task');
        assert.deepEqual(await visibleFiles(join(computer.datastore, 'copy')), clone.files, where);
        const there = clone.filesThere === undefined ? undefined : join(path, 'copy');
        if (there !== undefined) assert.deepEqual(await visibleFiles(there), clone.filesThere, where);
        const disk = join(there ?? join(computer.datastore, 'copy'), 'copy.vmdk');
        assert.deepEqual(await readFakeDisk(disk, 2), clone.blocks, where);
        await daemon.task(copy, 'Destroy_Task');
        await nothingElse(where);
      }
      assert.deepEqual(computer.defects, [], where);
      const [only, ...more] = daemon.read(web, 'snapshot')?.rootSnapshotList ?? [];
      assert.deepEqual([only?.name, only?.childSnapshotList, more.length], ['base', undefined, 0], where);
      for (const { key } of tasks) known.add(key);
      steps += 1;
      if (end.whole) break;
    }
    assert.ok(steps > 2, 'it was killed at some steps');
    assert.equal((await readdir(computer.datastore)).includes('copy'), false);
    await daemon.host.close();
  });
}
