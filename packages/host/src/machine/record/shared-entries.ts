/** Most entries kept for sharing: those that nearly every machine has are far fewer. */
const mostEntries = 4_096;

type Entries = readonly (readonly [key: string, value: string])[];

/** Makes equal `.vmx` entries of different machines one entry: most of what machines have there is the same. */
export class SharedEntries {
  readonly #known = new Map<string, readonly [key: string, value: string]>();

  share(entries: Entries): Entries {
    return entries.map((entry) => {
      const text = `${entry[0]} ${entry[1]}`;
      const known = this.#known.get(text);
      if (known !== undefined) return known;
      if (this.#known.size >= mostEntries) this.#known.clear();
      this.#known.set(text, entry);
      return entry;
    });
  }
}
