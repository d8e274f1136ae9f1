import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Method } from '../schema/schema.ts';
import { loadSchema } from '../schema/schema.ts';
import { argumentPrivileges, deniedMethods, methodPrivileges } from './privileges.ts';

function everyMethod(): Method[] {
  const schema = loadSchema();
  const methods = new Map<string, Method>();
  for (const name of schema.names()) {
    for (const method of schema.managed(name)?.methods.values() ?? []) methods.set(method.name, method);
  }
  return [...methods.values()];
}

test('every method has one privilege, from the schema or from the table, or is denied by name', () => {
  for (const method of everyMethod()) {
    const known = [method.privilege !== undefined, method.name in methodPrivileges, deniedMethods.has(method.name)];
    assert.equal(known.filter(Boolean).length, 1, method.name);
  }
});

test('the tables name no method that is not in the schema', () => {
  const names = new Set(everyMethod().map((method) => method.name));
  for (const name of [...Object.keys(methodPrivileges), ...deniedMethods]) assert.ok(names.has(name), name);
});

test('privileges on arguments name references that the method takes', () => {
  const methods = new Map(everyMethod().map((method) => [method.name, method]));
  for (const [name, privileges] of Object.entries(argumentPrivileges)) {
    const parameters = methods.get(name)?.parameters.map((parameter) => parameter.name);
    for (const argument of Object.keys(privileges)) assert.ok(parameters?.includes(argument), `${name}.${argument}`);
  }
});
