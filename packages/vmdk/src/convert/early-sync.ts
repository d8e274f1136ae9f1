/** Bytes after which the medium is given something to do. */
const stepBytes = 64 * 2 ** 20;

/**
 * Has what was written made durable beside the writes that follow, so that the medium does not begin when all is
 * written. A failure shows at the next call.
 */
export class EarlySync {
  readonly #sync: () => Promise<void>;
  #pending = 0;
  #underway: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(sync: () => Promise<void>) {
    this.#sync = sync;
  }

  /** Tells of bytes that were written. */
  wrote(bytes: number): void {
    this.#check();
    this.#pending += bytes;
    if (this.#underway || this.#pending < stepBytes) return;
    this.#pending = 0;
    this.#underway = this.#sync()
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        this.#underway = undefined;
      });
  }

  /** Resolves when everything is durable. */
  async finish(): Promise<void> {
    await this.#underway;
    this.#check();
    await this.#sync();
  }

  /** Resolves when nothing is underway any more, so that the file can be closed. */
  async settle(): Promise<void> {
    await this.#underway;
  }

  #check(): void {
    if (this.#failure) throw this.#failure.error;
  }
}
