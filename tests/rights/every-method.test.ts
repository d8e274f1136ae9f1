import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import {
  loadSchema,
  type ManagedObject,
  type ManagedObjectReference,
  type Permissions,
  type PersistenceWrite,
} from '@hypostyle/vim';
import { anonymousPrivilege, argumentPrivileges, methodPrivileges } from '../../packages/vim/src/runtime/privileges.ts';
import {
  type Arguments,
  argumentFaults,
  encodings,
  leastArguments,
  wrongArguments,
} from '../../packages/vim/src/runtime/testing/method-calls.ts';
import type { Method } from '../../packages/vim/src/schema/schema.ts';
import {
  administrator,
  CenterInProcess,
  type Faces,
  hostAdministrator,
  recordedWrites,
} from '../harness/center-in-process.ts';
import { JsonCalls } from '../harness/json-calls.ts';

const schema = loadSchema();
const privilegeOf = ({ name, privilege }: Method) => privilege ?? methodPrivileges[name];
const [json] = encodings;
/** Methods that end the session that calls them, or wait until there is something to tell. */
const leftOut = new Set(['Logout', 'WaitForUpdates', 'WaitForUpdatesEx']);

let world: CenterInProcess;
let writes: Readonly<Record<'center' | 'host', PersistenceWrite[]>>;
before(async () => {
  world = await CenterInProcess.open();
  await enrich(world.center);
  writes = { center: recordedWrites(world.centerDisk), host: recordedWrites(world.hostDisk) };
});
after(async () => {
  await world?.[Symbol.asyncDispose]();
  assert.deepEqual(world?.defects, []);
});

/** More kinds of objects than a new center has: a cluster, and a task at center and host. */
async function enrich(faces: Faces): Promise<void> {
  const admin = new JsonCalls(faces, (await faces.signIn(administrator)).token);
  const named = (type: string, name: string) => {
    for (const object of faces.endpoint.registry.all(type as 'Folder'))
      if (object.value('name') === name) return object.ref;
    throw new Error(`there is no ${type} ${name}`);
  };
  const spec = { _typeName: 'ClusterConfigSpecEx' };
  await admin.call(named('Folder', 'host'), 'CreateClusterEx', { name: 'cluster', spec });
  await admin.task(named('VirtualMachine', 'vm-1'), 'Rename_Task', { newName: 'web' });
  for (const type of ['ClusterComputeResource', 'Task', 'Alarm'])
    assert.notEqual([...faces.endpoint.registry.all(type as 'Folder')].length, 0, type);
}

/** One object of every type that is there. */
function liveObjects({ endpoint: { registry } }: Faces): ManagedObject[] {
  const found = new Map<string, ManagedObject>();
  for (const { ref } of registry.all()) {
    const object = registry.get(ref);
    if (object !== undefined && object.owner === undefined && !found.has(ref.type)) found.set(ref.type, object);
  }
  return [...found.values()];
}

function* methodsOf(faces: Faces): Generator<{ self: ManagedObject['ref']; method: Method; where: string }> {
  for (const { ref, managedType } of liveObjects(faces)) {
    for (const method of managedType.methods.values()) yield { self: ref, method, where: `${ref.type}.${method.name}` };
  }
}

for (const which of ['center', 'host'] as const) {
  describe(`every method of every object of a ${which}`, () => {
    const admin = which === 'center' ? administrator : hostAdministrator;

    for (const encoding of encodings) {
      it(`${encoding.name}: needs a session, unless it says that it does not`, async () => {
        const faces = world[which];
        for (const { self, method, where } of methodsOf(faces)) {
          const args = leastArguments(schema, method);
          const answer = await encoding.call(faces.management, { self, method, args });
          if (privilegeOf(method) !== anonymousPrivilege)
            assert.equal(answer.fault, 'NotAuthenticated', `${where}: ${answer.text}`);
        }
      });

      it(`${encoding.name}: refuses arguments that it does not take, before anything happens`, async () => {
        const faces = world[which];
        const { token } = await faces.signIn(admin);
        for (const { self, method, where } of methodsOf(faces)) {
          for (const args of wrongArguments(schema, method)) {
            const { fault, text } = await encoding.call(faces.management, { self, method, args, token });
            assert.ok(argumentFaults.includes(fault), `${where} with ${JSON.stringify(args)}: ${text}`);
          }
        }
      });
    }

    for (const [who, roleId] of Object.entries({ 'without any rights': undefined, 'who may only read': -2 })) {
      it(`changes nothing for somebody ${who}`, async () => {
        const faces = world[which];
        const { permissions, signIn } = await somebody(faces, `ann-${roleId ?? 'none'}`);
        if (roleId !== undefined) await give(permissions, signIn.userName, roleId);
        const { session, token } = await faces.signIn(signIn);
        const written = writes[which];
        for (const { self, method, where } of methodsOf(faces)) {
          if (leftOut.has(method.name)) continue;
          const before = written.length;
          const tasks = [...faces.endpoint.registry.all('Task')].length;
          const least = leastArguments(schema, method, liveReferences(faces));
          for (const args of [least, withPaths(least)]) {
            const { text } = await json!.call(faces.management, { self, method, args, token });
            await setImmediate();
            assert.deepEqual(written.slice(before).filter(isChange), [], `${where}: ${text}`);
            assert.equal([...faces.endpoint.registry.all('Task')].length, tasks, `${where}: ${text}`);
          }
          const { fault, text } = await json!.call(faces.management, { self, method, args: least, token });
          const needed = privilegeOf(method)?.split(' ')[0];
          const reads = roleId !== undefined && needed === 'System.Read';
          const views = needed === 'System.View' && (roleId !== undefined || !isEntity(self));
          if (needed !== anonymousPrivilege && !reads && !views)
            assert.equal(fault, 'NoPermission', `${where} needs ${needed}: ${text}`);
          assert.equal(session.ended, false, where);
        }
      });
    }

    it('and no property is read without a session, or the right to read it', async () => {
      const faces = world[which];
      const { signIn, permissions } = await somebody(faces, 'eve');
      const eve = new JsonCalls(faces, (await faces.signIn(signIn)).token);
      const nobody = new JsonCalls(faces, 'nobody');
      for (const {
        ref,
        managedType,
        class: { entity },
      } of liveObjects(faces)) {
        for (const { name, privilege } of managedType.properties.values()) {
          if (privilege === anonymousPrivilege) continue;
          const where = `${ref.type}.${name}`;
          assert.equal((await nobody.read(ref, name)).fault, 'NotAuthenticated', where);
          const { fault } = await eve.read(ref, name);
          const isOpen = !isEntity(ref) && entity === undefined && ref.type !== 'Task' && ref.type !== 'Alarm';
          if (!isOpen || privilege !== 'System.View') assert.equal(fault, 'NoPermission', where);
        }
      }
      await give(permissions, signIn.userName, -2);
      for (const { ref, managedType } of liveObjects(faces)) {
        for (const { name, privilege = 'System.View' } of managedType.properties.values()) {
          const { fault } = await eve.read(ref, name);
          assert.equal(fault === 'NoPermission', !privilege.startsWith('System.'), `${ref.type}.${name}: ${fault}`);
        }
      }
    });

    it('is tried on many kinds of objects', () => {
      const types = liveObjects(world[which]).map(({ ref }) => ref.type);
      assert.ok(types.length >= 25, `${types.length}: ${types.join(' ')}`);
    });

    it('is denied to whoever has every privilege but the one that it needs', async () => {
      const faces = world[which];
      const { permissions, signIn } = await somebody(faces, 'bob');
      const role = await permissions.addRole('All but one', []);
      await give(permissions, signIn.userName, role.id);
      const needs = [...methodsOf(faces)].flatMap(({ self, method, where }) =>
        neededOf(method).map((needed) => ({ self, method, where, needed })),
      );
      const { token } = await faces.signIn(signIn);
      for (const [privilege, methods] of Map.groupBy(needs, ({ needed }) => needed)) {
        const others = permissions.privileges.filter((each) => each !== privilege);
        await permissions.updateRole(role.id, role.name, others);
        for (const { self, method, where } of methods) {
          const args = leastArguments(schema, method, liveReferences(faces));
          const { fault, text } = await json!.call(faces.management, { self, method, args, token });
          assert.equal(fault, 'NoPermission', `${where} without ${privilege}: ${text}`);
          assert.ok(text.includes(privilege), `${where} without ${privilege}: ${text}`);
        }
      }
      assert.ok(needs.length > 100, `${needs.length}`);
    });
  });
}

/** Privileges that a method needs on its object and on what its arguments name: those that some role can lack. */
function neededOf(method: Method): string[] {
  const own = privilegeOf(method)?.split(' ') ?? [];
  const ofArguments = method.parameters
    .filter(({ optional }) => !optional)
    .flatMap(({ name }) => argumentPrivileges[method.name]?.[name] ?? []);
  return [...own, ...ofArguments].filter((each) => !each.startsWith('System.'));
}

const isEntity = ({ type }: ManagedObjectReference) => schema.isSubtype(type, 'ManagedEntity');

/** What is written without a call: events of sign-ins, how hosts are, and what was measured. */
const byItself = /^(events|last-known|performance-(progress|pulled|\d+))$/;

function isChange(write: PersistenceWrite): boolean {
  const [{ collection }] = Object.values(write) as [{ collection: string }];
  return !byItself.test(collection);
}

/** The arguments with the path of a file that is there, wherever they may have one. */
function withPaths(args: Arguments): Arguments {
  const path = '[datastore1] vm-1/vm-1.vmdk';
  return Object.fromEntries(Object.entries(args).map(([name, value]) => [name, value === 'x' ? path : value]));
}

/** A reference to an object of the wanted type that is there, or to none. */
function liveReferences({ endpoint: { registry } }: Faces): (type: string) => ManagedObjectReference {
  return (type) => {
    const [found] = registry.all(type as 'Folder');
    return {
      _typeName: 'ManagedObjectReference',
      type: found?.ref.type ?? type,
      value: found?.ref.value ?? `x-${type}`,
    };
  };
}

/** A new user with no permission at all. */
async function somebody(faces: Faces, userName: string) {
  const { sessions, endpoint } = faces;
  const permissions = endpoint.authorizer as Permissions;
  const { token } = await faces.signIn(endpoint === world.center.endpoint ? administrator : hostAdministrator);
  const password = 'Nothing-at-all-1';
  const [manager] = endpoint.registry.all('HostLocalAccountManager');
  const method = schema.method('CreateUser');
  assert.ok(manager !== undefined && method !== undefined && json !== undefined);
  const user = { _typeName: 'HostAccountSpec', id: userName, password };
  const answer = await json.call(faces.management, { self: manager.ref, method, args: { user }, token });
  assert.equal(answer.fault, undefined, answer.text);
  const { session } = await faces.signIn({ userName, password });
  sessions.end(session);
  return { permissions, signIn: { userName: session.userName, password } };
}

/** Gives somebody a role on everything. */
async function give(permissions: Permissions, principal: string, roleId: number): Promise<void> {
  const entity = permissions.rootFolder as ManagedObjectReference<'ManagedEntity'>;
  const added = { principal, group: false, roleId, propagate: true, entity };
  await permissions.replace(new Map([[entity.value, [...permissions.on(entity), added]]]));
}
