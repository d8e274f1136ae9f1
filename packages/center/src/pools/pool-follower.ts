import type { ChangeCursor, ManagedObject, ManagedObjectReference } from '@hypostyle/vim';
import type { CenterBase } from '../center-base.ts';
import { isCompute, referenceOf } from '../inventory/entity-document.ts';
import { poolsAbove } from './pool-tree.ts';

/** How long statistics may wait, in milliseconds: thousands of machines are measured all the time. */
const patience = 2_000;

/** Says that what pools sum up changed, when the machines in them or the hosts below them did. */
export class PoolFollower {
  readonly #core: CenterBase;
  readonly #cursor: ChangeCursor;
  readonly #stop: () => void;
  /** Pools whose sums changed. */
  readonly #changed = new Set<string>();
  #soon = false;
  #later: NodeJS.Timeout | undefined;

  constructor(core: CenterBase) {
    this.#core = core;
    this.#cursor = core.registry.follow();
    this.#stop = core.registry.onCommit((version) => this.#look(version));
  }

  close(): void {
    this.#stop();
    this.#cursor.close();
    clearTimeout(this.#later);
  }

  #look(version: number): void {
    const since = this.#cursor.version;
    let soon = false;
    for (const object of this.#core.registry.changedSince(since)) {
      const pool = object.removed ? undefined : this.#poolOf(object);
      if (pool === undefined) continue;
      const changed = (property: string) => object.propertyVersion(property) > since;
      const now = changed('config') || changed('runtime') || changed('resourcePool');
      if (!now && !changed('summary')) continue;
      this.#changed.add(pool);
      soon ||= now;
    }
    this.#cursor.advance(version);
    if (this.#changed.size === 0) return;
    if (!soon) {
      this.#later ??= setTimeout(() => this.#tell(), patience).unref();
    } else if (!this.#soon) {
      this.#soon = true;
      // After the commit that it follows.
      queueMicrotask(() => this.#tell());
    }
  }

  #poolOf({ ref }: ManagedObject): string | undefined {
    const { inventory } = this.#core;
    if (ref.type === 'VirtualMachine') {
      const document = inventory.find(ref.value);
      return document?.type === 'VirtualMachine' ? document.pool : undefined;
    }
    if (ref.type !== 'HostSystem') return undefined;
    const parent = inventory.find(ref.value)?.parent;
    const compute = parent === undefined ? undefined : inventory.find(parent);
    return isCompute(compute) ? compute.pool : undefined;
  }

  #tell(): void {
    this.#soon = false;
    clearTimeout(this.#later);
    this.#later = undefined;
    const { inventory, registry } = this.#core;
    const all = new Map<string, ManagedObjectReference>();
    for (const value of this.#changed)
      for (const pool of poolsAbove(inventory, value)) all.set(pool.value, referenceOf(pool));
    this.#changed.clear();
    registry.commit((draft) => {
      for (const ref of all.values()) {
        if (!draft.has(ref)) continue;
        draft.touch(ref, 'runtime');
        draft.touch(ref, 'summary');
        if (inventory.find(ref.value)?.parent?.startsWith('domain-')) draft.touch(ref, 'config');
      }
    });
  }
}
