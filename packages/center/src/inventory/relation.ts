/** Which things each thing belongs to, read from either side. Values of references. */
export class Relation {
  readonly #to = new Map<string, readonly string[]>();
  readonly #from = new Map<string, Set<string>>();

  /** Says what `from` belongs to now; answers whose lists changed. */
  set(from: string, to: readonly string[]): string[] {
    const before = this.#to.get(from) ?? [];
    const changed: string[] = [];
    for (const gone of before) {
      if (to.includes(gone)) continue;
      const members = this.#from.get(gone);
      members?.delete(from);
      if (members?.size === 0) this.#from.delete(gone);
      changed.push(gone);
    }
    for (const added of to) {
      const members = this.#from.get(added) ?? new Set();
      if (members.has(from)) continue;
      members.add(from);
      this.#from.set(added, members);
      changed.push(added);
    }
    if (to.length === 0) this.#to.delete(from);
    else this.#to.set(from, to);
    return changed;
  }

  /** What belongs to `to`, in the order of coming. */
  members(to: string): Iterable<string> {
    return this.#from.get(to) ?? [];
  }

  count(to: string): number {
    return this.#from.get(to)?.size ?? 0;
  }
}
