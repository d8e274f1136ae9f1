import { fault } from '../../runtime/fault.ts';
import type { ManagedObjectClass } from '../../runtime/managed-object.ts';
import type { Draft, Registry } from '../../runtime/registry.ts';
import type { Session } from '../../runtime/session.ts';
import type { AnyValue, ManagedObjectReference } from '../../schema/values.ts';
import { HistoryCursor, type HistoryItem, type HistorySource } from './history-cursor.ts';

type CollectorType = 'EventHistoryCollector' | 'TaskHistoryCollector';

/** Most collectors of one session. */
export const collectorLimit = 32;
const defaultPageSize = 10;
const longestPage = 1_000;

/** What a collector's own methods need. */
export interface CollectorReader<V> {
  next(count: number): Promise<V[]>;
  previous(count: number): Promise<V[]>;
}

interface Collector<R, V> {
  readonly ref: ManagedObjectReference<CollectorType>;
  readonly matches: (record: R) => boolean;
  readonly view: (value: V) => V;
  page: HistoryItem<R>[];
  /** The page as a commit under way makes it. */
  staged: { readonly draft: Draft; readonly page: HistoryItem<R>[] } | undefined;
  pageSize: number;
}

interface HistoryCollectorsOptions<R, V, T extends CollectorType> {
  readonly registry: Registry;
  readonly source: HistorySource<R>;
  readonly value: (record: R) => V;
  readonly referencePrefix: string;
  /** The collector's class; its methods for reading are added to those that all have. */
  readonly define: (
    reader: CollectorReader<V>,
    shared: ManagedObjectClass<'HistoryCollector'>['methods'],
  ) => ManagedObjectClass<T>;
}

/** How one collector differs from others of its kind. */
interface CollectorVariant<R, V> {
  /** Where fewer items need be read. */
  readonly source?: HistorySource<R> | undefined;
  /** What its client wants to see of a value. */
  readonly view?: ((value: V) => V) | undefined;
}

/** History collectors of sessions: a page of the latest items that follows what happens, and a place to read from. */
export class HistoryCollectors<R, V, T extends CollectorType> {
  readonly #options: HistoryCollectorsOptions<R, V, T>;
  readonly #collectors = new Map<Session, Set<Collector<R, V>>>();
  #last = 0;

  constructor(options: HistoryCollectorsOptions<R, V, T>) {
    this.#options = options;
  }

  /** Adds a collector that goes with its session. Fails with InvalidState when the session has too many. */
  async create(
    session: Session,
    filter: AnyValue,
    matches: (record: R) => boolean,
    variant: CollectorVariant<R, V> = {},
  ): Promise<ManagedObjectReference<T>> {
    const { registry, referencePrefix } = this.#options;
    const { source = this.#options.source, view = (shown) => shown } = variant;
    const own = this.#collectors.get(session) ?? new Set();
    if (own.size === 0) {
      this.#collectors.set(session, own);
      session.onEnd(() => this.#endOf(session));
    }
    if (own.size >= collectorLimit) {
      throw fault('InvalidState', {}, `A session has at most ${collectorLimit} history collectors.`);
    }
    this.#last += 1;
    const value = `session[${session.key}]${referencePrefix}-${this.#last}`;
    const cursor = new HistoryCursor(source, matches);
    const ref: ManagedObjectReference<CollectorType> = { type: 'HistoryCollector', value };
    const collector: Collector<R, V> = { ref, matches, view, page: [], staged: undefined, pageSize: defaultPageSize };
    const objectClass = this.#class(session, collector, cursor);
    own.add(collector);
    // What happens while the page is read goes into the page, too.
    this.#fill(collector, await cursor.latest(collector.pageSize));
    if (session.ended || !own.has(collector)) throw fault('NotAuthenticated', {}, 'The session is over.');
    return registry.commit((draft) =>
      draft.add(objectClass, value, { filter, latestPage: this.#values(collector) } as never, { owner: session }),
    );
  }

  /** Shows a new or changed item to the collectors that it is for, within the commit that makes it so. */
  happened(item: HistoryItem<R>, draft: Draft): void {
    for (const own of this.#collectors.values()) {
      for (const collector of own) {
        const before = collector.staged?.draft === draft ? collector.staged.page : collector.page;
        const known = before.some((other) => other.number === item.number);
        const matches = collector.matches(item.record);
        if (!known && !matches) continue;
        const page = before.filter((other) => other.number !== item.number);
        if (matches) page.push(item);
        const staged = { draft, page: page.sort((a, b) => b.number - a.number).slice(0, collector.pageSize) };
        collector.staged = staged;
        if (draft.has(collector.ref)) draft.set(collector.ref, { latestPage: this.#values(collector, staged.page) });
        draft.onApplied(() => {
          if (collector.staged !== staged) return;
          collector.page = staged.page;
          collector.staged = undefined;
        });
      }
    }
  }

  #class(session: Session, collector: Collector<R, V>, cursor: HistoryCursor<R>): ManagedObjectClass<T> {
    const { define, registry, value } = this.#options;
    const read = async (records: Promise<R[]>) => (await records).map((record) => collector.view(value(record)));
    return define(
      {
        next: (count) => read(cursor.next(pageSize(count))),
        previous: (count) => read(cursor.previous(pageSize(count))),
      },
      {
        RewindCollector: () => cursor.rewind(),
        ResetCollector: () => cursor.reset(),
        SetCollectorPageSize: async (_call, { maxCount }) => {
          collector.pageSize = pageSize(maxCount);
          collector.page = collector.page.slice(0, collector.pageSize);
          this.#fill(collector, await cursor.latest(collector.pageSize));
          registry.commit((draft) => {
            if (draft.has(collector.ref)) draft.set(collector.ref, { latestPage: this.#values(collector) });
          });
        },
        DestroyCollector: () => {
          const own = this.#collectors.get(session);
          own?.delete(collector);
          registry.commit((draft) => draft.remove(collector.ref));
        },
      },
    );
  }

  #fill(collector: Collector<R, V>, items: HistoryItem<R>[]): void {
    const numbers = new Set(collector.page.map((item) => item.number));
    const page = [...collector.page, ...items.filter((item) => !numbers.has(item.number))];
    collector.page = page.sort((a, b) => b.number - a.number).slice(0, collector.pageSize);
  }

  #values({ page: own, view }: Collector<R, V>, page: readonly HistoryItem<R>[] = own): never {
    return page.map((item) => view(this.#options.value(item.record))) as never;
  }

  #endOf(session: Session): void {
    const own = this.#collectors.get(session) ?? new Set();
    this.#collectors.delete(session);
    this.#options.registry.commit((draft) => {
      for (const { ref } of own) if (draft.has(ref)) draft.remove(ref);
    });
    own.clear();
  }
}

/** The count that a client asks for. Fails with InvalidArgument above 1,000. */
function pageSize(count: number): number {
  if (count < 0 || count > longestPage) {
    throw fault('InvalidArgument', { invalidProperty: 'maxCount' }, `maxCount is at most ${longestPage}.`);
  }
  return count === 0 ? defaultPageSize : count;
}
