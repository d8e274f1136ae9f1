import type { DatastoreHostMount, DatastoreSummary, ManagedObjectReference, NetworkSummary } from '@hypostyle/vim';

type Properties = Readonly<Record<string, unknown>>;

/** What each host says of a datastore or network that several may have, and what that makes together. */
export class SharedViews {
  readonly #isConnected: (host: string) => boolean;
  /** By reference value of the thing, then of the host. */
  readonly #views = new Map<string, Map<string, Properties>>();

  constructor(isConnected: (host: string) => boolean) {
    this.#isConnected = isConnected;
  }

  view(value: string, host: string): Properties | undefined {
    return this.#views.get(value)?.get(host);
  }

  set(value: string, host: string, properties: Properties): void {
    const views = this.#views.get(value) ?? new Map<string, Properties>();
    views.set(host, properties);
    this.#views.set(value, views);
  }

  /** Answers whether any host still has it. */
  remove(value: string, host: string): boolean {
    const views = this.#views.get(value);
    views?.delete(host);
    if (views !== undefined && views.size > 0) return true;
    this.#views.delete(value);
    return false;
  }

  hostsOf(value: string): string[] {
    return [...(this.#views.get(value)?.keys() ?? [])];
  }

  /** What a host has. */
  ofHost(host: string): string[] {
    return [...this.#views].filter(([, views]) => views.has(host)).map(([value]) => value);
  }

  /** Takes up what was last known, by the mounts in it; of those that have it, what they said may not be known. */
  restore(value: string, properties: Properties, hosts: readonly string[]): void {
    for (const host of hosts) this.set(value, host, { ...properties, host: [] });
    const entries = (properties.host ?? []) as readonly (DatastoreHostMount | ManagedObjectReference)[];
    for (const entry of entries) {
      const host = 'key' in entry ? entry.key.value : entry.value;
      this.set(value, host, { ...properties, host: [entry] });
    }
  }

  /** The properties that the center shows: the first connected host's, with every host's mount. */
  merged(value: string): Properties {
    const views = [...(this.#views.get(value) ?? [])];
    const connected = views.filter(([host]) => this.#isConnected(host));
    const best =
      connected.find(([, view]) => (view.summary as { accessible?: boolean } | undefined)?.accessible) ??
      connected[0] ??
      views[0];
    if (best === undefined) return {};
    const [, view] = best;
    const summary = view.summary as DatastoreSummary | NetworkSummary | undefined;
    const accessible = connected.length > 0 && summary?.accessible === true;
    return {
      ...view,
      host: views.flatMap(([, { host }]) => (host ?? []) as readonly unknown[]),
      ...(summary === undefined
        ? {}
        : {
            summary: {
              ...summary,
              accessible,
              ...('multipleHostAccess' in summary ? { multipleHostAccess: views.length > 1 } : {}),
            },
          }),
    };
  }
}
