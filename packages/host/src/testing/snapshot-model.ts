import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { HypervisorError } from '@hypostyle/contracts';
import type { ManagedObjectReference, VirtualMachineSnapshotTree } from '@hypostyle/vim';
import { blockStride, filesOfChains, readFakeDisk, visibleFiles } from './disk-reading.ts';
import { readFakeMemoryImage } from './fake-memory-image.ts';
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
  /** What a guest was told to remember; undefined of one that was told nothing, or that is off. */
  readonly memory: string | undefined;
}

/** What must be true of a machine with snapshots. */
export interface SnapshotModel extends Contents {
  readonly power: Power;
  readonly current: string | undefined;
  /** By name; each is there once. */
  readonly snapshots: Readonly<
    Record<
      string,
      Contents & {
        readonly parent: string | undefined;
        readonly power: Power;
        /** The guest held its file systems. */
        readonly quiesced: boolean;
      }
    >
  >;
}

export type SnapshotAction =
  | { readonly kind: 'write'; readonly block: number; readonly value: number }
  | { readonly kind: 'powerOn' | 'powerOff' | 'suspend' | 'crash' | 'removeAll' | 'consolidate' | 'revertToCurrent' }
  | { readonly kind: 'annotate'; readonly text: string }
  | { readonly kind: 'remember'; readonly text: string }
  | {
      readonly kind: 'take';
      readonly name: string;
      readonly memory?: boolean;
      /** Asked of a guest whose agent answers. */
      readonly quiesce?: boolean;
      /** What comes between: the memory cannot be written, or the engine ends. */
      readonly fails?: 'memory' | 'engine';
    }
  | { readonly kind: 'revert'; readonly name: string }
  | { readonly kind: 'remove'; readonly name: string; readonly withChildren: boolean; readonly consolidate: boolean };

/** A machine of one new disk, off. */
export const newModel: SnapshotModel = {
  power: 'poweredOff',
  blocks: Array.from({ length: modelBlocks }, () => 0),
  annotation: '',
  memory: undefined,
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
      ? [
          ...writes,
          ...writes,
          { kind: 'remember', text: `words ${number}` } as const,
          { kind: 'take', name: `s${number}`, memory: true } as const,
          { kind: 'powerOff' } as const,
          { kind: 'suspend' } as const,
          { kind: 'crash' } as const,
        ].filter(({ kind }) => kind !== 'take' || names.length < mostSnapshots)
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
      return { ...model, power: 'poweredOff', memory: undefined };
    case 'remember':
      return { ...model, memory: action.text };
    case 'suspend':
      return { ...model, power: 'suspended' };
    case 'annotate':
      return { ...model, annotation: action.text };
    case 'take': {
      if (action.fails === 'memory') return model;
      if (action.fails === 'engine') return modelAfter(model, { kind: 'crash' });
      const { blocks, annotation, current } = model;
      const withMemory = model.power === 'suspended' || (action.memory === true && model.power === 'poweredOn');
      const power: Power = withMemory ? model.power : 'poweredOff';
      const memory = withMemory ? model.memory : undefined;
      const quiesced = action.quiesce === true && power === 'poweredOff' && model.power === 'poweredOn';
      const taken = { parent: current, blocks, annotation, power, memory, quiesced };
      return { ...model, current: action.name, snapshots: { ...model.snapshots, [action.name]: taken } };
    }
    case 'revert':
    case 'revertToCurrent': {
      const name = action.kind === 'revert' ? action.name : (model.current ?? '');
      const { blocks, annotation, power, memory } = model.snapshots[name] ?? model;
      return { ...model, blocks, annotation, power, memory, current: name };
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
  /** Folder of its disk on another datastore. */
  readonly #disks: string | undefined;

  constructor(computer: Computer, name: string, { disks }: { readonly disks?: string } = {}) {
    this.#computer = computer;
    this.#name = name;
    this.#disks = disks;
  }

  /** Where its disk and the deltas over it lie. */
  get disks(): string {
    return this.#disks ?? this.folder;
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
      case 'remember':
        return this.#computer.engines.remember(this.lock, action.text);
      case 'take': {
        const { name, memory = false, quiesce = false, fails } = action;
        if (fails === 'memory')
          daemon.hypervisor.failures.set('saveMemory', new HypervisorError('memory-failed', 'no room'));
        if (fails === 'engine')
          daemon.hypervisor.failures.set('saveMemory', new HypervisorError('not-running', 'died'));
        const taken = daemon.task(machine, 'CreateSnapshot_Task', { name, memory, quiesce });
        if (fails === undefined) await taken;
        else await assert.rejects(taken, /No snapshot was taken/);
        return;
      }
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
    assert.equal(engine?.saving, undefined, 'memory is on its way');
    assert.ok(engine?.frozen !== true, 'the guest holds its file systems');
    const vmx = await readFile(join(this.folder, `${this.#name}.vmx`), 'utf8');
    const name = /^scsi0:0\.fileName = "(.*)"/m.exec(vmx)?.[1] ?? '';
    assert.equal(name.includes('/'), this.#disks !== undefined, name);
    const disk = basename(name);
    const image = /^checkpoint\.vmState = "(.*)"/m.exec(vmx)?.[1];
    assert.equal(image !== undefined, power === 'suspended', `shown as ${power}, its .vmx names ${image}`);
    const blocks = await readFakeDisk(join(this.disks, disk), modelBlocks, blockStride);
    if (engine !== undefined) {
      const running = blocks.map((_, block) => this.#computer.engines.read(this.lock, diskId, block * blockStride));
      assert.deepEqual(running, blocks, 'the engine has other bytes than the descriptors say');
    }
    const memory = wordsOf(engine?.memory ?? (image === undefined ? undefined : await this.#read(image)));
    const info = daemon.read(machine, 'snapshot');
    const layouts = daemon.read(machine, 'layout')?.snapshot ?? [];
    const found: Record<string, SnapshotModel['snapshots'][string]> = {};
    const named = [disk];
    let current: string | undefined;
    for (const { tree, parent } of flat(info?.rootSnapshotList ?? [], undefined)) {
      const config = daemon.host.registry.read(tree.snapshot, 'config');
      const device = config?.hardware.device?.find((one) => one._typeName === 'VirtualDisk');
      const file = (device?.backing as { readonly fileName?: string } | undefined)?.fileName?.split('/').at(-1) ?? '';
      named.push(file);
      const state = tree.state as Power;
      const kept = layouts
        .find(({ key }) => key.value === tree.snapshot.value)
        ?.snapshotFile.find((name) => name.endsWith('.vmem'));
      assert.equal(kept !== undefined, state !== 'poweredOff', `a snapshot as ${state} has ${kept}`);
      found[tree.name] = {
        parent,
        blocks: await readFakeDisk(join(this.disks, file), modelBlocks, blockStride),
        annotation: config?.annotation ?? '',
        power: state,
        memory: kept === undefined ? undefined : wordsOf(await this.#read(kept)),
        quiesced: tree.quiesced,
      };
      if (tree.snapshot.value === info?.currentSnapshot?.value) current = tree.name;
    }
    assert.equal(info?.currentSnapshot !== undefined, current !== undefined, 'the current snapshot is in the tree');
    await this.#checkFiles(daemon, named, image);
    const annotation = daemon.read(machine, 'config')?.annotation ?? '';
    return { power, blocks, annotation, memory, current, snapshots: found };
  }

  async #read(name: string): Promise<string> {
    return readFakeMemoryImage(await readFile(join(this.folder, name), 'utf8')).memory;
  }

  async #checkFiles(daemon: Daemon, disks: readonly string[], image: string | undefined): Promise<void> {
    const files = await visibleFiles(this.folder);
    const ofSnapshots = daemon.read(this.#machine(daemon), 'layout')?.snapshot ?? [];
    const ofDisks = await filesOfChains(this.disks, disks);
    const apart = this.#disks === undefined ? [] : await visibleFiles(this.#disks);
    assert.deepEqual(apart, this.#disks === undefined ? [] : [...ofDisks].sort(), 'files beside the disk, or without');
    const expected = this.#disks === undefined ? ofDisks : new Set<string>();
    for (const { snapshotFile } of ofSnapshots)
      for (const file of snapshotFile) if (!file.includes('/')) expected.add(file);
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

/** What a guest was told to remember. */
function wordsOf(memory: string | undefined): string | undefined {
  return memory?.startsWith('words') ? memory : undefined;
}
