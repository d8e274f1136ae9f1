import { randomUUID } from 'node:crypto';
import { fault } from '../runtime/fault.ts';
import type { ManagedObjectClass, ManagedTypeName, Properties } from '../runtime/managed-object.ts';
import type { Registry } from '../runtime/registry.ts';
import type { Session } from '../runtime/session.ts';
import type { ManagedObjectReference } from '../schema/values.ts';

interface Owned {
  readonly ref: ManagedObjectReference;
  readonly dispose: () => void;
}

/** Managed objects that belong to one session and go with it. */
export class SessionObjects {
  readonly #registry: Registry;
  readonly #most: number;
  readonly #bySession = new Map<Session, Map<string, Owned>>();

  constructor(registry: Registry, { most }: { readonly most: number }) {
    this.#registry = registry;
    this.#most = most;
  }

  /**
   * Adds an object for a session; `dispose` runs when it goes.
   *
   * Throws InvalidRequest when the session has too many already.
   */
  add<T extends ManagedTypeName>(
    session: Session,
    objectClass: ManagedObjectClass<T>,
    { properties, dispose = () => {} }: { readonly properties: Partial<Properties<T>>; readonly dispose?: () => void },
  ): ManagedObjectReference<T> {
    if (session.ended || (this.#bySession.get(session)?.size ?? 0) >= this.#most) {
      dispose();
      throw fault('InvalidRequest', {}, `A session may have ${this.#most} objects of this kind.`);
    }
    const value = `session[${randomUUID()}]${randomUUID()}`;
    const ref = this.#registry.commit((draft) => draft.add(objectClass, value, properties, { owner: session }));
    this.#of(session).set(value, { ref, dispose });
    return ref;
  }

  /** Removes the object, if it is there. */
  remove(session: Session, ref: ManagedObjectReference): void {
    const owned = this.#bySession.get(session)?.get(ref.value);
    if (owned === undefined) return;
    this.#bySession.get(session)?.delete(ref.value);
    this.#removeAll([owned]);
  }

  /** The session's objects, oldest first. */
  list(session: Session | undefined): readonly ManagedObjectReference[] {
    if (session === undefined) return [];
    return [...(this.#bySession.get(session)?.values() ?? [])].map(({ ref }) => ref);
  }

  #of(session: Session): Map<string, Owned> {
    let owned = this.#bySession.get(session);
    if (owned === undefined) {
      const fresh = new Map<string, Owned>();
      this.#bySession.set(session, fresh);
      session.onEnd(() => {
        this.#bySession.delete(session);
        this.#removeAll([...fresh.values()]);
      });
      owned = fresh;
    }
    return owned;
  }

  #removeAll(all: readonly Owned[]): void {
    for (const { dispose } of all) dispose();
    if (all.length === 0) return;
    this.#registry.commit((draft) => {
      for (const { ref } of all) if (draft.has(ref)) draft.remove(ref);
    });
  }
}
