import type { PropertyFilterSpec, TraversalSpec } from '../../generated/types.ts';
import type { Authorizer } from '../../runtime/authorizer.ts';
import { Dispatcher } from '../../runtime/dispatcher.ts';
import type { ManagedObjectClass, ManagedTypeName, Properties } from '../../runtime/managed-object.ts';
import { Registry } from '../../runtime/registry.ts';
import type { Session } from '../../runtime/session.ts';
import { loadSchema } from '../../schema/schema.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import { ChangeFeed } from '../change-feed.ts';
import { createPropertyCollector } from '../property-collector.ts';
import { createSearchIndex } from '../search-index.ts';
import { createViewManager } from '../view-manager.ts';

export class TestSession implements Session {
  readonly key: string;
  readonly userName: string;
  readonly fullName = '';
  readonly loginTime = '2026-01-01T00:00:00Z';
  readonly locale = 'en';
  readonly clientAddress = '127.0.0.1';
  readonly userAgent = 'test';
  ended = false;
  readonly #disposals = new Set<() => void>();

  constructor(userName: string) {
    this.key = userName;
    this.userName = userName;
  }

  onEnd(dispose: () => void): () => void {
    this.#disposals.add(dispose);
    return () => this.#disposals.delete(dispose);
  }

  end(): void {
    this.ended = true;
    for (const dispose of this.#disposals) dispose();
  }
}

const classes = new Map<string, ManagedObjectClass>();

function classOf<T extends ManagedTypeName>(type: T): ManagedObjectClass<T> {
  let found = classes.get(type);
  if (found === undefined) {
    found = { type, methods: {} };
    classes.set(type, found);
  }
  return found as unknown as ManagedObjectClass<T>;
}

/** Calls any method as a client of a session would, through the dispatcher. */
export type Caller = (
  ref: ManagedObjectReference,
  method: string,
  args?: Readonly<Record<string, unknown>>,
  signal?: AbortSignal,
) => Promise<unknown>;

/** An inventory with a root folder, a collector, views and a search index. */
export function smallDatacenter(authorizer: Authorizer = { holds: () => true }) {
  const schema = loadSchema();
  const registry = new Registry(schema);
  const defects: unknown[] = [];
  const feed = new ChangeFeed(registry, { onDefect: (error) => defects.push(error) });
  const dispatcher = new Dispatcher({ registry, authorizer, onDefect: (_method, error) => defects.push(error) });

  const add = <T extends ManagedTypeName>(type: T, value: string, properties: object = {}) =>
    registry.commit((draft) => draft.add(classOf(type), value, properties as Partial<Properties<T>>));
  const set = (ref: ManagedObjectReference, properties: object) =>
    registry.commit((draft) => draft.set(ref as ManagedObjectReference<never>, properties as never));

  const root = add('Folder', 'group-d1', { name: 'Datacenters', childEntity: [] });
  const collector = createPropertyCollector({ registry, authorizer, feed });
  const viewManager = createViewManager({ registry, authorizer, feed, rootFolder: root });
  const searchIndex = createSearchIndex({ registry, authorizer, rootFolder: root });

  const caller =
    (session: Session | undefined): Caller =>
    async (self, name, args = {}, signal = new AbortController().signal) => {
      const method = schema.method(name);
      if (method === undefined) throw new Error(`no method ${name}`);
      const connection = { clientAddress: '', userAgent: '', establish: () => {}, release: () => {} };
      return (await dispatcher.invoke({ self, method, args, session, version: '8.0', signal, connection })).value;
    };
  return { registry, feed, add, set, classOf, root, collector, viewManager, searchIndex, caller, defects };
}

export const visitFolders: TraversalSpec = {
  _typeName: 'TraversalSpec',
  name: 'visitFolders',
  type: 'Folder',
  path: 'childEntity',
  selectSet: [{ name: 'visitFolders' }],
};

/** All that a view shows, and these paths of it. */
export function viewFilter(view: ManagedObjectReference, pathsByType: Record<string, string[]>): PropertyFilterSpec {
  const traversal: TraversalSpec = { _typeName: 'TraversalSpec', type: 'ManagedObjectView', path: 'view' };
  return {
    objectSet: [{ obj: view, skip: true, selectSet: [traversal] }],
    propSet: Object.entries(pathsByType).map(([type, pathSet]) => ({ type, pathSet })),
  };
}
