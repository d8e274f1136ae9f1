import {
  type CurrentRequest,
  type CurrentSamples,
  currentInterval,
  type EntitySamples,
  type ManagedObjectReference,
  noSamples,
  type SampleRange,
  type SeriesId,
  VimFault,
} from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { HostLink } from '../hosts/connection/host-link.ts';
import type { HostMetrics, HostQuery } from './host-metrics.ts';

/** The last hour of machines and hosts: their hosts have it, and are asked when somebody asks here. */
export class HostSamples implements CurrentSamples {
  readonly #core: () => CenterCore;
  readonly #metrics: HostMetrics;

  constructor(core: () => CenterCore, metrics: HostMetrics) {
    this.#core = core;
    this.#metrics = metrics;
  }

  supports({ type }: ManagedObjectReference): boolean {
    return type === 'VirtualMachine' || type === 'HostSystem';
  }

  async available(entity: ManagedObjectReference, { after, until }: SampleRange): Promise<readonly SeriesId[]> {
    const route = this.#route(entity);
    if (route === undefined) return [];
    const time = (name: string, value: number | undefined) =>
      value === undefined ? {} : { [name]: new Date(value).toISOString() };
    const options = { intervalId: currentInterval, ...time('beginTime', after), ...time('endTime', until) };
    return (await unlessAway(this.#metrics.available(route.link, route.ref, options))) ?? [];
  }

  /** One call a host, whatever is asked of it. A host that is away has no samples. */
  async read(requests: readonly CurrentRequest[]): Promise<readonly EntitySamples[]> {
    const answers = new Map<CurrentRequest, EntitySamples>();
    const perHost = new Map<HostLink, { readonly request: CurrentRequest; readonly query: HostQuery }[]>();
    for (const request of requests) {
      const { entity, range, wanted, limit } = request;
      const route = this.#route(entity);
      if (route === undefined) continue;
      const own = perHost.get(route.link) ?? [];
      perHost.set(route.link, own);
      own.push({ request, query: { entity: route.ref, ...range, limit, wanted } });
    }
    await Promise.all(
      [...perHost].map(async ([link, own]) => {
        const queries = own.map(({ query }) => query);
        const found = await unlessAway(this.#metrics.query(link, queries, currentInterval));
        for (const [index, { request }] of own.entries()) answers.set(request, found?.[index] ?? noSamples);
      }),
    );
    return requests.map((request) => answers.get(request) ?? noSamples);
  }

  #route(entity: ManagedObjectReference) {
    try {
      return this.#core().hosts.route(entity);
    } catch (error) {
      if (error instanceof VimFault) return undefined;
      throw error;
    }
  }
}

/** What a host says; undefined where it went away, or what is asked about did. */
export async function unlessAway<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof VimFault && (error.type === 'HostNotConnected' || error.type === 'ManagedObjectNotFound'))
      return undefined;
    throw error;
  }
}
