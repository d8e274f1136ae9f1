import type { Draft } from '../../runtime/registry.ts';
import type { EventPoster, EventRequest } from '../events/event-poster.ts';
import type { Persistence, PersistenceWrite } from '../persistence.ts';

/** Keeps posted events for a test to look at. */
export class RecordedEvents implements EventPoster {
  readonly posted: EventRequest[] = [];
  readonly #persistence: Persistence | undefined;
  #key = 0;

  constructor(persistence?: Persistence) {
    this.#persistence = persistence;
  }

  get types(): string[] {
    return this.posted.map((event) => event.type);
  }

  post(_draft: Draft | undefined, event: EventRequest): number {
    this.posted.push(event);
    return this.newChain();
  }

  newChain(): number {
    this.#key += 1;
    return this.#key;
  }

  async flush(alongside: readonly PersistenceWrite[] = []): Promise<void> {
    if (alongside.length > 0) await this.#persistence?.transact(alongside);
  }
}
