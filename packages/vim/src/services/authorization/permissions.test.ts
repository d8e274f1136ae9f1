import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { methodPrivileges } from '../../runtime/privileges.ts';
import { Registry } from '../../runtime/registry.ts';
import { loadSchema } from '../../schema/schema.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import { MemoryPersistence } from '../memory-persistence.ts';
import { faultNamed, sessionOf, TestClient } from '../testing/calls.ts';
import { RecordedEvents } from '../testing/recorded-events.ts';
import { addAuthorizationManager } from './authorization-manager.ts';
import { type EntityReference, type Permission, Permissions } from './permissions.ts';

const schema = loadSchema();
/** Child, and what it lies in. The machine lies in a folder and in a pool. */
const tree: Readonly<Record<string, readonly string[]>> = {
  root: [],
  dc: ['root'],
  folder: ['dc'],
  pool: ['dc'],
  vm: ['folder', 'pool'],
};
const entities = Object.keys(tree);

async function build(persistence = new MemoryPersistence()) {
  const registry = new Registry(schema);
  const types = { root: 'Folder', dc: 'Datacenter', folder: 'Folder', pool: 'ResourcePool', vm: 'VirtualMachine' };
  const ref = (value: string) =>
    ({ _typeName: 'ManagedObjectReference', type: types[value as 'vm'], value }) as EntityReference;
  registry.commit((draft) => {
    for (const [value, parents] of Object.entries(tree)) {
      const [parent, resourcePool] = parents.map(ref);
      const properties = { name: value, ...(parent && { parent }), ...(resourcePool && { resourcePool }) };
      draft.add({ type: types[value as 'vm'] as 'Folder', methods: {} }, value, properties);
    }
    draft.add({ type: 'PerformanceManager', methods: {} }, 'perf', {});
    draft.add({ type: 'Task', methods: {} }, 'task-1', { info: { entity: ref('vm') } as never });
  });
  const permissions = await Permissions.open({
    registry,
    persistence,
    rootFolder: ref('root'),
    administrators: [{ principal: 'root', group: false }],
  });
  const events = new RecordedEvents();
  const manager = addAuthorizationManager({
    registry,
    permissions,
    events,
    sessions: {
      byKey: (key) => (key === 'session-bob' ? sessionOf('bob', ['staff']) : undefined),
      endOf: () => {},
      regroup: () => {},
    },
    principals: {
      find: async (name) => ['ann', 'bob', 'staff', 'ops', 'root'].find((known) => known === name.toLowerCase()),
      groupsOf: async (name) => (name === 'bob' ? ['staff'] : []),
    },
  });
  const client = (userName: string, groups: readonly string[] = []) => {
    const one = new TestClient({ registry, authorizer: permissions });
    one.session = sessionOf(userName, groups);
    return one;
  };
  return { registry, permissions, manager, events, client, ref, persistence };
}

const permission = fc.record({
  entity: fc.constantFrom(...entities),
  principal: fc.constantFrom('ann', 'bob', 'staff', 'ops'),
  roleId: fc.constantFrom(-5, -3, -2, -1),
  propagate: fc.boolean(),
});

test('permissions reach down until a nearer one, a user’s own before groups, from folder and pool alike', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(permission, { maxLength: 8 }), fc.subarray(['staff', 'ops']), async (given, groups) => {
      const { permissions, ref } = await build();
      const byEntity = new Map<string, Map<string, Permission>>();
      for (const { entity, principal, roleId, propagate } of given) {
        const group = principal === 'staff' || principal === 'ops';
        const own = byEntity.get(entity) ?? new Map();
        own.set(principal, { entity: ref(entity), principal, group, roleId, propagate });
        byEntity.set(entity, own);
      }
      const root = byEntity.get('root') ?? new Map();
      root.set('root', { entity: ref('root'), principal: 'root', group: false, roleId: -1, propagate: true });
      byEntity.set('root', root);
      const changes = new Map([...byEntity].map(([entity, own]) => [entity, [...own.values()]]));
      await permissions.replace(changes);

      const rolesOf = (entity: string, here: boolean): number[] => {
        const reach = (changes.get(entity) ?? []).filter((each) => here || each.propagate);
        const own = reach.filter((each) => each.principal === 'ann');
        if (own.length > 0) return own.map((each) => each.roleId);
        const by = reach.filter((each) => each.group && groups.includes(each.principal));
        if (by.length > 0) return by.map((each) => each.roleId);
        return tree[entity]!.flatMap((parent) => rolesOf(parent, false));
      };
      const least = { 'System.View': -3, 'System.Read': -2, 'VirtualMachine.Interact.PowerOn': -1 };
      const session = sessionOf('ann', groups);
      for (const entity of entities) {
        const roles = rolesOf(entity, true);
        for (const [privilege, role] of Object.entries(least)) {
          const expected = roles.some((each) => each >= role);
          const held = permissions.holds(session, ref(entity), privilege);
          if (privilege === 'System.View' && held && !expected) continue;
          assert.equal(held, expected, `${privilege} on ${entity}`);
        }
      }
      const task: ManagedObjectReference = { type: 'Task', value: 'task-1' };
      const perf: ManagedObjectReference = { type: 'PerformanceManager', value: 'perf' };
      assert.equal(
        permissions.holds(session, task, 'System.Read'),
        permissions.holds(session, ref('vm'), 'System.Read'),
      );
      assert.equal(
        permissions.holds(session, perf, 'System.Read'),
        permissions.holds(session, ref('root'), 'System.Read'),
      );
      assert.equal(permissions.holds(session, perf, 'System.View'), true);
    }),
    { numRuns: 200 },
  );
});

test('the way to what one may see can be seen, and nothing beside it', async () => {
  const { permissions, ref, client, manager } = await build();
  const admin = client('root');
  const readOnly = { principal: 'bob', group: false, roleId: -2, propagate: true };
  await admin.call(manager, 'SetEntityPermissions', { entity: ref('folder'), permission: [readOnly] });
  const bob = sessionOf('bob');
  assert.equal(permissions.holds(bob, ref('dc'), 'System.View'), true);
  assert.equal(permissions.holds(bob, ref('dc'), 'System.Read'), false);
  assert.equal(permissions.holds(bob, ref('pool'), 'System.View'), false);
  assert.equal(permissions.holds(bob, ref('vm'), 'System.Read'), true);
});

test('roles and permissions change through the manager, leave events, and are there after a restart', async () => {
  const { registry, manager, events, client, ref, persistence } = await build();
  const admin = client('root');
  const privIds = ['VirtualMachine.Interact.PowerOn'];
  const roleId = (await admin.call(manager, 'AddAuthorizationRole', { name: 'Operator', privIds })) as number;
  await assert.rejects(admin.call(manager, 'AddAuthorizationRole', { name: 'Operator' }), faultNamed('AlreadyExists'));
  await assert.rejects(
    admin.call(manager, 'UpdateAuthorizationRole', { roleId: -1, newName: 'x' }),
    faultNamed('InvalidArgument'),
  );
  const operator = { principal: 'staff', group: true, roleId, propagate: true };
  await admin.call(manager, 'SetEntityPermissions', { entity: ref('dc'), permission: [operator] });
  await assert.rejects(
    admin.call(manager, 'SetEntityPermissions', { entity: ref('dc'), permission: [{ ...operator, principal: 'zoe' }] }),
    faultNamed('UserNotFound'),
  );
  await assert.rejects(
    client('bob', ['staff']).call(manager, 'SetEntityPermissions', { entity: ref('dc'), permission: [] }),
    faultNamed('NoPermission'),
  );
  await assert.rejects(
    admin.call(manager, 'ResetEntityPermissions', { entity: ref('root'), permission: [] }),
    faultNamed('AuthMinimumAdminPermission'),
  );
  const asked = {
    entity: ref('vm'),
    sessionId: 'session-bob',
    privId: [...privIds, 'VirtualMachine.Interact.PowerOff'],
  };
  assert.deepEqual(await admin.call(manager, 'HasPrivilegeOnEntity', asked), [true, false]);
  const [fetched] = (await admin.call(manager, 'FetchUserPrivilegeOnEntities', {
    entities: [ref('vm')],
    userName: 'bob',
  })) as { privileges: string[] }[];
  assert.ok(fetched?.privileges.includes('VirtualMachine.Interact.PowerOn'));

  const after = await build(persistence);
  assert.equal(after.permissions.holds(sessionOf('bob', ['staff']), ref('vm'), privIds[0]!), true);
  const roles = registry.read(manager, 'roleList')!;
  assert.deepEqual(
    roles.map((role) => role.name),
    [
      'NoTrustedAdmin',
      'TrustedAdmin',
      'NoCryptoAdmin',
      'NoAccess',
      'Anonymous',
      'View',
      'ReadOnly',
      'Admin',
      'Operator',
    ],
  );
  await assert.rejects(
    admin.call(manager, 'RemoveAuthorizationRole', { roleId, failIfUsed: true }),
    faultNamed('RemoveFailed'),
  );
  await admin.call(manager, 'MergePermissions', { srcRoleId: roleId, dstRoleId: -2 });
  await admin.call(manager, 'RemoveAuthorizationRole', { roleId, failIfUsed: true });
  await admin.call(manager, 'RemoveEntityPermission', { entity: ref('dc'), user: 'staff', isGroup: true });
  assert.deepEqual(await admin.call(manager, 'RetrieveEntityPermissions', { entity: ref('dc'), inherited: false }), []);
  assert.deepEqual(events.types, [
    'RoleAddedEvent',
    'PermissionAddedEvent',
    'PermissionUpdatedEvent',
    'RoleRemovedEvent',
    'PermissionRemovedEvent',
  ]);
});

test('no method of the schema runs without a session, or without its privilege', async () => {
  const { registry, permissions } = await build();
  const nobody = new TestClient({ registry, authorizer: permissions });
  const stranger = new TestClient({ registry, authorizer: permissions });
  stranger.session = sessionOf('eve');
  let denied = 0;
  for (const name of schema.names()) {
    const type = schema.managed(name);
    if (type === undefined) continue;
    const methods = Object.fromEntries(
      [...type.methods.keys()].map((method) => [method, () => assert.fail(`${method} ran`)]),
    );
    const self = registry.commit((draft) => draft.add({ type: name as 'Folder', methods }, `walk-${name}`, {}));
    for (const method of type.methods.values()) {
      if (method.privilege === 'System.Anonymous') continue;
      await assert.rejects(nobody.call(self, method.name), faultNamed('NotAuthenticated'));
      // What needs no more than to be signed in is for everybody who is.
      if (permissions.holds(stranger.session, self, 'System.View') && needsViewOnly(method.name, method.privilege))
        continue;
      await assert.rejects(stranger.call(self, method.name), faultNamed('NoPermission'));
      denied += 1;
    }
  }
  assert.ok(denied > 700, `${denied}`);
});

function needsViewOnly(name: string, privilege: string | undefined): boolean {
  return (privilege ?? methodPrivileges[name]) === 'System.View';
}

test('a center begins with sample roles, which are its own to change and stay away once removed', async () => {
  const registry = new Registry(schema);
  const persistence = new MemoryPersistence();
  const rootFolder = { _typeName: 'ManagedObjectReference', type: 'Folder', value: 'root' } as const;
  const open = () =>
    Permissions.open({
      registry,
      persistence,
      rootFolder,
      administrators: [{ principal: 'root', group: false }],
      sampleRoles: true,
    });
  const permissions = await open();
  const names = (of: Permissions) => of.roles().flatMap(({ id, name }) => (id < 0 ? [] : [name]));
  assert.deepEqual(names(permissions).slice(0, 6), [
    'VirtualMachinePowerUser',
    'VirtualMachineUser',
    'ResourcePoolAdministrator',
    'VMwareConsolidatedBackupUser',
    'DatastoreConsumer',
    'NetworkConsumer',
  ]);
  const known = new Set(permissions.privileges);
  for (const { name, privileges } of permissions.roles())
    assert.deepEqual(
      privileges.filter((id) => !known.has(id)),
      [],
      name,
    );
  const network = permissions.roles().find(({ name }) => name === 'NetworkConsumer')!;
  await permissions.removeRole(network.id, true);
  const after = await open();
  assert.equal(names(after).includes('NetworkConsumer'), false);
  assert.ok((await after.addRole('Ours', [])).id > network.id);
});

test('what belongs to an entity is seen by who sees that, a task by who started it too, a service by everybody', async () => {
  const { registry, permissions, ref, client } = await build();
  const reason = { _typeName: 'TaskReasonUser', userName: 'bob' } as never;
  const managerOf = (of: string) => ({ type: 'HostStorageSystem', methods: {}, entity: () => ref(of) }) as const;
  registry.commit((draft) => {
    draft.set({ type: 'Task', value: 'task-1' }, { info: { entity: ref('vm'), reason } as never });
    draft.add(managerOf('pool'), 'storage', {});
  });
  const permission = (entity: string, principal: string) =>
    [
      entity,
      [...permissions.on(ref(entity)), { entity: ref(entity), principal, group: false, roleId: -1, propagate: true }],
    ] as const;
  await permissions.replace(new Map([permission('folder', 'ann'), permission('pool', 'eve')]));
  const sees = (userName: string, type: string, value: string, privilege = 'System.View') =>
    permissions.holds(client(userName).session!, { type, value }, privilege);
  assert.deepEqual(
    ['root', 'ann', 'bob', 'carl'].map((user) => sees(user, 'Task', 'task-1')),
    [true, true, true, false],
  );
  assert.deepEqual(
    ['root', 'ann', 'eve', 'carl'].map((user) => sees(user, 'HostStorageSystem', 'storage')),
    [true, false, true, false],
  );
  assert.equal(sees('eve', 'HostStorageSystem', 'storage', 'Host.Config.Storage'), true);
  assert.equal(sees('ann', 'HostStorageSystem', 'storage', 'Host.Config.Storage'), false);
  assert.equal(sees('carl', 'PerformanceManager', 'perf'), true);
  // What it was about is gone: it says nothing of it any more.
  registry.commit((draft) => draft.remove(ref('vm')));
  assert.equal(sees('carl', 'Task', 'task-1'), true);
});

test('what one has goes with where things lie, at once', async () => {
  const { registry, permissions, client, ref } = await build();
  const entity = ref('folder');
  await permissions.replace(
    new Map([['folder', [{ entity, principal: 'ann', group: false, roleId: -1, propagate: true }]]]),
  );
  const session = client('ann').session!;
  const sees = (value: string) => permissions.holds(session, ref(value), 'System.View');
  assert.deepEqual([sees('vm'), sees('folder'), sees('dc'), sees('pool')], [true, true, true, false]);
  registry.commit((draft) => draft.set(ref('vm') as never, { parent: ref('dc') } as never));
  assert.equal(sees('vm'), false);
  registry.commit((draft) => draft.set(ref('folder') as never, { parent: ref('root') } as never));
  assert.deepEqual([sees('folder'), sees('dc'), sees('root')], [true, false, true]);
});
