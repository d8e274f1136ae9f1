import type { WaitOptions } from '../generated/types.ts';
import type { Authorizer } from '../runtime/authorizer.ts';
import type { Call, ManagedObjectClass, MethodTable } from '../runtime/managed-object.ts';
import type { Registry } from '../runtime/registry.ts';
import type { Session } from '../runtime/session.ts';
import type { ManagedObjectReference } from '../schema/values.ts';
import type { ChangeFeed } from './change-feed.ts';
import { invalidArgument, objectNotFound } from './errors.ts';
import { PropertyFilter } from './property-filter.ts';
import { PropertySets } from './property-sets.ts';
import { ReferenceSets } from './reference-set.ts';
import type { CollectorContext } from './retrieval.ts';
import { RetrievalTokens } from './retrieval-tokens.ts';
import { retrieveMethods, signedIn } from './retrieve-methods.ts';
import { SessionObjects } from './session-objects.ts';
import { UpdateCollector } from './update-collector.ts';

export interface PropertyCollectorOptions {
  readonly registry: Registry;
  readonly authorizer: Authorizer;
  readonly feed: ChangeFeed;
  /** Reference value of the default collector, `propertyCollector` unless told (`ha-property-collector` on a host). */
  readonly value?: string;
  /** Objects in one answer of RetrievePropertiesEx when the client names no limit: all unless told. */
  readonly maxObjects?: number;
  /** Most objects in one set of WaitForUpdatesEx when the client names no limit: 100 unless told. */
  readonly maxObjectUpdates?: number;
}

/** Most collectors, and most filters, of one session. */
const mostCollectors = 100;
const mostFilters = 2000;

/** Adds the default PropertyCollector; each session has its own filters and updates behind it. */
export function createPropertyCollector(
  options: PropertyCollectorOptions,
): ManagedObjectReference<'PropertyCollector'> {
  return new PropertyCollectors(options).add(options.value ?? 'propertyCollector');
}

class PropertyCollectors {
  readonly #context: CollectorContext;
  readonly #maxObjectUpdates: number;
  readonly #methods: MethodTable<'PropertyCollector'>;
  readonly #class: ManagedObjectClass<'PropertyCollector'>;
  readonly #collectors: SessionObjects;
  readonly #filterObjects: SessionObjects;
  /** What each session has behind a collector's reference. */
  readonly #updates = new Map<Session, Map<string, UpdateCollector>>();
  /** The collector of each filter. */
  readonly #collectorOf = new Map<string, ManagedObjectReference>();

  constructor({ registry, authorizer, feed, maxObjects, maxObjectUpdates = 100 }: PropertyCollectorOptions) {
    this.#context = {
      registry,
      authorizer,
      feed,
      sets: new PropertySets(registry.schema),
      references: new ReferenceSets(),
    };
    this.#maxObjectUpdates = maxObjectUpdates;
    authorizer.onChange?.((concerns) => {
      for (const [session, collectors] of this.#updates) {
        if (concerns(session)) for (const collector of collectors.values()) collector.lookAgain();
      }
    });
    this.#collectors = new SessionObjects(registry, { most: mostCollectors });
    this.#filterObjects = new SessionObjects(registry, { most: mostFilters });
    this.#methods = {
      ...retrieveMethods(this.#context, { tokens: new RetrievalTokens(), maxObjects }),
      CreateFilter: (call, args) => this.#createFilter(call, args),
      CheckForUpdates: (call, { version }) => this.#wait(call, version, 0),
      WaitForUpdates: async (call, { version }) => {
        const set = await this.#wait(call, version, Number.POSITIVE_INFINITY);
        // Without a limit of time there is always something.
        if (set === undefined) throw new Error('a wait without end ended');
        return set;
      },
      WaitForUpdatesEx: (call, { version, options }) => this.#waitWithOptions(call, version, options ?? {}),
      CancelWaitForUpdates: (call) => this.#behind(call).cancelWaits(),
      CreatePropertyCollector: (call) => this.#createCollector(call),
    };
    this.#class = {
      type: 'PropertyCollector',
      methods: { ...this.#methods, DestroyPropertyCollector: (call) => this.#destroyCollector(call) },
      perSession: {
        filter: (self, session) =>
          (session === undefined ? undefined : this.#updates.get(session)?.get(self.ref.value))?.filters ?? [],
      },
    };
  }

  add(value: string): ManagedObjectReference<'PropertyCollector'> {
    return this.#context.registry.commit((draft) => draft.add(this.#class, value, {}));
  }

  readonly #filterClass: ManagedObjectClass<'PropertyFilter'> = {
    type: 'PropertyFilter',
    methods: {
      DestroyPropertyFilter: (call) => this.#destroyFilter(call),
    },
  };

  async #createFilter(
    call: Call,
    {
      spec,
      partialUpdates,
    }: { readonly spec: ConstructorParameters<typeof PropertyFilter>[0]; partialUpdates: boolean },
  ): Promise<ManagedObjectReference<'PropertyFilter'>> {
    const session = signedIn(call);
    const collector = this.#behind(call);
    await this.#context.feed.settle();
    const filter = new PropertyFilter(spec, { context: this.#context, session, partialUpdates });
    try {
      await filter.build();
    } catch (error) {
      filter.close();
      throw error;
    }
    let value: string | undefined;
    const ref = this.#filterObjects.add(session, this.#filterClass, {
      properties: { spec, partialUpdates },
      dispose: () => {
        if (value !== undefined) this.#collectorOf.delete(value);
        collector.remove(filter);
      },
    });
    value = ref.value;
    this.#collectorOf.set(value, call.self.ref);
    collector.add(filter, ref);
    this.#touchFilters(call.self.ref);
    return ref;
  }

  #destroyFilter(call: Call): void {
    const collector = this.#collectorOf.get(call.self.ref.value);
    this.#filterObjects.remove(signedIn(call), call.self.ref);
    if (collector !== undefined) this.#touchFilters(collector);
  }

  #createCollector(call: Call): ManagedObjectReference<'PropertyCollector'> {
    const session = signedIn(call);
    let value: string | undefined;
    const ref = this.#collectors.add(session, this.#class, {
      properties: {},
      dispose: () => {
        if (value !== undefined) this.#updates.get(session)?.get(value)?.close();
        if (value !== undefined) this.#updates.get(session)?.delete(value);
      },
    });
    value = ref.value;
    return ref;
  }

  #destroyCollector(call: Call): void {
    const session = signedIn(call);
    if (call.self.owner === undefined) {
      throw invalidArgument('self', 'The default property collector lives as long as its session.');
    }
    const collector = this.#behind(call);
    for (const ref of collector.filters) this.#filterObjects.remove(session, ref);
    this.#collectors.remove(session, call.self.ref);
  }

  #waitWithOptions(call: Call, version: string | undefined, options: WaitOptions) {
    const { maxWaitSeconds, maxObjectUpdates = this.#maxObjectUpdates } = options;
    if (maxWaitSeconds !== undefined && maxWaitSeconds < 0) {
      throw invalidArgument('options.maxWaitSeconds', 'maxWaitSeconds must not be negative.');
    }
    if (maxObjectUpdates <= 0) throw invalidArgument('options.maxObjectUpdates', 'maxObjectUpdates must be positive.');
    const milliseconds = maxWaitSeconds === undefined ? Number.POSITIVE_INFINITY : maxWaitSeconds * 1000;
    return this.#wait(call, version, milliseconds, maxObjectUpdates);
  }

  #wait(call: Call, version = '', maxWaitMilliseconds: number, maxObjectUpdates = Number.POSITIVE_INFINITY) {
    const { signal } = call;
    return this.#behind(call).wait({ version, maxWaitMilliseconds, maxObjectUpdates, signal });
  }

  /** What the caller's session has behind the collector that is called. */
  #behind(call: Call): UpdateCollector {
    const session = signedIn(call);
    const { value } = call.self.ref;
    if (session.ended || call.self.removed) throw objectNotFound(call.self.ref);
    let behind = this.#updates.get(session);
    if (behind === undefined) {
      const fresh = new Map<string, UpdateCollector>();
      this.#updates.set(session, fresh);
      session.onEnd(() => {
        this.#updates.delete(session);
        for (const collector of fresh.values()) collector.close();
      });
      behind = fresh;
    }
    let collector = behind.get(value);
    if (collector === undefined) {
      collector = new UpdateCollector(this.#context.feed);
      behind.set(value, collector);
    }
    return collector;
  }

  #touchFilters(ref: ManagedObjectReference): void {
    this.#context.registry.commit((draft) => {
      if (draft.has(ref)) draft.touch(ref, 'filter');
    });
  }
}
