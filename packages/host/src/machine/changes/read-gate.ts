interface Use {
  readonly readers: Set<Promise<unknown>>;
  writer: Promise<unknown>;
}

/** Keeps those who read the files of a machine's disks apart from those who are about to write them, by machine. */
export class ReadGate {
  readonly #uses = new Map<string, Use>();

  /** With others who read; after whoever writes now. */
  async shared<R>(id: string, work: () => Promise<R>): Promise<R> {
    const use = this.#of(id);
    for (let seen: unknown; seen !== use.writer; ) {
      seen = use.writer;
      await use.writer;
    }
    const done = Promise.resolve().then(work);
    const settled = done.catch(() => {});
    use.readers.add(settled);
    try {
      return await done;
    } finally {
      use.readers.delete(settled);
    }
  }

  /** Alone, one after another. */
  async exclusive<R>(id: string, work: () => Promise<R>): Promise<R> {
    const use = this.#of(id);
    const { writer } = use;
    const done = (async () => {
      await writer;
      await Promise.all(use.readers);
      return await work();
    })();
    use.writer = done.catch(() => {});
    return await done;
  }

  #of(id: string): Use {
    const known = this.#uses.get(id);
    if (known !== undefined) return known;
    const made: Use = { readers: new Set(), writer: Promise.resolve() };
    this.#uses.set(id, made);
    return made;
  }
}
