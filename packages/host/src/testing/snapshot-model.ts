import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ManagedObjectReference, VirtualMachineSnapshotTree } from '@hypostyle/vim';
import { blockStride, filesOfChains, readFakeDisk, visibleFiles } from './disk-reading.ts';
import type { Computer, Daemon } from './host-fixture.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;
type Snapshot = ManagedObjectReference<'VirtualMachineSnapshot'>;
type Power = 'poweredOff' | 'poweredOn' | 'suspended';

/** Blocks of the disk that are written and looked at. */
export const modelBlocks = 5;
/** Engine's name of the machine's disk. */
const diskId = 'scsi0u0';
const mostSnapshots = 6;

/** What a machine, or a snapshot of it, is made of. */
interface Contents {
  readonly blocks: readonly number[];
  readonly annotation: string;
}

/** What must be true of a machine with snapshots. */
export interface SnapshotModel extends Contents {
  readonly power: Power;
  readonly current: string | undefined;
  /** By name; each is there once. */
  readonly snapshots: Readonly<
    Record<string, Contents & { readonly parent: string | undefined; readonly power: Power }>
  >;
}

export type SnapshotAction =
  | { readonly kind: 'write'; readonly block: number; readonly value: number }
  | { readonly kind: 'powerOn' | 'powerOff' | 'suspend' | 'crash' | 'removeAll' | 'consolidate' | 'revertToCurrent' }
  | { readonly kind: 'annotate'; readonly text: string }
  | { readonly kind: 'take'; readonly name: string }
  | { readonly kind: 'revert'; readonly name: string }
  | { readonly kind: 'remove'; readonly name: string; readonly withChildren: boolean; readonly consolidate: boolean };

/** A machine of one new disk, off. */
export const newModel: SnapshotModel = {
  power: 'poweredOff',
  blocks: Array.from({ length: modelBlocks }, () => 0),
  annotation: '',
  current: undefined,
  snapshots: {},
};

/** Every action that a machine allows; `number` is one that was never given before. */
export function possibleActions(model: SnapshotModel, number: number): SnapshotAction[] {
  const { power, snapshots, current } = model;
  const names = Object.keys(snapshots);
  const on = power === 'poweredOn';
  const writes = Array.from({ length: modelBlocks }, (_, block): SnapshotAction => {
    return { kind: 'write', block, value: (number % 250) + 1 };
  });
  return [
    ...(on
      ? [...writes, ...writes, { kind: 'powerOff' } as const, { kind: 'suspend' } as const, { kind: 'crash' } as const]
      : []),
    ...(on ? [] : [{ kind: 'powerOn' } as const, { kind: 'powerOn' } as const]),
    { kind: 'annotate', text: `note ${number}` },
    ...(names.length < mostSnapshots
      ? [{ kind: 'take', name: `s${number}` } as const, { kind: 'take', name: `s${number}` } as const]
      : []),
    ...names.flatMap((name): SnapshotAction[] => [
      { kind: 'revert', name },
      { kind: 'remove', name, withChildren: false, consolidate: true },
      { kind: 'remove', name, withChildren: number % 3 === 0, consolidate: number % 4 > 0 },
    ]),
    ...(current === undefined ? [] : [{ kind: 'revertToCurrent' } as const]),
    ...(names.length === 0 ? [] : [{ kind: 'removeAll' } as const]),
    { kind: 'consolidate' },
  ];
}

/** What the machine is after an action. */
export function modelAfter(model: SnapshotModel, action: SnapshotAction): SnapshotModel {
  switch (action.kind) {
    case 'write':
      return { ...model, blocks: model.blocks.with(action.block, action.value) };
    case 'powerOn':
      return { ...model, power: 'poweredOn' };
    case 'powerOff':
    case 'crash':
      return { ...model, power: 'poweredOff' };
    case 'suspend':
      return { ...model, power: 'suspended' };
    case 'annotate':
      return { ...model, annotation: action.text };
    case 'take': {
      const { blocks, annotation, current } = model;
      const power: Power = model.power === 'suspended' ? 'suspended' : 'poweredOff';
      const taken = { parent: current, blocks, annotation, power };
      return { ...model, current: action.name, snapshots: { ...model.snapshots, [action.name]: taken } };
    }
    case 'revert':
    case 'revertToCurrent': {
      const name = action.kind === 'revert' ? action.name : (model.current ?? '');
      const { blocks, annotation, power } = model.snapshots[name] ?? model;
      return { ...model, blocks, annotation, power, current: name };
    }
    case 'remove':
      return without(model, action.withChildren ? below(model, action.name) : new Set([action.name]));
    case 'removeAll':
      return without(model, new Set(Object.keys(model.snapshots)));
    case 'consolidate':
      return model;
  }
}

function below({ snapshots }: SnapshotModel, name: string): Set<string> {
  const found = new Set([name]);
  for (let size = 0; size !== found.size; ) {
    size = found.size;
    for (const [child, { parent }] of Object.entries(snapshots)) if (parent && found.has(parent)) found.add(child);
  }
  return found;
}

function without(model: SnapshotModel, gone: ReadonlySet<string>): SnapshotModel {
  const staying = (name: string | undefined): string | undefined =>
    name !== undefined && gone.has(name) ? staying(model.snapshots[name]?.parent) : name;
  const snapshots = Object.fromEntries(
    Object.entries(model.snapshots)
      .filter(([name]) => !gone.has(name))
      .map(([name, snapshot]) => [name, { ...snapshot, parent: staying(snapshot.parent) }]),
  );
  return { ...model, snapshots, current: staying(model.current) };
}

/** One machine of a computer with fakes, in a folder of its name: does what the model does, and shows what it is. */
export class ModelMachine {
  readonly #computer: Computer;
  readonly #name: string;

  constructor(computer: Computer, name: string) {
    this.#computer = computer;
    this.#name = name;
  }

  get folder(): string {
    return join(this.#computer.datastore, this.#name);
  }

  get lock(): string {
    return join(this.folder, '.hypo', 'vm.lck');
  }

  async perform(daemon: Daemon, action: SnapshotAction): Promise<void> {
    const machine = this.#machine(daemon);
    const snapshot = (name: string) => snapshotOf(daemon, machine, name);
    switch (action.kind) {
      case 'write':
        return this.#computer.engines.write(this.lock, diskId, action.block * blockStride, action.value);
      case 'powerOn':
        return void (await daemon.task(machine, 'PowerOnVM_Task'));
      case 'powerOff':
        return void (await daemon.task(machine, 'PowerOffVM_Task'));
      case 'suspend':
        return void (await daemon.task(machine, 'SuspendVM_Task'));
      case 'crash':
        this.#computer.engines.end(this.lock, 'crashed');
        while (!daemon.store.dead && daemon.read(machine, 'runtime')?.powerState === 'poweredOn')
          await new Promise((resolve) => setTimeout(resolve, 1));
        return daemon.store.gate();
      case 'annotate': {
        const spec = { _typeName: 'VirtualMachineConfigSpec', annotation: action.text };
        return void (await daemon.task(machine, 'ReconfigVM_Task', { spec }));
      }
      case 'take':
        return void (await daemon.task(machine, 'CreateSnapshot_Task', {
          name: action.name,
          memory: false,
          quiesce: false,
        }));
      case 'revert':
        return void (await daemon.task(snapshot(action.name), 'RevertToSnapshot_Task'));
      case 'revertToCurrent':
        return void (await daemon.task(machine, 'RevertToCurrentSnapshot_Task'));
      case 'remove': {
        const { withChildren: removeChildren, consolidate } = action;
        return void (await daemon.task(snapshot(action.name), 'RemoveSnapshot_Task', { removeChildren, consolidate }));
      }
      case 'removeAll':
        return void (await daemon.task(machine, 'RemoveAllSnapshots_Task'));
      case 'consolidate':
        return void (await daemon.task(machine, 'ConsolidateVMDisks_Task'));
    }
  }

  /** What the host, the engine and the folder show, which must agree among themselves; no file is there for nothing. */
  async observe(daemon: Daemon): Promise<SnapshotModel> {
    const machine = this.#machine(daemon);
    const engine = this.#computer.engines.engines.get(this.lock);
    const power = daemon.read(machine, 'runtime')?.powerState as Power;
    assert.equal(daemon.read(machine, 'runtime')?.connectionState, 'connected');
    assert.equal(engine !== undefined, power === 'poweredOn', `shown as ${power}`);
    assert.ok(engine?.pivoting !== true, 'the guest stands still');
    const vmx = await readFile(join(this.folder, `${this.#name}.vmx`), 'utf8');
    const disk = /^scsi0:0\.fileName = "(.*)"/m.exec(vmx)?.[1] ?? '';
    const image = /^checkpoint\.vmState = "(.*)"/m.exec(vmx)?.[1];
    assert.equal(image !== undefined, power === 'suspended', `shown as ${power}, its .vmx names ${image}`);
    const blocks = await readFakeDisk(join(this.folder, disk), modelBlocks, blockStride);
    if (engine !== undefined) {
      const running = blocks.map((_, block) => this.#computer.engines.read(this.lock, diskId, block * blockStride));
      assert.deepEqual(running, blocks, 'the engine has other bytes than the descriptors say');
    }
    const info = daemon.read(machine, 'snapshot');
    const found: Record<string, SnapshotModel['snapshots'][string]> = {};
    const named = [disk];
    let current: string | undefined;
    for (const { tree, parent } of flat(info?.rootSnapshotList ?? [], undefined)) {
      const config = daemon.host.registry.read(tree.snapshot, 'config');
      const device = config?.hardware.device?.find((one) => one._typeName === 'VirtualDisk');
      const file = (device?.backing as { readonly fileName?: string } | undefined)?.fileName?.split('/').at(-1) ?? '';
      named.push(file);
      const state = tree.state as Power;
      found[tree.name] = {
        parent,
        blocks: await readFakeDisk(join(this.folder, file), modelBlocks, blockStride),
        annotation: config?.annotation ?? '',
        power: state,
      };
      if (tree.snapshot.value === info?.currentSnapshot?.value) current = tree.name;
    }
    assert.equal(info?.currentSnapshot !== undefined, current !== undefined, 'the current snapshot is in the tree');
    await this.#checkFiles(daemon, named, image);
    return { power, blocks, annotation: daemon.read(machine, 'config')?.annotation ?? '', current, snapshots: found };
  }

  async #checkFiles(daemon: Daemon, disks: readonly string[], image: string | undefined): Promise<void> {
    const files = await visibleFiles(this.folder);
    const ofSnapshots = daemon.read(this.#machine(daemon), 'layout')?.snapshot ?? [];
    const expected = await filesOfChains(this.folder, disks);
    for (const { snapshotFile } of ofSnapshots) for (const file of snapshotFile) expected.add(file);
    for (const file of [`${this.#name}.vmx`, image]) if (file !== undefined) expected.add(file);
    if (files.includes(`${this.#name}.vmsd`)) expected.add(`${this.#name}.vmsd`);
    assert.deepEqual(files, [...expected].sort(), 'files that nothing names, or names without files');
  }

  #machine(daemon: Daemon): Machine {
    const machine = daemon.machine(this.#name);
    assert.ok(machine, `there is no machine ${this.#name}`);
    return machine;
  }
}

function snapshotOf(daemon: Daemon, machine: Machine, name: string): Snapshot {
  const trees = flat(daemon.read(machine, 'snapshot')?.rootSnapshotList ?? [], undefined);
  const found = trees.find(({ tree }) => tree.name === name);
  assert.ok(found, `there is no snapshot ${name}`);
  return found.tree.snapshot;
}

function flat(
  trees: readonly VirtualMachineSnapshotTree[],
  parent: string | undefined,
): { readonly tree: VirtualMachineSnapshotTree; readonly parent: string | undefined }[] {
  return trees.flatMap((tree) => [{ tree, parent }, ...flat(tree.childSnapshotList ?? [], tree.name)]);
}
