import { dirname, join } from 'node:path';
import type { ProcessGroup, ProcessGroups, ProcessGroupsInfo } from '@hypostyle/contracts';
import { type ControlFiles, kernelControlFiles } from './control-files.ts';

/** Length of the period in which processor time is counted, in microseconds, and the least that the kernel grants. */
const period = 100_000;
const leastQuota = 1_000;
const controllers = ['cpu', 'memory', 'io'] as const;

type Controller = (typeof controllers)[number];

/** Where the groups of one hierarchy lie: all controllers have one in version 2, and the processors their own in 1. */
interface Hierarchy {
  readonly version: 1 | 2;
  /** Absolute path of the group that has all of ours. */
  readonly root: string;
  readonly has: Set<Controller>;
}

export interface ControlGroupsOptions {
  /** Name of the group that has all others: that of no other host on this machine. */
  readonly name: string;
  /** Where the hierarchies are mounted. */
  readonly mount?: string;
  readonly files?: ControlFiles;
}

/**
 * `ProcessGroups` by Linux control groups: version 2 where its controllers are there, else processors by version 1.
 * Memory is left alone in version 1, where a process that needs more than its limit is ended.
 */
export class ControlGroups implements ProcessGroups {
  readonly #name: string;
  readonly #mount: string;
  readonly #files: ControlFiles;
  #hierarchy: Hierarchy | undefined;
  /** What groups were told last, by path and file. */
  readonly #told = new Map<string, Map<string, string>>();

  constructor({ name, mount = '/sys/fs/cgroup', files = kernelControlFiles }: ControlGroupsOptions) {
    this.#name = name;
    this.#mount = mount;
    this.#files = files;
  }

  async probe(): Promise<ProcessGroupsInfo> {
    const none = { cpu: false, memory: false, disk: false };
    try {
      const own = parseOwnGroups(await this.#files.read('/proc/self/cgroup'));
      this.#hierarchy = (await this.#unified(own)) ?? (await this.#processors(own));
      if (this.#hierarchy === undefined) return { ...none, reason: 'This machine has no control groups.' };
      const { has, root, version } = this.#hierarchy;
      await this.#files.make(root);
      if (version === 2) for (const name of has) await this.#files.write(join(root, subtree), `+${name}`);
      // It depends on how the kernel shares its disks out.
      if (has.has('io') && !(await this.#isThere(join(root, diskFile)))) has.delete('io');
      await this.#remove(root);
      const info = { cpu: has.has('cpu'), memory: has.has('memory'), disk: has.has('io') };
      if (info.cpu && info.memory) return info;
      return { ...info, reason: `Control groups of version ${version} hold ${[...has].join(' and ')} here only.` };
    } catch (error) {
      this.#hierarchy = undefined;
      return { ...none, reason: `Control groups cannot be changed: ${(error as Error).message}` };
    }
  }

  async apply(groups: readonly ProcessGroup[]): Promise<void> {
    const hierarchy = this.#hierarchy;
    if (hierarchy === undefined) return;
    let failures = await this.#applyTo(hierarchy, groups);
    // Somebody else removed a group: what was told of it is told to a new one.
    if (failures.some((error) => (error as NodeJS.ErrnoException).code === 'ENOENT')) {
      this.#told.clear();
      failures = await this.#applyTo(hierarchy, groups);
    }
    if (failures.length > 0) throw failures[0];
  }

  /** What went wrong: a group that cannot be told does not keep the others from theirs. */
  async #applyTo(hierarchy: Hierarchy, groups: readonly ProcessGroup[]): Promise<readonly unknown[]> {
    const { root, version } = hierarchy;
    const failures: unknown[] = [];
    const attempt = (work: Promise<void>) => work.catch((error: unknown) => void failures.push(error));
    const planned = planGroups(root, groups);
    const inner = new Set([root, ...planned.map(({ path }) => dirname(path))]);
    if (groups.length > 0) await attempt(this.#make(hierarchy, root, true));
    for (const { path } of planned) await attempt(this.#make(hierarchy, path, inner.has(path)));
    // Of version 1, no group may have more than the one above: those that change are free until all are told.
    if (version === 1) {
      for (const { path, quota } of planned.toReversed()) {
        if (this.#told.get(path)?.get(quotaFile) !== quota) await attempt(this.#tell(path, quotaFile, '-1'));
      }
    }
    for (const one of planned) {
      for (const [file, value] of settingsOf(hierarchy, one)) await attempt(this.#tell(one.path, file, value));
      if (one.group.pid !== undefined) await attempt(this.#place(one.path, one.group.pid));
    }
    await this.#clear(root, { named: new Set(planned.map(({ path }) => path)), inner });
    return failures;
  }

  /** The hierarchy of version 2, where it has the processors and hands them on to groups beside ours. */
  async #unified(own: ReadonlyMap<string, string>): Promise<Hierarchy | undefined> {
    for (const mount of [this.#mount, join(this.#mount, 'unified')]) {
      const known = (await this.#files.read(join(mount, 'cgroup.controllers')).catch(() => '')).split(/\s+/);
      if (!known.includes('cpu')) continue;
      // A group with processes has no groups that are told anything: ours lies beside it.
      const parent = join(mount, dirname(own.get('') ?? '/'));
      for (const name of controllers) await this.#files.write(join(parent, subtree), `+${name}`).catch(() => {});
      const handed = new Set((await this.#files.read(join(parent, subtree))).split(/\s+/));
      const has = new Set(controllers.filter((name) => handed.has(name)));
      if (has.size > 0) return { version: 2, root: join(parent, this.#name), has };
    }
    return undefined;
  }

  async #processors(own: ReadonlyMap<string, string>): Promise<Hierarchy | undefined> {
    for (const [names, path] of own) {
      if (!names.split(',').includes('cpu')) continue;
      for (const folder of [names, 'cpu']) {
        const base = join(this.#mount, folder, path);
        if (await this.#isThere(join(base, processesFile)))
          return { version: 1, root: join(base, this.#name), has: new Set(['cpu']) };
      }
    }
    return undefined;
  }

  async #isThere(path: string): Promise<boolean> {
    return this.#files.read(path).then(
      () => true,
      () => false,
    );
  }

  async #make({ version, has }: Hierarchy, path: string, isInner: boolean): Promise<void> {
    if (!this.#told.has(path)) {
      await this.#files.make(path);
      this.#told.set(path, new Map());
    }
    if (version === 2 && isInner) for (const name of has) await this.#tell(path, `${subtree} ${name}`, `+${name}`);
  }

  /** Writes a value that was not the last one. */
  async #tell(path: string, file: string, value: string): Promise<void> {
    const told = this.#told.get(path);
    if (told === undefined || told.get(file) === value) return;
    const [name = ''] = file.split(' ');
    await this.#files.write(join(path, name), value);
    told.set(file, value);
  }

  async #place(path: string, pid: number): Promise<void> {
    if (pid <= 1) return;
    await this.#tell(path, processesFile, String(pid)).catch((error: NodeJS.ErrnoException) => {
      // It ended meanwhile.
      if (error.code !== 'ESRCH') throw error;
    });
  }

  /** Removes groups that are not named, from the innermost on. What has processes still goes another time. */
  async #clear(path: string, groups: { named: ReadonlySet<string>; inner: ReadonlySet<string> }): Promise<void> {
    const { named, inner } = groups;
    for (const name of await this.#files.groups(path).catch(() => [])) {
      const group = join(path, name);
      if (!named.has(group) || inner.has(group)) await this.#clear(group, groups);
      if (!named.has(group)) await this.#remove(group);
    }
    if (path === this.#hierarchy?.root && named.size === 0) await this.#remove(path);
  }

  async #remove(path: string): Promise<void> {
    await this.#files.remove(path).then(
      () => this.#told.delete(path),
      () => {},
    );
  }
}

const subtree = 'cgroup.subtree_control';
const processesFile = 'cgroup.procs';
const quotaFile = 'cpu.cfs_quota_us';
const sharesFile = 'cpu.shares';
const diskFile = 'io.weight';

/** Groups of this process by the controllers of their hierarchy, which are none in version 2. */
function parseOwnGroups(text: string): Map<string, string> {
  const lines = text.split('\n').map((line) => /^\d+:([^:]*):(\/.*)$/.exec(line));
  return new Map(lines.flatMap((match) => (match === null ? [] : [[match[1] ?? '', match[2] ?? '/'] as const])));
}

/** A group with what the kernel is told of it. */
interface PlannedGroup {
  readonly group: ProcessGroup;
  readonly path: string;
  /** Microseconds in each period; -1 is all. */
  readonly quota: string;
  /** Parts of what the heaviest of its siblings gets: over 0, 1 at most. */
  readonly cpuPart: number;
  readonly diskPart: number;
}

function planGroups(root: string, groups: readonly ProcessGroup[]): PlannedGroup[] {
  const heaviest = new Map<string, { readonly cpu: number; readonly disk: number }>();
  const limits = new Map<string, number>();
  const placed = groups.map((group) => ({ group, path: join(root, ...group.path) }));
  for (const { group, path } of placed) {
    const { cpu = 0, disk = 0 } = heaviest.get(dirname(path)) ?? {};
    heaviest.set(dirname(path), { cpu: Math.max(cpu, group.cpuWeight), disk: Math.max(disk, group.diskWeight) });
    // What a group above has is the most.
    const limit = Math.min(group.cpuLimit ?? Infinity, limits.get(dirname(path)) ?? Infinity);
    limits.set(path, limit);
  }
  return placed.map(({ group, path }) => {
    const limit = limits.get(path) ?? Infinity;
    const { cpu = 1, disk = 1 } = heaviest.get(dirname(path)) ?? {};
    return {
      group,
      path,
      quota: limit === Infinity ? '-1' : String(Math.max(leastQuota, Math.round(limit * period))),
      cpuPart: group.cpuWeight / cpu,
      diskPart: group.diskWeight / disk,
    };
  });
}

function settingsOf({ version, has }: Hierarchy, planned: PlannedGroup): (readonly [file: string, value: string])[] {
  const { quota, cpuPart, diskPart } = planned;
  const { memory } = planned.group;
  // Ranges of the kernel: 2 to 262144 in version 1, 1 to 10000 in version 2.
  const weight = (part: number) => String(Math.max(version === 1 ? 2 : 1, Math.round(part * 10_000)));
  if (version === 1) {
    return [
      [sharesFile, weight(cpuPart)],
      ['cpu.cfs_period_us', String(period)],
      [quotaFile, quota],
    ];
  }
  const settings: [string, string][] = [];
  if (has.has('cpu'))
    settings.push(['cpu.weight', weight(cpuPart)], ['cpu.max', `${quota === '-1' ? 'max' : quota} ${period}`]);
  if (has.has('memory')) {
    settings.push(['memory.min', String(memory.reserved)], ['memory.low', String(memory.entitled)]);
    settings.push(['memory.high', memory.limit === undefined ? 'max' : String(memory.limit)]);
  }
  if (has.has('io')) settings.push([diskFile, weight(diskPart)]);
  return settings;
}
