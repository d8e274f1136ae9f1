import { fault, type ManagedObjectReference } from '@hypostyle/vim';

/** Names that machines are about to get, by the folder or vApp that they are in. */
export class PendingNames {
  readonly #taken = new Set<string>();

  /** Takes a name; the answer lets go. Throws DuplicateName. */
  take(place: ManagedObjectReference, name: string): () => void {
    const key = `${place.value}/${name}`;
    if (this.#taken.has(key))
      throw fault('DuplicateName', { name, object: place }, `Another machine is just being named '${name}'.`);
    this.#taken.add(key);
    return () => this.#taken.delete(key);
  }
}
