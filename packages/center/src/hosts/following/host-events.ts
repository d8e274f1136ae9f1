import type { StoreWrite } from '@hypostyle/contracts';
import type { Caller, DataTypes, ManagedObjectReference } from '@hypostyle/vim';
import type { CenterBase } from '../../center-base.ts';
import type { HostTasks } from './host-tasks.ts';
import { plainUserName } from './host-user.ts';

const collection = 'host-events';
const pageSize = 100;

type VimEvent = DataTypes['Event'] & { readonly _typeName?: string };

interface Place {
  /** Key of the last event that was taken over, as the host numbers them. */
  readonly key: number;
  readonly createdTime: string;
}

/** Forgets how far a host's events were taken over, as it leaves. */
export function deleteHostEvents(host: string): StoreWrite {
  return { delete: { collection, key: host } };
}

export interface HostEventsOptions {
  readonly core: CenterBase;
  readonly host: string;
  readonly rewrite: (value: unknown) => unknown;
  readonly tasks: Pick<HostTasks, 'chain' | 'isPart'>;
}

/** Arguments that the center tells better than the host does: by its own tree and names. */
const ownArguments = ['datacenter', 'computeResource', 'host'] as const;

/** A host's events, taken over into the center's: each once, in order. */
export class HostEvents {
  readonly #options: HostEventsOptions;
  #place: Place | undefined;
  #collector: ManagedObjectReference<'EventHistoryCollector'> | undefined;
  #caller: Caller | undefined;

  constructor(options: HostEventsOptions) {
    this.#options = options;
  }

  /** A connection was made: goes on after the event that was taken over last, or with what is to come. */
  async begin(caller: Caller): Promise<void> {
    const { core, host } = this.#options;
    const { eventManager } = await caller.content();
    this.#caller = caller;
    this.#collector = undefined;
    if (eventManager === undefined) return;
    // What was posted may be on its way to the store still.
    this.#place ??= await core.store.get<Place>(collection, host);
    const query = async (time: object) =>
      (await caller.call(eventManager, 'QueryEvents', { filter: { time } })) as readonly VimEvent[] | undefined;
    if (this.#place === undefined) await this.#begin(placeOf(newest((await query({})) ?? [])));
    else {
      const { key, createdTime } = this.#place;
      const then = (await query({ beginTime: createdTime, endTime: createdTime })) ?? [];
      if (key > 0 && !then.some((event) => event.key === key)) {
        // The host counts anew: it was restored from an older state. What happened since is what is younger.
        const before = newest((await query({ endTime: createdTime })) ?? []);
        await this.#begin({ key: before?.key ?? 0, createdTime });
      }
    }
    const filter = { time: { beginTime: this.#place?.createdTime } };
    const collector = await caller.call(eventManager, 'CreateCollectorForEvents', { filter });
    await caller.call(collector, 'RewindCollector', {});
    this.#collector = collector;
  }

  /** Takes over every event that the host has and the center has not. */
  async pull(): Promise<void> {
    const collector = this.#collector;
    const caller = this.#caller;
    if (collector === undefined || caller === undefined) return;
    for (;;) {
      const events = (await caller.call(collector, 'ReadNextEvents', { maxCount: pageSize })) ?? [];
      const fresh = [...events].sort((a, b) => a.key - b.key).filter((event) => event.key > (this.#place?.key ?? 0));
      if (fresh.length > 0) await this.#take(fresh);
      if (events.length < pageSize) return;
    }
  }

  async #begin(place: Place): Promise<void> {
    const { core, host } = this.#options;
    await core.store.transact([{ put: { collection, key: host, value: place } }]);
    this.#place = place;
  }

  async #take(events: readonly VimEvent[]): Promise<void> {
    const { core, host } = this.#options;
    const requests = events.map((event) => this.#request(event));
    // What is named for the first time is named for good.
    await core.numbers.settled();
    core.registry.commit((draft) => {
      for (const [index, { key, createdTime }] of events.entries()) {
        const place: Place = { key, createdTime };
        this.#place = place;
        const kept = requests[index];
        if (kept === undefined) continue;
        core.events.post(draft, { ...kept, alongside: [{ put: { collection, key: host, value: place } }] });
      }
    });
  }

  /** The event as the center posts it; undefined for the comings and goings of the center itself, and its tasks. */
  #request(event: VimEvent) {
    const { host, rewrite, tasks } = this.#options;
    const type = (event._typeName ?? 'Event') as keyof DataTypes;
    const session = this.#options.core.schema.isSubtype(type, 'SessionEvent');
    const userName = plainUserName(event.userName);
    if (session && userName === '') return undefined;
    if (type === 'TaskEvent' && tasks.isPart(event.chainId)) return undefined;
    const rewritten = rewrite(event) as VimEvent & Record<string, unknown>;
    const { _typeName, key: _key, chainId, createdTime, userName: _user, fullFormattedMessage, ...members } = rewritten;
    const entity =
      (event.vm === undefined ? undefined : rewritten.vm?.vm) ?? rewritten.ds?.datastore ?? rewritten.net?.network;
    for (const name of ownArguments) delete members[name];
    return {
      type,
      entity: entity ?? { _typeName: 'ManagedObjectReference', type: 'HostSystem', value: host },
      userName,
      chainId: tasks.chain(chainId),
      createdTime,
      members,
      // These bring their own words: there is no format to make them from.
      ...(type === 'EventEx' && typeof members.message === 'string' ? { message: members.message } : {}),
    };
  }
}

function newest(events: readonly VimEvent[]): VimEvent | undefined {
  return events.reduce<VimEvent | undefined>((a, b) => (a === undefined || b.key > a.key ? b : a), undefined);
}

function placeOf(event: VimEvent | undefined): Place {
  return { key: event?.key ?? 0, createdTime: event?.createdTime ?? new Date(0).toISOString() };
}
