import { isDeepStrictEqual } from 'node:util';
import { type Client, type ManagedObjectReference, VimFault } from '@hypostyle/vim';
import type { Machine } from './guest-machine.ts';

/** What a host has, told without references, which each endpoint has its own of. */
export interface HostView {
  /** By instanceUuid. */
  readonly machines: Readonly<Record<string, unknown>>;
  readonly datastores: readonly unknown[];
  readonly networks: readonly unknown[];
  readonly inMaintenanceMode: boolean;
}

/** What of a machine must be the same wherever it is looked at. */
const machinePaths = ['name', 'config', 'runtime', 'snapshot', 'layoutEx', 'guest'] as const;

/** A host by its own endpoint, or as its center shows it. */
export async function hostView(client: Client, host: ManagedObjectReference<'HostSystem'>): Promise<HostView> {
  const paths = ['vm', 'datastore', 'network', 'runtime.inMaintenanceMode'] as const;
  const [found] = await client.retrieve(host, paths);
  const {
    vm = [],
    datastore = [],
    network = [],
  } = (found?.values ?? {}) as {
    vm?: Machine[];
    datastore?: ManagedObjectReference<'Datastore'>[];
    network?: ManagedObjectReference<'Network'>[];
  };
  const machines: Record<string, unknown> = {};
  for (const { values } of vm.length === 0 ? [] : await client.retrieve(vm, machinePaths)) {
    const { instanceUuid = '' } = values.config as { instanceUuid?: string };
    if (instanceUuid in machines) throw new Error(`two machines have the instanceUuid ${instanceUuid}`);
    machines[instanceUuid] = withoutReferences(values);
  }
  const names = ['name', 'summary.capacity', 'summary.url', 'summary.accessible'] as const;
  const stores = datastore.length === 0 ? [] : await client.retrieve(datastore, names);
  const nets = network.length === 0 ? [] : await client.retrieve(network, ['name', 'summary.accessible']);
  const sorted = (found: readonly { readonly values: unknown }[]) =>
    found
      .map(({ values }) => withoutReferences(values))
      .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  return {
    machines,
    datastores: sorted(stores),
    networks: sorted(nets),
    inMaintenanceMode: found?.values['runtime.inMaintenanceMode'] as boolean,
  };
}

/** The host of an endpoint that is one. */
export const ownHost = { _typeName: 'ManagedObjectReference', type: 'HostSystem', value: 'ha-host' } as const;

/**
 * Compares a host as its center shows it with the host's own word until they are the same. Milliseconds that it took;
 * rejects after 10 s with both.
 */
export async function sameAsTruth(
  center: { readonly client: Client; readonly host: ManagedObjectReference<'HostSystem'> },
  truth: Client,
): Promise<number> {
  const begin = performance.now();
  for (;;) {
    const at = performance.now() - begin;
    const [shown, own] = await Promise.all([viewNow(center.client, center.host), viewNow(truth, ownHost)]);
    if (shown !== undefined && isDeepStrictEqual(shown, own)) return at;
    if (at > 10_000) throw new NotTheTruth(shown, own);
  }
}

/** Undefined when something went while it was looked at. */
async function viewNow(client: Client, host: ManagedObjectReference<'HostSystem'>): Promise<HostView | undefined> {
  try {
    return await hostView(client, host);
  } catch (error) {
    if (error instanceof VimFault && error.type === 'ManagedObjectNotFound') return undefined;
    throw error;
  }
}

class NotTheTruth extends Error {
  readonly actual: unknown;
  readonly expected: unknown;

  constructor(shown: unknown, own: unknown) {
    const lines = differences(shown, own).slice(0, 20);
    super(`the center shows another thing than the host has:\n${lines.join('\n')}`);
    this.actual = shown;
    this.expected = own;
  }
}

function differences(shown: unknown, own: unknown, path = ''): string[] {
  if (isDeepStrictEqual(shown, own)) return [];
  if (typeof shown !== 'object' || typeof own !== 'object' || shown === null || own === null)
    return [`${path}: ${JSON.stringify(shown)} rather than ${JSON.stringify(own)}`];
  const [a, b] = [shown as Record<string, unknown>, own as Record<string, unknown>];
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].flatMap((key) =>
    differences(a[key], b[key], `${path}/${key}`),
  );
}

function withoutReferences(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutReferences);
  if (typeof value !== 'object' || value === null) return value;
  const { _typeName, type } = value as { readonly _typeName?: string; readonly type?: string };
  if (_typeName === 'ManagedObjectReference') return `a ${type}`;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, withoutReferences(part)]));
}
