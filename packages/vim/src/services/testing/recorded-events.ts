import type { Draft } from '../../runtime/registry.ts';
import type { EventPoster, EventRequest } from '../events/event-poster.ts';

/** Keeps posted events for a test to look at. */
export class RecordedEvents implements EventPoster {
  readonly posted: EventRequest[] = [];
  #key = 0;

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

  async flush(): Promise<void> {}
}
