import type { PropertyFilterSpec, UpdateSet } from '../generated/types.ts';
import type { Caller } from './caller.ts';

export interface FollowOptions {
  readonly signal?: AbortSignal;
  /** Seconds after which the server answers even without a change; 300 unless told. */
  readonly maxWaitSeconds?: number;
}

/** Update sets of a filter in a collector of its own, which goes when the caller stops. */
export async function* follow(
  client: Caller,
  filter: PropertyFilterSpec,
  { signal, maxWaitSeconds = 300 }: FollowOptions,
): AsyncGenerator<UpdateSet, void, void> {
  const calling = signal === undefined ? {} : { signal };
  const { propertyCollector } = await client.content();
  const collector = await client.call(propertyCollector, 'CreatePropertyCollector', {}, calling);
  try {
    await client.call(collector, 'CreateFilter', { spec: filter, partialUpdates: false }, calling);
    let version = '';
    for (;;) {
      const args = { version, options: { maxWaitSeconds } };
      const updates = await client.call(collector, 'WaitForUpdatesEx', args, calling);
      if (updates === undefined) continue;
      version = updates.version;
      yield updates;
    }
  } finally {
    // It may be gone with its session already; it goes with it in any case.
    await client.call(collector, 'DestroyPropertyCollector', {}).catch(() => {});
  }
}
