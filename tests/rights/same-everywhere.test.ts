import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ManagedObjectReference, Permissions, PropertyFilterSpec, UpdateSet } from '@hypostyle/vim';
import fc from 'fast-check';
import { envelope, exchange } from '../../packages/vim/src/codec/testing/exchange.ts';
import { administrator, CenterInProcess, type Faces } from '../harness/center-in-process.ts';
import { JsonCalls } from '../harness/json-calls.ts';

// What one user may see and do at a center, by every face of it: SOAP, VI/JSON, the Automation interface, files, the
// property collector with filters that are open while rights change, views and searches. A small model says what is right.

type Reference = ManagedObjectReference;

/** What is asked of a few entities, over the one face and the others. */
interface Entity {
  readonly ref: Reference;
  readonly name: string;
  readonly parents: readonly string[];
}

const password = 'Correct-horse-7';
/** Of the role that changes. */
const changing = ['Datastore.Browse', 'Datastore.FileManagement', 'VirtualMachine.Interact.PowerOff'] as const;
const [browse, manageFiles, powerOff] = changing;

let at: CenterInProcess;
let center: Faces;
let admin: JsonCalls;
let ann: { readonly calls: JsonCalls; readonly token: string; readonly session: ReturnType<typeof sessionOf> };
let ours = 0;
let entities: ReadonlyMap<string, Entity>;
const tags = new Map<string, string>();

const sessionOf = (token: string) => center.sessions.byToken(token);
const service = (type: string): Reference => {
  for (const object of center.endpoint.registry.all(type as 'Folder'))
    if (object.owner === undefined) return object.ref;
  throw new Error(`there is no ${type}`);
};
const plain = ({ type, value }: Reference) => ({ _typeName: 'ManagedObjectReference', type, value });

before(async () => {
  at = await CenterInProcess.open({ machines: 3 });
  center = at.center;
  admin = new JsonCalls(center, (await center.signIn(administrator)).token);
  await layOut();
  entities = inventory();
  const accounts = service('HostLocalAccountManager');
  await admin.call(accounts, 'CreateUser', { user: { _typeName: 'HostAccountSpec', id: 'ann', password } });
  for (const id of ['staff', 'ops'])
    await admin.call(accounts, 'CreateGroup', { group: { _typeName: 'HostAccountSpec', id } });
  ours = (await admin.call(service('AuthorizationManager'), 'AddAuthorizationRole', { name: 'Ours' })) as number;
  await tagEverything();
  const { token } = await center.signIn({ userName: 'ann', password });
  ann = { token, calls: new JsonCalls(center, token), session: sessionOf(token) };
});
after(async () => {
  await at?.[Symbol.asyncDispose]();
  assert.deepEqual(at?.defects, []);
  assert.deepEqual(center?.defects, []);
});

/** A machine in a folder of its own, and one in a pool of its own: each is reached by two ways. */
async function layOut(): Promise<void> {
  const named = (type: string, name: string) => {
    for (const object of center.endpoint.registry.all(type as 'Folder'))
      if (object.value('name') === name) return plain(object.ref);
    throw new Error(`there is no ${type} ${name}`);
  };
  const inner = (await admin.call(named('Folder', 'vm'), 'CreateFolder', { name: 'inner' })) as Reference;
  await admin.task(inner, 'MoveIntoFolder_Task', { list: [named('VirtualMachine', 'vm-2')] });
  const allocation = {
    _typeName: 'ResourceAllocationInfo',
    reservation: 0,
    expandableReservation: true,
    limit: -1,
    shares: { _typeName: 'SharesInfo', level: 'normal', shares: 4000 },
  };
  const spec = { _typeName: 'ResourceConfigSpec', cpuAllocation: allocation, memoryAllocation: allocation };
  const root = named('ResourcePool', 'Resources');
  const pool = (await admin.call(root, 'CreateResourcePool', { name: 'pool', spec })) as Reference;
  await admin.call(pool, 'MoveIntoResourcePool', { list: [named('VirtualMachine', 'vm-1')] });
}

/** Every entity with what it lies in, as it is. */
function inventory(): Map<string, Entity> {
  const found = new Map<string, Entity>();
  for (const object of center.endpoint.registry.all('ManagedEntity')) {
    const ways = object.ref.type === 'VirtualMachine' ? ['parent', 'parentVApp', 'resourcePool'] : ['parent'];
    const parents = ways.flatMap((way) => (object.value(way) as Reference | undefined)?.value ?? []);
    found.set(object.ref.value, { ref: plain(object.ref), name: String(object.value('name')), parents });
  }
  return found;
}

async function automation(token: string, method: string, url: string, body?: object) {
  const headers = { 'vmware-api-session-id': token };
  const answer = await center.automation({
    method,
    url,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, value: answer.body === '' ? undefined : (JSON.parse(answer.body) as unknown) };
}

/** Each entity has a tag of its own. */
async function tagEverything(): Promise<void> {
  const { token } = await center.signIn(administrator);
  const make = async (url: string, body: object) => {
    const { status, value } = await automation(token, 'POST', url, body);
    assert.equal(status, 201, JSON.stringify(value));
    return value as string;
  };
  const category = { name: 'c', description: '', cardinality: 'MULTIPLE', associable_types: [] };
  const categoryId = await make('/api/cis/tagging/category', category);
  for (const { ref } of entities.values()) {
    const tag = await make('/api/cis/tagging/tag', { name: ref.value, description: '', category_id: categoryId });
    const url = `/api/cis/tagging/tag-association/${encodeURIComponent(tag)}?action=attach`;
    const { status, value } = await automation(token, 'POST', url, { object_id: { id: ref.value, type: ref.type } });
    assert.equal(status, 204, JSON.stringify(value));
    tags.set(ref.value, tag);
  }
}

type Change =
  | {
      readonly kind: 'grant';
      readonly entity: number;
      readonly principal: string;
      readonly role: number | 'ours';
      readonly propagate: boolean;
    }
  | { readonly kind: 'revoke'; readonly entity: number; readonly principal: string }
  | { readonly kind: 'join' | 'leave'; readonly group: string }
  | { readonly kind: 'role'; readonly privileges: readonly string[] };

const principal = fc.constantFrom('ann', 'staff', 'ops');
const place = fc.nat({ max: 100 });
const change: fc.Arbitrary<Change> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('grant' as const),
      entity: place,
      principal,
      role: fc.constantFrom(-5, -2, -1, 'ours' as const),
      propagate: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('revoke' as const), entity: place, principal }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('join' as const, 'leave' as const),
      group: fc.constantFrom('staff', 'ops'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('role' as const), privileges: fc.subarray([...changing]) }),
  },
);

/** What was granted, and what follows of it. */
class Model {
  readonly #granted = new Map<string, Map<string, { readonly role: number | 'ours'; readonly propagate: boolean }>>();
  readonly #groups = new Set<string>();
  #ours: readonly string[] = [];

  grant(entity: string, name: string, permission: { role: number | 'ours'; propagate: boolean }): void {
    const own = this.#granted.get(entity) ?? new Map();
    own.set(name, permission);
    this.#granted.set(entity, own);
  }

  /** The three answer false where there is nothing to do. */
  revoke(entity: string, name: string): boolean {
    return this.#granted.get(entity)?.delete(name) ?? false;
  }

  join(group: string): boolean {
    if (this.#groups.has(group)) return false;
    this.#groups.add(group);
    return true;
  }

  leave(group: string): boolean {
    return this.#groups.delete(group);
  }

  setRole(privileges: readonly string[]): void {
    this.#ours = privileges;
  }

  holds(entity: string, privilege: string): boolean {
    return this.#roles(entity, true).some((role) => this.#contains(role, privilege));
  }

  /** What one may see, and the way to it. */
  sees(entity: string): boolean {
    if (this.holds(entity, 'System.View')) return true;
    return [...this.#granted.keys()].some(
      (below) =>
        this.#concerning(below, true).some((role) => this.#contains(role, 'System.View')) && isBelow(below, entity),
    );
  }

  reads(entity: string): boolean {
    return this.holds(entity, 'System.Read');
  }

  #contains(role: number | 'ours', privilege: string): boolean {
    if (role === -1) return true;
    if (role === -5) return false;
    if (privilege.startsWith('System.')) return true;
    return role === 'ours' && this.#ours.includes(privilege);
  }

  #roles(entity: string, here: boolean): (number | 'ours')[] {
    const nearest = this.#concerning(entity, here);
    if (nearest.length > 0) return nearest;
    return entities.get(entity)!.parents.flatMap((parent) => this.#roles(parent, false));
  }

  #concerning(entity: string, here: boolean): (number | 'ours')[] {
    const reach = [...(this.#granted.get(entity) ?? [])].filter(([, { propagate }]) => here || propagate);
    const own = reach.filter(([name]) => name === 'ann');
    const nearest = own.length > 0 ? own : reach.filter(([name]) => this.#groups.has(name));
    return nearest.map(([, { role }]) => role);
  }
}

function isBelow(entity: string, above: string): boolean {
  return entities.get(entity)!.parents.some((parent) => parent === above || isBelow(parent, above));
}

async function apply(model: Model, step: Change): Promise<void> {
  const manager = service('AuthorizationManager');
  const accounts = service('HostLocalAccountManager');
  const all = [...entities.values()];
  if (step.kind === 'grant') {
    const { principal: name, role, propagate } = step;
    const { ref } = all[step.entity % all.length]!;
    const roleId = role === 'ours' ? ours : role;
    const permission = [{ _typeName: 'Permission', principal: name, group: name !== 'ann', roleId, propagate }];
    await admin.call(manager, 'SetEntityPermissions', { entity: ref, permission });
    model.grant(ref.value, name, { role, propagate });
  } else if (step.kind === 'revoke') {
    const { ref } = all[step.entity % all.length]!;
    const args = { entity: ref, user: step.principal, isGroup: step.principal !== 'ann' };
    const { fault } = await admin.try(manager, 'RemoveEntityPermission', args);
    assert.equal(fault, model.revoke(ref.value, step.principal) ? undefined : 'NotFound');
  } else if (step.kind === 'role') {
    const privIds = [...step.privileges];
    await admin.call(manager, 'UpdateAuthorizationRole', { roleId: ours, newName: 'Ours', privIds });
    model.setRole(privIds);
  } else {
    const method = step.kind === 'join' ? 'AssignUserToGroup' : 'UnassignUserFromGroup';
    const { fault } = await admin.try(accounts, method, { user: 'ann', group: step.group });
    assert.equal(fault === undefined, model[step.kind](step.group), `${step.kind} ${step.group}: ${fault}`);
  }
}

/** Nobody but the administrator has any right, and nobody is in a group. */
async function reset(): Promise<void> {
  const permissions = center.endpoint.authorizer as Permissions;
  const others = permissions.all().filter(({ principal: name }) => /\b(ann|staff|ops)\b/.test(name));
  await permissions.remove(others);
  for (const group of ['staff', 'ops'])
    await admin.try(service('HostLocalAccountManager'), 'UnassignUserFromGroup', { user: 'ann', group });
  await admin.call(service('AuthorizationManager'), 'UpdateAuthorizationRole', {
    roleId: ours,
    newName: 'Ours',
    privIds: [],
  });
}

/** What a client knows after it took in updates. */
function takeIn(known: Set<string>, set: UpdateSet | undefined): void {
  for (const { kind, obj } of set?.filterSet?.flatMap((each) => each.objectSet ?? []) ?? []) {
    if (kind === 'leave') assert.ok(known.delete(obj.value), `${obj.value} leaves twice`);
    else {
      assert.equal(known.has(obj.value), kind === 'modify', `${kind} ${obj.value}`);
      known.add(obj.value);
    }
  }
}

const openFilter: PropertyFilterSpec = {
  _typeName: 'PropertyFilterSpec',
  objectSet: [],
  propSet: [{ _typeName: 'PropertySpec', type: 'ManagedEntity', pathSet: ['name'] }],
} as never;

test('what one may see and do is the same by every face, as a small model has it, while it changes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 10 }), async (steps) => {
      await reset();
      const collector = service('PropertyCollector');
      const objectSet = [...entities.values()].map(({ ref }) => ({ _typeName: 'ObjectSpec', obj: ref }));
      const filter = (await ann.calls.call(collector, 'CreateFilter', {
        spec: { ...openFilter, objectSet },
        partialUpdates: false,
      })) as Reference;
      const known = new Set<string>();
      let version = '';
      const follow = async () => {
        const options = { _typeName: 'WaitOptions', maxWaitSeconds: 0 };
        const set = (await ann.calls.call(collector, 'WaitForUpdatesEx', { version, options })) as
          | UpdateSet
          | undefined;
        takeIn(known, set);
        version = set?.version ?? version;
      };
      try {
        await follow();
        const model = new Model();
        for (const step of steps) {
          await apply(model, step);
          await follow();
          const seen = [...entities.keys()].filter((entity) => model.sees(entity));
          assert.deepEqual([...known].sort(), seen.sort(), JSON.stringify(step));
        }
        await compareFaces(model);
      } finally {
        await ann.calls.call(filter, 'DestroyPropertyFilter');
      }
    }),
    { numRuns: 60 },
  );
});

async function compareFaces(model: Model): Promise<void> {
  for (const entity of entities.values()) {
    const { ref } = entity;
    const { value } = ref;
    const where = `${ref.type} ${entity.name}`;
    const name = model.sees(value) ? entity.name : undefined;
    const read = await ann.calls.read(ref, 'name');
    assert.deepEqual(read, name === undefined ? { fault: 'NoPermission' } : { value: name }, `VI/JSON: ${where}`);
    assert.equal(await nameBySoap(ref), name, `SOAP: ${where}`);
    const permission = await ann.calls.read(ref, 'permission');
    assert.equal(permission.fault === undefined, model.reads(value), `what is for readers of ${where}`);
    assert.deepEqual(await tagsOf(ref), tagsExpected(model, ref), `tags of ${where}`);
    if (ref.type === 'VirtualMachine') await compareMachine(model, entity);
    if (ref.type === 'Datastore') await compareFiles(model, entity);
  }
  for (const [type, [path, key]] of Object.entries(lists)) {
    const readable = [...entities.values()].filter(({ ref }) => isOf(ref, type) && model.reads(ref.value));
    for (const style of ['api', 'rest']) {
      const { status, value } = await automation(ann.token, 'GET', `/${style}/vcenter/${path}`);
      const rows = (style === 'rest' ? (value as { value: object[] }).value : value) as Record<string, string>[];
      assert.equal(status, 200, JSON.stringify(value));
      assert.deepEqual(
        rows.map((row) => row[key]).sort(),
        readable.map(({ ref }) => ref.value).sort(),
        `/${style} ${path}`,
      );
    }
  }
  await compareViews(model);
}

/** Lists of the Automation interface, with the name of the identifier in each row. */
const lists = {
  Datacenter: ['datacenter', 'datacenter'],
  Folder: ['folder', 'folder'],
  HostSystem: ['host', 'host'],
  Datastore: ['datastore', 'datastore'],
  Network: ['network', 'network'],
  ResourcePool: ['resource-pool', 'resource_pool'],
  VirtualMachine: ['vm', 'vm'],
} as const;
const isOf = ({ type }: Reference, wanted: string) => type === wanted;

async function nameBySoap({ type, value }: Reference): Promise<string | undefined> {
  const collector = service('PropertyCollector').value;
  const body = envelope(
    `<RetrieveProperties xmlns="urn:vim25"><_this type="PropertyCollector">${collector}</_this><specSet><propSet><type>ManagedEntity</type><pathSet>name</pathSet></propSet><objectSet><obj type="${type}">${value}</obj></objectSet></specSet></RetrieveProperties>`,
  );
  const headers = { cookie: `vmware_soap_session="${ann.token}"`, soapaction: '"urn:vim25/8.0.3.0"' };
  const answer = await exchange(center.management, { url: '/sdk', headers, body });
  assert.equal(answer.status, 200, answer.body);
  return /<name>name<\/name><val[^>]*>([^<]*)</.exec(answer.body)?.[1];
}

async function tagsOf({ type, value }: Reference): Promise<unknown> {
  const url = '/api/cis/tagging/tag-association?action=list-attached-tags';
  const answer = await automation(ann.token, 'POST', url, { object_id: { id: value, type } });
  return answer.status === 200 ? answer.value : answer.status;
}

/** Tags belong to the whole center: whoever does not read its root sees none. */
function tagsExpected(model: Model, { value }: Reference): unknown {
  if (!model.reads(value)) return 403;
  const root = [...entities.values()].find(({ parents }) => parents.length === 0)!;
  return model.reads(root.ref.value) ? [tags.get(value)] : [];
}

/** The machines are off: who may power them off is told so, and whoever may not is denied, by either face. */
async function compareMachine(model: Model, { ref, name }: Entity): Promise<void> {
  const may = model.holds(ref.value, powerOff);
  const { fault } = await ann.calls.try(ref, 'PowerOffVM_Task');
  assert.equal(fault, may ? 'InvalidPowerState' : 'NoPermission', `PowerOffVM_Task ${name}`);
  const got = await automation(ann.token, 'GET', `/api/vcenter/vm/${ref.value}`);
  assert.equal(got.status, model.reads(ref.value) ? 200 : 403, `GET vm ${name}`);
  const power = await automation(ann.token, 'POST', `/api/vcenter/vm/${ref.value}/power?action=stop`);
  const expected = may && model.reads(ref.value) ? 400 : 403;
  assert.equal(power.status, expected, `stop ${name}: ${JSON.stringify(power.value)}`);
  if (model.holds(ref.value, 'VirtualMachine.Inventory.Unregister')) return;
  const removal = await ann.calls.try(ref, 'UnregisterVM');
  assert.equal(removal.fault, 'NoPermission', `UnregisterVM ${name}`);
  const deletion = await automation(ann.token, 'DELETE', `/api/vcenter/vm/${ref.value}`);
  assert.equal(deletion.status, 403, `DELETE vm ${name}: ${JSON.stringify(deletion.value)}`);
}

async function compareFiles(model: Model, { ref, name }: Entity): Promise<void> {
  const url = (path: string) => `/folder${path}?dcPath=Datacenter&dsName=${name}`;
  const may = (privilege: string) => model.holds(ref.value, privilege);
  const list = await center.files(ann.session, '/folder?dcPath=Datacenter');
  assert.equal(list.status, 200);
  assert.equal(list.text.includes(`dsName=${name}`), may(browse), `${name} in the list of datastores`);
  const folder = await center.files(ann.session, url(''));
  assert.equal(folder.status, may(browse) ? 200 : 403, `list of ${name}: ${folder.text}`);
  const file = await center.files(ann.session, url('/vm-1/vm-1.vmx'));
  assert.equal(file.status, may(browse) && may(manageFiles) ? 200 : 403, `file on ${name}: ${file.text}`);
  const removal = await center.files(ann.session, url('/vm-1/no-such-file'), 'DELETE');
  assert.equal(removal.status, may(manageFiles) ? 404 : 403, `removal from ${name}: ${removal.text}`);
  const browser = center.endpoint.registry.get(ref)?.value('browser') as Reference;
  const search = await ann.calls.try(plain(browser), 'SearchDatastore_Task', {
    datastorePath: `[${name}] no-such-folder`,
  });
  assert.equal(search.fault, may(browse) ? undefined : 'NoPermission', `search of ${name}`);
}

async function compareViews(model: Model): Promise<void> {
  const root = [...entities.values()].find(({ parents }) => parents.length === 0)!;
  const args = { container: root.ref, type: ['VirtualMachine', 'Folder'], recursive: true };
  const { fault, answer } = await ann.calls.try(service('ViewManager'), 'CreateContainerView', args);
  if (!model.sees(root.ref.value)) {
    assert.notEqual(fault, undefined, 'a view of what one does not see');
    return;
  }
  assert.equal(fault, undefined, JSON.stringify(answer));
  const view = answer as Reference;
  const { value } = (await ann.calls.read(view, 'view')) as { value: readonly Reference[] };
  const seen = [...entities.values()].filter(
    ({ ref }) => args.type.includes(ref.type) && ref.value !== root.ref.value && model.sees(ref.value),
  );
  assert.deepEqual(value.map((each) => each.value).sort(), seen.map(({ ref }) => ref.value).sort(), 'a view of all');
  await ann.calls.call(view, 'DestroyView');
  for (const { ref, name } of entities.values()) {
    if (ref.type !== 'VirtualMachine') continue;
    const config = center.endpoint.registry.get(ref)?.value('config') as { uuid: string } | undefined;
    const uuid = config?.uuid ?? '';
    const found = await ann.calls.call(service('SearchIndex'), 'FindByUuid', { uuid, vmSearch: true });
    assert.equal(
      (found as Reference | undefined)?.value,
      model.sees(ref.value) ? ref.value : undefined,
      `search for ${name}`,
    );
  }
}
