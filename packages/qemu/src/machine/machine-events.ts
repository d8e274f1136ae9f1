import type { MachineEvent } from '@hypostyle/contracts';

/** Most events kept for the first listener. */
const maxBacklog = 256;

/** Hands a machine's events out; those before the first listener are kept for it. */
export class MachineEvents {
  readonly #listeners = new Set<(event: MachineEvent) => void>();
  #backlog: MachineEvent[] | undefined = [];

  subscribe(listener: (event: MachineEvent) => void): () => void {
    // A second registration of the same function is one of its own.
    const entry = (event: MachineEvent) => listener(event);
    this.#listeners.add(entry);
    const backlog = this.#backlog ?? [];
    this.#backlog = undefined;
    if (backlog.length > 0) {
      setImmediate(() => {
        for (const event of backlog) if (this.#listeners.has(entry)) entry(event);
      });
    }
    return () => this.#listeners.delete(entry);
  }

  emit(event: MachineEvent): void {
    if (this.#backlog) {
      if (this.#backlog.length < maxBacklog) this.#backlog.push(event);
      return;
    }
    for (const listener of this.#listeners) listener(event);
  }

  clear(): void {
    this.#listeners.clear();
  }
}
