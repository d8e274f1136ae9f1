import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ManagementEndpoint } from '../../codec/management-endpoint.ts';
import { envelope, exchange } from '../../codec/testing/exchange.ts';
import { ChangeFeed } from '../../collector/change-feed.ts';
import { createPropertyCollector } from '../../collector/property-collector.ts';
import { createViewManager } from '../../collector/view-manager.ts';
import type { ObjectContent, PropertyFilterSpec, UpdateSet } from '../../generated/types.ts';
import { Dispatcher } from '../../runtime/dispatcher.ts';
import { Registry } from '../../runtime/registry.ts';
import { loadSchema } from '../../schema/schema.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import { LocalAccounts } from '../accounts/local-accounts.ts';
import { MemoryPersistence } from '../memory-persistence.ts';
import { SessionService } from '../sessions/session-service.ts';
import type { SignedInSession } from '../sessions/signed-in-session.ts';
import { TestClient } from '../testing/calls.ts';
import { RecordedEvents } from '../testing/recorded-events.ts';
import { addAuthorizationManager } from './authorization-manager.ts';
import { type EntityReference, Permissions } from './permissions.ts';

const schema = loadSchema();
const types = {
  root: 'Folder',
  dc: 'Datacenter',
  folder: 'Folder',
  pool: 'ResourcePool',
  vm: 'VirtualMachine',
} as const;
type Entity = keyof typeof types;
/** Child, and what it lies in. The machine lies in a folder and in a pool. */
const parents: Readonly<Record<Entity, readonly Entity[]>> = {
  root: [],
  dc: ['root'],
  folder: ['dc'],
  pool: ['dc'],
  vm: ['folder', 'pool'],
};
const entities = Object.keys(types) as Entity[];
const ref = (value: Entity) => ({ _typeName: 'ManagedObjectReference', type: types[value], value }) as EntityReference;
const password = 'correct horse';

async function world() {
  const registry = new Registry(schema);
  registry.commit((draft) => {
    for (const value of entities) {
      const [parent, resourcePool] = parents[value].map(ref);
      const children = {
        root: { childEntity: [ref('dc')] },
        dc: { vmFolder: ref('folder') },
        folder: { childEntity: [ref('vm')] },
      };
      draft.add({ type: types[value] as 'Folder', methods: {} }, value, {
        name: value,
        ...(parent && { parent }),
        ...(resourcePool && { resourcePool }),
        ...((children as Record<string, object>)[value] ?? {}),
      });
    }
  });
  const persistence = new MemoryPersistence();
  const accounts = await LocalAccounts.open({ persistence, passwordCost: 256 });
  const administrators = [{ principal: 'root', group: false }];
  const permissions = await Permissions.open({ registry, persistence, rootFolder: ref('root'), administrators });
  const events = new RecordedEvents();
  const sessions = new SessionService({ registry, identities: accounts, events });
  const manager = addAuthorizationManager({ registry, permissions, events, sessions, principals: accounts });
  for (const user of ['root', 'ann']) await accounts.createUser(user, password);
  for (const group of ['staff', 'ops']) await accounts.createGroup(group);
  const defects: unknown[] = [];
  const onDefect = (...defect: unknown[]) => defects.push(defect);
  const feed = new ChangeFeed(registry, { onDefect });
  const shared = { registry, authorizer: permissions, feed };
  const collector = createPropertyCollector(shared);
  const viewManager = createViewManager({ ...shared, rootFolder: ref('root') as ManagedObjectReference<'Folder'> });
  const dispatcher = new Dispatcher({ registry, authorizer: permissions, onDefect });
  const endpoint = new ManagementEndpoint({ registry, dispatcher, authorizer: permissions, sessions, onDefect });
  const signIn = async (userName: string) => {
    const { session, token } = await sessions.signIn({ userName, password }, { clientAddress: '', userAgent: '' });
    const client = new TestClient({ registry, authorizer: permissions });
    client.session = session;
    return { session, token, client };
  };
  const admin = (await signIn('root')).client;
  const close = () => {
    sessions.close();
    feed.close();
  };
  return {
    registry,
    accounts,
    permissions,
    sessions,
    manager,
    collector,
    viewManager,
    endpoint,
    signIn,
    admin,
    close,
    defects,
  };
}
type World = Awaited<ReturnType<typeof world>>;

/** One way in which a session sees the inventory. */
interface Face {
  readonly name: string;
  /** The entity's name, undefined where it may not be read. */
  readName(
    world: World,
    who: { session: SignedInSession; token: string; client: TestClient },
    entity: Entity,
  ): Promise<string | undefined>;
}

const nameOf = (entity: Entity): PropertyFilterSpec => ({
  objectSet: [{ obj: ref(entity) }],
  propSet: [{ type: 'ManagedEntity', pathSet: ['name'] }],
});

const faces: readonly Face[] = [
  {
    name: 'the collector',
    readName: async ({ collector }, { client }, entity) => {
      const [content] = (await client.call(collector, 'RetrieveProperties', {
        specSet: [nameOf(entity)],
      })) as ObjectContent[];
      return (
        (content?.propSet?.[0]?.val as { _value: string } | undefined)?._value ??
        (content?.propSet?.[0]?.val as string | undefined)
      );
    },
  },
  {
    name: 'VI/JSON',
    readName: async ({ endpoint }, { token }, entity) => {
      const url = `/sdk/vim25/8.0.3.0/${types[entity]}/${entity}/name`;
      const answer = await exchange(endpoint, { method: 'GET', url, headers: { 'vmware-api-session-id': token } });
      if (answer.status !== 200) assert.match(answer.body, /"NoPermission"/);
      return answer.status === 200 ? (JSON.parse(answer.body) as string) : undefined;
    },
  },
  {
    name: 'SOAP',
    readName: async ({ endpoint, collector }, { token }, entity) => {
      const body = envelope(
        `<RetrieveProperties xmlns="urn:vim25"><_this type="PropertyCollector">${collector.value}</_this><specSet><propSet><type>ManagedEntity</type><pathSet>name</pathSet></propSet><objectSet><obj type="${types[entity]}">${entity}</obj></objectSet></specSet></RetrieveProperties>`,
      );
      const headers = { cookie: `vmware_soap_session="${token}"`, soapaction: '"urn:vim25/8.0.3.0"' };
      const answer = await exchange(endpoint, { url: '/sdk', headers, body });
      assert.equal(answer.status, 200, answer.body);
      return /<name>name<\/name><val[^>]*>([^<]*)</.exec(answer.body)?.[1];
    },
  },
];

type Change =
  | {
      readonly kind: 'grant';
      readonly entity: Entity;
      readonly principal: string;
      readonly roleId: number;
      readonly propagate: boolean;
    }
  | { readonly kind: 'revoke'; readonly entity: Entity; readonly principal: string }
  | { readonly kind: 'join' | 'leave'; readonly member: string; readonly group: string };

const principal = fc.constantFrom('ann', 'staff', 'ops');
/** Ours is the role that changes. */
const ours = 1;
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({
    kind: fc.constant('grant' as const),
    entity: fc.constantFrom(...entities),
    principal,
    roleId: fc.constantFrom(-5, -2, -1, ours),
    propagate: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('revoke' as const), entity: fc.constantFrom(...entities), principal }),
  fc.record({
    kind: fc.constantFrom('join' as const, 'leave' as const),
    member: fc.constantFrom('ann', 'ops'),
    group: fc.constantFrom('staff', 'ops'),
  }),
);

/** What is told to grant, and what follows of it. */
class Model {
  readonly #granted = new Map<Entity, Map<string, { readonly roleId: number; readonly propagate: boolean }>>();
  readonly #members = new Map<string, Set<string>>([
    ['staff', new Set()],
    ['ops', new Set()],
  ]);

  grant(entity: Entity, name: string, permission: { readonly roleId: number; readonly propagate: boolean }): void {
    const own = this.#granted.get(entity) ?? new Map();
    own.set(name, permission);
    this.#granted.set(entity, own);
  }

  /** False where there is nothing to take. */
  revoke(entity: Entity, name: string): boolean {
    return this.#granted.get(entity)?.delete(name) ?? false;
  }

  join(member: string, group: string): boolean {
    const members = this.#members.get(group)!;
    if (members.has(member) || member === group || (member === 'ops' && this.#members.get('ops')!.has(group)))
      return false;
    members.add(member);
    return true;
  }

  leave(member: string, group: string): boolean {
    return this.#members.get(group)!.delete(member);
  }

  #groups(): string[] {
    const direct = ['staff', 'ops'].filter((group) => this.#members.get(group)!.has('ann'));
    return direct.includes('ops') && this.#members.get('staff')!.has('ops') ? ['staff', 'ops'] : direct;
  }

  reads(entity: Entity): boolean {
    return this.#roles(entity, true).some((role) => role !== -5);
  }

  #roles(entity: Entity, here: boolean): number[] {
    const reach = [...(this.#granted.get(entity) ?? [])].filter(([, { propagate }]) => here || propagate);
    const own = reach.filter(([name]) => name === 'ann');
    const nearest = own.length > 0 ? own : reach.filter(([name]) => this.#groups().includes(name));
    if (nearest.length > 0) return nearest.map(([, { roleId }]) => roleId);
    return parents[entity].flatMap((parent) => this.#roles(parent, false));
  }
}

async function apply(at: World, model: Model, step: Change): Promise<void> {
  const { admin, manager, accounts } = at;
  if (step.kind === 'grant') {
    const { entity, principal: name, roleId, propagate } = step;
    const permission = [{ principal: name, group: name !== 'ann', roleId, propagate }];
    await admin.call(manager, 'SetEntityPermissions', { entity: ref(entity), permission });
    model.grant(entity, name, { roleId, propagate });
  } else if (step.kind === 'revoke') {
    const args = { entity: ref(step.entity), user: step.principal, isGroup: step.principal !== 'ann' };
    const call = admin.call(manager, 'RemoveEntityPermission', args);
    if (model.revoke(step.entity, step.principal)) await call;
    else await assert.rejects(call, { type: 'NotFound' });
  } else if (step.kind === 'join' || step.kind === 'leave') {
    const does = model[step.kind](step.member, step.group);
    const options = { group: step.member === 'ops' };
    const work =
      step.kind === 'join'
        ? accounts.assign(step.member, step.group, options)
        : accounts.unassign(step.member, step.group, options);
    if (does) await work;
    else await assert.rejects(work);
  }
}

/** What a client knows of entities after it took in updates: names, and what it was told that it may not read. */
function takeIn(known: Map<string, unknown>, set: UpdateSet | undefined): void {
  for (const { kind, obj, changeSet = [], missingSet = [] } of set?.filterSet?.flatMap(
    (each) => each.objectSet ?? [],
  ) ?? []) {
    if (kind === 'leave') {
      assert.ok(known.delete(obj.value), `${obj.value} leaves twice`);
      continue;
    }
    assert.equal(known.has(obj.value), kind === 'modify', `${kind} ${obj.value}`);
    const name = changeSet.find((each) => each.name === 'name')?.val;
    if (name !== undefined) known.set(obj.value, (name as { _value?: unknown })._value ?? name);
    else if (missingSet.length > 0) known.set(obj.value, undefined);
    else if (kind === 'enter') known.set(obj.value, undefined);
  }
}

test('rights are the same on every face, as a small model has them, and reach open filters at once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 12 }), fc.boolean(), async (steps, partialUpdates) => {
      const at = await world();
      try {
        const { client, ...who } = await at.signIn('ann');
        const { collector } = at;
        await at.admin.call(at.manager, 'AddAuthorizationRole', { name: 'Ours', privIds: ['System.Read'] });
        const spec: PropertyFilterSpec = {
          objectSet: entities.map((entity) => ({ obj: ref(entity) })),
          propSet: [{ type: 'ManagedEntity', pathSet: ['name'] }],
        };
        await client.call(collector, 'CreateFilter', { spec, partialUpdates });
        const known = new Map<string, unknown>();
        const follow = async (version: string) => {
          const set = (await client.call(collector, 'WaitForUpdatesEx', { version, options: { maxWaitSeconds: 0 } })) as
            | UpdateSet
            | undefined;
          takeIn(known, set);
          return set?.version ?? version;
        };
        let version = await follow('');
        const model = new Model();
        for (const step of steps) {
          await apply(at, model, step);
          version = await follow(version);
          for (const entity of entities) {
            const seen = at.permissions.holds(who.session, ref(entity), 'System.View');
            const reads = model.reads(entity);
            const where = `${entity} after ${JSON.stringify(step)}`;
            assert.equal(at.permissions.holds(who.session, ref(entity), 'System.Read'), reads, where);
            assert.equal(known.has(entity), seen, `seen: ${where}`);
          }
        }
        for (const entity of entities) {
          const reads = at.permissions.holds(who.session, ref(entity), 'System.View') ? entity : undefined;
          for (const face of faces)
            assert.equal(await face.readName(at, { ...who, client }, entity), reads, `${face.name}: ${entity}`);
        }
        assert.deepEqual(at.defects, []);
      } finally {
        at.close();
      }
    }),
    { numRuns: 40 },
  );
});

test('a wait wakes when a permission, a role or a group lets objects in, and when it takes them away', async () => {
  const at = await world();
  try {
    const { client } = await at.signIn('ann');
    await client.call(at.collector, 'CreateFilter', { spec: nameOf('vm'), partialUpdates: false });
    const wait = async (version: string) =>
      (await client.call(at.collector, 'WaitForUpdatesEx', { version, options: { maxWaitSeconds: 30 } })) as UpdateSet;
    const kinds = (set: UpdateSet) => set.filterSet?.flatMap((each) => each.objectSet?.map(({ kind }) => kind));
    const entered = wait('');
    await at.accounts.assign('ann', 'staff');
    const permission = [{ principal: 'staff', group: true, roleId: -2, propagate: true }];
    await at.admin.call(at.manager, 'SetEntityPermissions', { entity: ref('folder'), permission });
    const first = await entered;
    assert.deepEqual(kinds(first), ['enter']);
    const left = wait(first.version);
    await at.accounts.unassign('ann', 'staff');
    assert.deepEqual(kinds(await left), ['leave']);
  } finally {
    at.close();
  }
});

test('whoever is removed is signed out and has no permissions, and an administrator must stay', async () => {
  const at = await world();
  try {
    const { session } = await at.signIn('ANN');
    assert.equal(session.userName, 'ann');
    const permission = [{ principal: 'Ann', group: false, roleId: -2, propagate: true }];
    await at.admin.call(at.manager, 'SetEntityPermissions', { entity: ref('dc'), permission });
    assert.equal(at.permissions.on(ref('dc'))[0]?.principal, 'ann');
    await at.accounts.removeUser('ann');
    assert.equal(session.ended, true);
    assert.deepEqual(at.permissions.on(ref('dc')), []);
    assert.deepEqual(at.registry.read(ref('dc') as ManagedObjectReference<'Datacenter'>, 'permission'), []);
    await assert.rejects(at.accounts.removeUser('root'), { type: 'AuthMinimumAdminPermission' });
    assert.notEqual(await at.accounts.authenticate('root', password), undefined);
  } finally {
    at.close();
  }
});
