import type { BlockLayer, Hypervisor, HypervisorInfo, LayerCommit, RunningMachine } from '@hypostyle/contracts';
import { chainLayers, type DiskChain } from '@hypostyle/services';
import type { Draft, Registry } from '@hypostyle/vim';
import type { Disk, MachineConfiguration } from '../../configuration/machine-configuration.ts';
import { diskIdOf } from '../power/hardware.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import type { Machines } from '../record/machines.ts';
import { chainDigest } from './chain-digest.ts';
import { type ChangeRecord, mostTrackedDisks } from './change-record.ts';
import { readChangeRecord, writeChangeRecord } from './change-record-file.ts';
import { expired, type OpenedDisk, openTracked } from './open-tracked.ts';
import { ReadGate } from './read-gate.ts';
import { untrackable } from './trackable.ts';
import { newEpoch, type TrackedDisk, withClosed, withMoment, withoutEpoch } from './tracked-disk.ts';
import {
  baseName,
  baseNameOf,
  chainOfDisk,
  changeImageOf,
  findTracked,
  folderOf,
  isRecording,
  layersThrough,
  makeChangeImage,
  removeChangeImage,
  trackedLayers,
} from './tracked-files.ts';

/** What of the host it needs. */
interface ChangeTrackingOptions {
  readonly registry: Pick<Registry, 'commit'>;
  readonly machines: Machines;
  readonly hypervisor: Pick<Hypervisor, 'images'>;
  readonly hypervisorInfo: HypervisorInfo;
  /** Told of a machine whose snapshots show something else now. */
  readonly snapshotsChanged: (draft: Draft, id: string) => void;
  /** Told of what failed in the background, with where. */
  readonly onDefect: (where: string, error: unknown) => void;
}

/** A generation that begins with a snapshot of one disk; JSON, so that it can be journaled. */
export interface PlannedGeneration {
  /** Device key of the disk. */
  readonly key: number;
  readonly base: string;
  readonly bytes: number;
  readonly epoch: string;
  readonly generation: number;
  /** The epoch begins here. */
  readonly isFirst: boolean;
}

/**
 * What is known of the changes of machines' disks: epochs and generations, in a record of the machine's folder. An
 * epoch goes on only where every write since its beginning is known to have been seen; whatever else happens ends it,
 * and with it every id that was given.
 */
export class ChangeTracking {
  readonly #core: ChangeTrackingOptions;
  /** Changes of a machine's record come one after another. */
  readonly #last = new Map<string, Promise<unknown>>();
  /** Readers of disks that no engine has, and those who are about to write them. */
  readonly gate = new ReadGate();

  constructor(core: ChangeTrackingOptions) {
    this.#core = core;
  }

  /** Whether nobody wrote a disk since its epoch was closed. */
  async isUnchanged(machine: MachineRecord, chain: DiskChain): Promise<boolean> {
    const closed = findTracked(machine.changes, baseName(machine, chain))?.epoch?.closed;
    return closed !== undefined && closed === (await chainDigest(chain, folderOf(machine)));
  }

  /**
   * Makes disks ready to be written by an engine: every disk whose changes are to be told takes them in a generation of
   * its epoch, or of a new one. Durable when it resolves. Answers the layers of each disk by device key.
   */
  async open(
    machine: MachineRecord,
    configuration: MachineConfiguration,
    disks: readonly OpenedDisk[],
  ): Promise<Map<number, readonly BlockLayer[]>> {
    const layers = new Map<number, readonly BlockLayer[]>();
    const plain = disks.every(({ chain }) => chain.links.at(-1)?.changesPath === undefined);
    if (plain && !configuration.changeTracking && machine.changes.every(({ epoch }) => epoch === undefined)) {
      return new Map(disks.map(({ disk, chain }) => [disk.key, chainLayers(chain)]));
    }
    await this.#change(machine.id, async (record) => {
      const opened: TrackedDisk[] = [];
      for (const one of disks) {
        const { disk, chain } = one;
        const before = findTracked(record, baseName(machine, chain));
        const tracked = this.#isTracked(configuration, disk, chain);
        const found = tracked ? await this.#open(machine, one, before) : undefined;
        if (!tracked) await removeChangeImage(machine, chain);
        layers.set(disk.key, found?.layers ?? chainLayers(chain));
        if (found !== undefined) opened.push(found.tracked);
        else if (before !== undefined) opened.push(withoutEpoch(before));
      }
      return opened.slice(0, mostTrackedDisks);
    });
    return layers;
  }

  async #open(machine: MachineRecord, one: OpenedDisk, before: TrackedDisk | undefined) {
    try {
      return await openTracked(this.#core.hypervisor.images, machine, one, before);
    } catch (error) {
      // The machine starts all the same; that it has no ids says that nothing is known.
      this.#core.onDefect(`changed blocks of ${machine.configuration.name}`, error);
      return undefined;
    }
  }

  /** Once a machine's engine is gone: epochs whose writes are all known go on. */
  async close(id: string): Promise<void> {
    const machine = this.#core.machines.find(id);
    if (machine === undefined || machine.problem !== undefined) return;
    if (machine.changes.length === 0 && !machine.configuration.changeTracking) return;
    await this.#change(id, async (record) => {
      const closed = new Map<string, TrackedDisk>();
      for (const disk of machine.configuration.disks) {
        const chain = await chainOfDisk(machine, disk.fileName).catch(() => undefined);
        if (chain === undefined) continue;
        const tracked = findTracked(record, baseName(machine, chain));
        if (tracked?.epoch === undefined) {
          if (!this.#isTracked(machine.configuration, disk, chain)) await removeChangeImage(machine, chain);
        } else if (tracked.epoch.closed === undefined && (await this.#isWhole(machine, chain, tracked)))
          closed.set(tracked.base, withClosed(tracked, await chainDigest(chain, folderOf(machine))));
      }
      return record.map((disk) => closed.get(disk.base) ?? disk);
    }).catch((error: unknown) => this.#core.onDefect(`changed blocks of ${machine.configuration.name}`, error));
  }

  #isWhole(machine: MachineRecord, chain: DiskChain, { generation }: TrackedDisk): Promise<boolean> {
    return isRecording(this.#core.hypervisor.images, trackedLayers(machine, chain), generation);
  }

  /** What begins with a snapshot of disks. Nothing is written down before it is taken. */
  async plan(machine: MachineRecord, disks: readonly Disk[]): Promise<PlannedGeneration[]> {
    if (!machine.configuration.changeTracking) return [];
    const running = this.#core.machines.engine(machine.id) !== undefined;
    const planned: PlannedGeneration[] = [];
    for (const disk of disks) {
      const chain = await chainOfDisk(machine, disk.fileName);
      if (!this.#isTracked(machine.configuration, disk, chain)) continue;
      const base = baseName(machine, chain);
      const bytes = chain.capacityBytes;
      const before = findTracked(machine.changes, base);
      const live = running ? before?.epoch?.closed === undefined : await this.isUnchanged(machine, chain);
      const goesOn = before?.epoch !== undefined && before.bytes === bytes && live;
      const generation = (before?.generation ?? 0) + 1;
      const epoch = goesOn ? before.epoch.id : (newEpoch(before, base, bytes).epoch?.id ?? '');
      planned.push({ key: disk.key, base, bytes, epoch, generation, isFirst: !goesOn });
    }
    return planned;
  }

  /**
   * After a snapshot: ids of its moment are known from now on. What was planned is what an engine keeps now; of a
   * machine that is off, what its new deltas keep.
   */
  async began(id: string, uid: number, planned: readonly PlannedGeneration[]): Promise<void> {
    if (planned.length === 0) return;
    await this.#change(id, async (record) => {
      const machine = this.#core.machines.get({ type: 'VirtualMachine', value: id });
      const running = this.#core.machines.engine(id) !== undefined;
      const existing = new Set(machine.snapshots.entries.map((entry) => entry.uid));
      const next = new Map(record.map((disk) => [disk.base, disk]));
      for (const { key, base, bytes, epoch, generation, isFirst } of planned) {
        const before = next.get(base);
        const disk = machine.configuration.disks.find((one) => one.key === key);
        if (disk === undefined || (!isFirst && before?.epoch?.id !== epoch)) continue;
        const begun = isFirst ? { ...newEpoch(before, base, bytes, epoch), generation } : before;
        if (begun === undefined) continue;
        const closed = running ? undefined : await this.#closedAt(machine, disk, begun, generation);
        if (!running && closed === undefined) continue;
        next.set(base, withClosed(withMoment(begun, { snapshot: uid, generation }, existing), closed));
      }
      return [...next.values()].slice(-mostTrackedDisks);
    });
  }

  /** The state of a disk without an engine right after a snapshot; undefined where not all below is as it was left. */
  async #closedAt(machine: MachineRecord, disk: Disk, before: TrackedDisk, generation: number) {
    const { images } = this.#core.hypervisor;
    const chain = await chainOfDisk(machine, disk.fileName);
    if (!(await isRecording(images, trackedLayers(machine, chain), generation))) return undefined;
    const [, ...below] = chain.links;
    const left = before.epoch?.closed;
    if (left !== undefined && left !== (await chainDigest({ links: below }, folderOf(machine)))) return undefined;
    return await chainDigest(chain, folderOf(machine));
  }

  /** Disks of a machine that is off, whose epochs go on if all that is done to them now is done through their images. */
  async unchangedDisks(machine: MachineRecord): Promise<ReadonlySet<string>> {
    const bases = new Set<string>();
    for (const { fileName } of machine.configuration.disks) {
      const chain = await chainOfDisk(machine, fileName).catch(() => undefined);
      if (chain !== undefined && (await this.isUnchanged(machine, chain))) bases.add(baseName(machine, chain));
    }
    return bases;
  }

  /** After such work. */
  async closeAgain(id: string, bases: ReadonlySet<string>): Promise<void> {
    if (bases.size === 0) return;
    await this.#change(id, async (record) => {
      const machine = this.#core.machines.get({ type: 'VirtualMachine', value: id });
      if (this.#core.machines.engine(id) !== undefined) return record;
      const closed = new Map<string, TrackedDisk>();
      for (const { fileName } of machine.configuration.disks) {
        const chain = await chainOfDisk(machine, fileName);
        const tracked = findTracked(record, baseName(machine, chain));
        if (tracked === undefined || !bases.has(tracked.base) || !(await this.#isWhole(machine, chain, tracked)))
          continue;
        closed.set(tracked.base, withClosed(tracked, await chainDigest(chain, folderOf(machine))));
      }
      return record.map((disk) => closed.get(disk.base) ?? disk);
    });
  }

  /**
   * Layers of a disk that no engine has, the first of which is about to be merged into the second. Of one of those that
   * are `unchanged` the generations are passed on.
   */
  async layersToMerge(
    machine: MachineRecord,
    chain: DiskChain,
    unchanged: ReadonlySet<string>,
  ): Promise<readonly BlockLayer[]> {
    if (!unchanged.has(baseName(machine, chain))) return chainLayers(chain);
    const image = changeImageOf(machine, chain);
    if (image === undefined) return chainLayers(chain);
    if (!image.exists && chain.links.length === 2)
      await makeChangeImage(this.#core.hypervisor.images, image, chain.capacityBytes);
    return layersThrough(chain, image.exists || chain.links.length === 2 ? image.path : undefined);
  }

  /**
   * Before an engine merges a layer into one that keeps no changes by itself: it gets an image. Where that cannot be,
   * the epoch of the disk is over.
   */
  async prepareMerge(
    machine: MachineRecord,
    engine: Pick<RunningMachine, 'replaceBacking'>,
    { diskId, path, into }: Pick<LayerCommit, 'diskId' | 'path' | 'into'>,
  ): Promise<void> {
    const { configuration } = machine;
    const disk = configuration.disks.find((one) => diskIdOf(configuration, one) === diskId);
    if (disk === undefined || !this.#isOpen(machine, disk.key)) return;
    try {
      const chain = await chainOfDisk(machine, disk.fileName);
      const base = chain.links.at(-1);
      if (base?.layer.path !== into || base.layer.format !== 'raw') return;
      const image = changeImageOf(machine, chain);
      if (image === undefined) return await this.end(machine.id, disk.key);
      if (!image.exists) await makeChangeImage(this.#core.hypervisor.images, image, chain.capacityBytes);
      await engine.replaceBacking({ diskId, path, former: into, backing: { ...base.layer, changesPath: image.path } });
    } catch (error) {
      this.#core.onDefect(`changed blocks of ${configuration.name}`, error);
      await this.end(machine.id, disk.key);
    }
  }

  /** After an engine merged a layer: what no id is of any more goes. */
  async forgetExpired(id: string): Promise<void> {
    const machine = this.#core.machines.find(id);
    const engine = this.#core.machines.engine(id);
    if (machine === undefined || engine === undefined || engine.state === 'stopped') return;
    try {
      for (const disk of machine.configuration.disks) {
        const tracked = findTracked(machine.changes, baseNameOf(machine, machine.disks.get(disk.key)));
        if (tracked?.epoch === undefined) continue;
        const diskId = diskIdOf(machine.configuration, disk);
        const [top] = await engine.generations(diskId);
        const old = expired(top, tracked);
        if (old.length > 0) await engine.forgetGenerations(diskId, old);
      }
    } catch (error) {
      this.#core.onDefect(`changed blocks of ${machine.configuration.name}`, error);
    }
  }

  #isOpen(machine: MachineRecord, key: number): boolean {
    const epoch = findTracked(machine.changes, baseNameOf(machine, machine.disks.get(key)))?.epoch;
    return epoch !== undefined && epoch.closed === undefined;
  }

  /** Ends every epoch of a machine, of one disk if told: what is done next will not be known. */
  async end(id: string, key?: number): Promise<void> {
    const machine = this.#core.machines.find(id);
    if (machine === undefined || !machine.changes.some(({ epoch }) => epoch !== undefined)) return;
    const base = key === undefined ? undefined : baseNameOf(machine, machine.disks.get(key));
    await this.#change(id, async (record) =>
      record.map((disk) => (base === undefined || disk.base === base ? withoutEpoch(disk) : disk)),
    );
  }

  /** Ends the epochs of disks by their names in the record: what they are now is something else. */
  async endOf(id: string, bases: ReadonlySet<string>): Promise<void> {
    const machine = this.#core.machines.find(id);
    if (machine === undefined || !machine.changes.some(({ base }) => bases.has(base))) return;
    await this.#change(id, async (record) => record.map((disk) => (bases.has(disk.base) ? withoutEpoch(disk) : disk)));
  }

  /**
   * After a machine was given another configuration than it had `before`: what came, went or grew under an engine is
   * not known, and nothing is where it is not to be told.
   */
  async reconfigured(
    id: string,
    before: MachineRecord,
    now: Pick<MachineRecord, 'configuration' | 'disks'>,
    { grown }: { readonly grown: boolean },
  ): Promise<void> {
    if (before.changes.length === 0 && !before.configuration.changeTracking) return;
    const ended = !now.configuration.changeTracking || grown;
    const basesOf = (disks: MachineRecord['disks']) =>
      new Set([...disks.values()].map((one) => baseNameOf(before, one)));
    const [then, since] = [basesOf(before.disks), basesOf(now.disks)];
    const running = before.powerState === 'poweredOn';
    await this.#change(id, async (record) =>
      record.map((disk) =>
        ended || (running && !(then.has(disk.base) && since.has(disk.base))) ? withoutEpoch(disk) : disk,
      ),
    );
    if (!now.configuration.changeTracking) await this.#removeImages(id);
  }

  async #removeImages(id: string): Promise<void> {
    const machine = this.#core.machines.find(id);
    if (machine === undefined || this.#core.machines.engine(id) !== undefined) return;
    for (const { fileName } of machine.configuration.disks) {
      const chain = await chainOfDisk(machine, fileName).catch(() => undefined);
      if (chain !== undefined) await removeChangeImage(machine, chain);
    }
  }

  #isTracked(configuration: MachineConfiguration, disk: Disk, { links }: DiskChain): boolean {
    const kinds = links.map(({ kind }) => kind);
    return (
      this.#core.hypervisorInfo.capabilities.changedBlocks && untrackable(configuration, disk, kinds) === undefined
    );
  }

  /** Changes the record in the folder, and then what is shown. */
  #change(id: string, next: (record: ChangeRecord) => Promise<ChangeRecord>): Promise<void> {
    const work = (this.#last.get(id) ?? Promise.resolve()).then(async () => {
      const { datastore, vmxPath } = this.#core.machines.get({ type: 'VirtualMachine', value: id });
      const before = await readChangeRecord(datastore, vmxPath);
      const after = await next(before);
      if (JSON.stringify(after) !== JSON.stringify(before)) await writeChangeRecord(datastore, vmxPath, after);
      this.#core.registry.commit((draft) => {
        this.#core.machines.change(id, { changes: after }, draft);
        this.#core.snapshotsChanged(draft, id);
      });
    });
    const settled = work.catch(() => {});
    this.#last.set(id, settled);
    void settled.then(() => {
      if (this.#last.get(id) === settled) this.#last.delete(id);
    });
    return work;
  }
}
