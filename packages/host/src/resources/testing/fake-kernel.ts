import { dirname, join } from 'node:path';
import type { ControlFiles } from '../control-files.ts';

interface FakeGroup {
  readonly files: Map<string, string>;
  /** What it hands on to the groups in it. */
  readonly handed: Set<string>;
}

const unified: Readonly<Record<string, readonly string[]>> = {
  cpu: ['cpu.weight', 'cpu.max'],
  memory: ['memory.min', 'memory.low', 'memory.high'],
  io: ['io.weight'],
};
const processors = ['cpu.shares', 'cpu.cfs_period_us', 'cpu.cfs_quota_us'];

/** Control groups in memory, with the kernel's rules: what it refuses is refused here. */
export class FakeKernel implements ControlFiles {
  readonly #version: 1 | 2;
  readonly #own: string;
  readonly #base: string;
  readonly #writable: boolean;
  readonly #groups = new Map<string, FakeGroup>();
  readonly #processes = new Map<number, string>();
  readonly #ended = new Set<number>();
  writes = 0;
  /** A file that cannot be written. */
  broken: string | undefined;

  constructor(options: {
    readonly version: 1 | 2;
    readonly own: string;
    readonly mounted?: boolean;
    readonly writable?: boolean;
  }) {
    this.#version = options.version;
    this.#own = options.own;
    this.#writable = options.writable ?? true;
    this.#base = options.version === 1 ? '/sys/fs/cgroup/cpu' : '/sys/fs/cgroup';
    if (options.mounted === false) return;
    for (let path = join(this.#base, this.#own); path.startsWith(this.#base); path = dirname(path)) {
      this.#groups.set(path.replace(/\/$/, ''), { files: new Map(), handed: new Set() });
    }
  }

  files(path: string): Record<string, string> {
    return Object.fromEntries(this.#groups.get(path)?.files ?? []);
  }

  /** The group of each process. */
  processes(): Record<string, string> {
    return Object.fromEntries(this.#processes);
  }

  end(pid: number): void {
    this.#processes.delete(pid);
    this.#ended.add(pid);
  }

  async read(path: string): Promise<string> {
    if (path === '/proc/self/cgroup')
      return this.#version === 1 ? `4:memory:/x\n1:cpu:${this.#own}\n0::/y\n` : `0::${this.#own}\n`;
    const group = this.#groups.get(dirname(path));
    const name = path.slice(dirname(path).length + 1);
    if (group === undefined) throw failure('ENOENT', path);
    if (name === 'cgroup.controllers' && this.#version === 2) return 'cpuset cpu io memory pids\n';
    if (name === 'cgroup.subtree_control' && this.#version === 2) return `${[...group.handed].join(' ')}\n`;
    if (name === 'cgroup.procs') return '';
    if (!this.#known(dirname(path)).includes(name)) throw failure('ENOENT', path);
    return group.files.get(name) ?? '0';
  }

  async write(path: string, text: string): Promise<void> {
    const folder = dirname(path);
    const name = path.slice(folder.length + 1);
    const group = this.#groups.get(folder);
    if (group === undefined) throw failure('ENOENT', path);
    if (!this.#writable) throw failure('EROFS', path);
    if (this.broken === path) throw failure('EIO', path);
    if (name === 'cgroup.subtree_control' && this.#version === 2) {
      if ([...this.#processes.values()].includes(folder)) throw failure('EBUSY', path);
      group.handed.add(text.slice(1));
      return;
    }
    this.writes += 1;
    if (name === 'cgroup.procs') {
      if (this.#ended.has(Number(text))) throw failure('ESRCH', path);
      if (group.handed.size > 0) throw failure('EBUSY', path);
      this.#processes.set(Number(text), folder);
      return;
    }
    if (!this.#known(folder).includes(name)) throw failure('ENOENT', path);
    if (name === 'cpu.cfs_quota_us') this.#checkQuota(folder, Number(text));
    group.files.set(name, text);
  }

  async make(path: string): Promise<void> {
    if (!this.#writable) throw failure('EROFS', path);
    if (!this.#groups.has(dirname(path))) throw failure('ENOENT', path);
    if (!this.#groups.has(path)) this.#groups.set(path, { files: new Map(), handed: new Set() });
  }

  async remove(path: string): Promise<void> {
    if (!this.#groups.has(path)) throw failure('ENOENT', path);
    if ([...this.#processes.values()].includes(path) || (await this.groups(path)).length > 0)
      throw failure('EBUSY', path);
    this.#groups.delete(path);
  }

  async groups(path: string): Promise<string[]> {
    if (!this.#groups.has(path)) throw failure('ENOENT', path);
    return [...this.#groups.keys()].filter((key) => dirname(key) === path).map((key) => key.slice(path.length + 1));
  }

  #known(path: string): readonly string[] {
    if (this.#version === 1) return processors;
    const { handed = [] } = this.#groups.get(dirname(path)) ?? {};
    return [...handed].flatMap((name) => unified[name] ?? []);
  }

  /** Of version 1, a group has no more than the one above it and no less than those in it. */
  #checkQuota(path: string, quota: number): void {
    const of = (key: string) => Number(this.#groups.get(key)?.files.get('cpu.cfs_quota_us') ?? -1);
    for (let above = dirname(path); quota >= 0 && this.#groups.has(above); above = dirname(above)) {
      if (of(above) >= 0 && of(above) < quota) throw failure('EINVAL', path);
    }
    if (quota < 0) return;
    for (const key of this.#groups.keys())
      if (key.startsWith(`${path}/`) && of(key) > quota) throw failure('EINVAL', path);
  }
}

function failure(code: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
