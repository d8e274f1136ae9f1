import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManagementEndpoint } from '../codec/management-endpoint.ts';
import { loadSchema, type Method } from '../schema/schema.ts';
import type { ManagedObjectReference } from '../schema/values.ts';
import { sessionOf } from '../services/testing/calls.ts';
import { Dispatcher } from './dispatcher.ts';
import { anonymousPrivilege, methodPrivileges } from './privileges.ts';
import { Registry } from './registry.ts';
import { argumentFaults, encodings, leastArguments, wrongArguments } from './testing/method-calls.ts';

const schema = loadSchema();
const managedTypes = [...schema.names()].flatMap((name) => schema.managed(name) ?? []);
const token = 'token';

/** An instance of every managed type, none of which implements a method. */
function world(holds: boolean) {
  const registry = new Registry(schema);
  registry.commit((draft) => {
    for (const { name } of managedTypes) draft.add({ type: name as 'Folder', methods: {} }, `x-${name}`, {});
  });
  const authorizer = { holds: () => holds };
  const defects: unknown[] = [];
  const onDefect = (...defect: unknown[]) => defects.push(defect);
  const dispatcher = new Dispatcher({ registry, authorizer, onDefect });
  const session = sessionOf('eve');
  const sessions = { byToken: (each: string) => (each === token ? session : undefined) };
  const endpoint = new ManagementEndpoint({ registry, dispatcher, authorizer, sessions, onDefect });
  return { endpoint, defects };
}

for (const encoding of encodings) {
  const each = async (run: (self: ManagedObjectReference, method: Method) => Promise<void>) => {
    for (const { name, methods } of managedTypes) {
      for (const method of methods.values()) await run({ type: name, value: `x-${name}` }, method);
    }
  };

  test(`${encoding.name}: nobody calls a method without a session, unless it needs none`, async () => {
    const { endpoint, defects } = world(true);
    let count = 0;
    await each(async (self, method) => {
      const answer = await encoding.call(endpoint, { self, method, args: leastArguments(schema, method) });
      const expected = method.privilege === anonymousPrivilege ? 'NotSupported' : 'NotAuthenticated';
      assert.equal(answer.fault, expected, `${self.type}.${method.name}: ${answer.text}`);
      count += 1;
    });
    assert.ok(count > 1_200, `${count}`);
    assert.deepEqual(defects, []);
  });

  test(`${encoding.name}: a method says which privilege on which object was missing, and is denied without any`, async () => {
    const { endpoint } = world(false);
    await each(async (self, method) => {
      if (method.privilege === anonymousPrivilege) return;
      const answer = await encoding.call(endpoint, { self, method, args: leastArguments(schema, method), token });
      const where = `${self.type}.${method.name}: ${answer.text}`;
      assert.equal(answer.fault, 'NoPermission', where);
      const wanted = (method.privilege ?? methodPrivileges[method.name] ?? method.name).split(' ')[0]!;
      assert.ok(answer.text.includes(wanted), where);
      assert.ok(answer.text.includes(self.value), where);
    });
  });

  test(`${encoding.name}: a method that nothing implements is not supported, and arguments are as documented or refused`, async () => {
    const { endpoint, defects } = world(true);
    const done = new Set<string>();
    await each(async (self, method) => {
      const privilege = method.privilege ?? methodPrivileges[method.name];
      const right = await encoding.call(endpoint, { self, method, args: leastArguments(schema, method), token });
      const where = `${self.type}.${method.name}`;
      assert.equal(right.fault, privilege === undefined ? 'NoPermission' : 'NotSupported', `${where}: ${right.text}`);
      // Arguments are of the method, whoever inherits it.
      if (done.has(method.name)) return;
      done.add(method.name);
      for (const args of wrongArguments(schema, method)) {
        const answer = await encoding.call(endpoint, { self, method, args, token });
        assert.ok(argumentFaults.includes(answer.fault), `${where} with ${JSON.stringify(args)}: ${answer.text}`);
      }
    });
    assert.ok(done.size > 1_100, `${done.size}`);
    assert.deepEqual(defects, []);
  });
}
