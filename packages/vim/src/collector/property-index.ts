import type { ManagedObject } from '../runtime/managed-object.ts';
import type { ChangeCursor, Registry } from '../runtime/registry.ts';

interface Kind {
  readonly type: 'VirtualMachine' | 'HostSystem';
  /** Where the keys are; below arrays, in each element. */
  readonly paths: readonly string[];
  /** True where keys differ by their letters' case. */
  readonly exact?: boolean;
}

const kinds = {
  uuid: { type: 'VirtualMachine', paths: ['config.uuid', 'summary.config.uuid'] },
  instanceUuid: { type: 'VirtualMachine', paths: ['config.instanceUuid', 'summary.config.instanceUuid'] },
  hostUuid: { type: 'HostSystem', paths: ['hardware.systemInfo.uuid', 'summary.hardware.uuid'] },
  ip: { type: 'VirtualMachine', paths: ['guest.ipAddress', 'guest.net.ipAddress', 'summary.guest.ipAddress'] },
  hostIp: { type: 'HostSystem', paths: ['config.network.vnic.spec.ip.ipAddress', 'summary.managementServerIp'] },
  dnsName: { type: 'VirtualMachine', paths: ['guest.hostName', 'summary.guest.hostName'] },
  hostDnsName: { type: 'HostSystem', paths: ['name', 'config.network.dnsConfig.hostName'] },
  datastorePath: { type: 'VirtualMachine', paths: ['config.files.vmPathName'], exact: true },
} satisfies Readonly<Record<string, Kind>>;

export type IndexedKind = keyof typeof kinds;

const kindEntries = Object.entries(kinds) as [IndexedKind, Kind][];

/** Finds machines and hosts by what names them: brought up to date by what changed, when somebody asks. */
export class PropertyIndex {
  readonly #registry: Registry;
  #cursor: ChangeCursor | undefined;
  readonly #found = new Map<string, Set<ManagedObject>>();
  readonly #keys = new Map<ManagedObject, readonly string[]>();

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** The objects of that key; lookups by case only for paths. */
  find(kind: IndexedKind, key: string): readonly ManagedObject[] {
    this.#catchUp();
    return [...(this.#found.get(indexKey(kind, kinds[kind], key)) ?? [])];
  }

  #catchUp(): void {
    const { version } = this.#registry;
    if (this.#cursor === undefined) {
      this.#cursor = this.#registry.follow();
      for (const object of this.#registry.all()) this.#index(object);
      return;
    }
    for (const object of this.#registry.changedSince(this.#cursor.version)) this.#index(object);
    this.#cursor.advance(version);
  }

  #index(object: ManagedObject): void {
    if (object.ref.type !== 'VirtualMachine' && object.ref.type !== 'HostSystem') return;
    const keys = object.removed ? [] : keysOf(object);
    for (const key of this.#keys.get(object) ?? []) {
      const objects = this.#found.get(key);
      objects?.delete(object);
      if (objects?.size === 0) this.#found.delete(key);
    }
    if (keys.length === 0) {
      this.#keys.delete(object);
      return;
    }
    this.#keys.set(object, keys);
    for (const key of keys) {
      const objects = this.#found.get(key);
      if (objects === undefined) this.#found.set(key, new Set([object]));
      else objects.add(object);
    }
  }
}

function keysOf(object: ManagedObject): string[] {
  const keys = new Set<string>();
  for (const [name, kind] of kindEntries) {
    if (kind.type !== object.ref.type) continue;
    for (const path of kind.paths) {
      const [root = '', ...rest] = path.split('.');
      for (const text of textsAt(object.value(root), rest)) keys.add(indexKey(name, kind, text));
    }
  }
  return [...keys];
}

function textsAt(value: unknown, path: readonly string[]): string[] {
  if (Array.isArray(value)) return value.flatMap((element) => textsAt(element, path));
  const [name, ...rest] = path;
  if (name === undefined) return typeof value === 'string' && value !== '' ? [value] : [];
  return typeof value === 'object' && value !== null ? textsAt((value as Record<string, unknown>)[name], rest) : [];
}

function indexKey(name: IndexedKind, kind: Kind, key: string): string {
  return `${name} ${kind.exact === true ? key : key.toLowerCase()}`;
}
