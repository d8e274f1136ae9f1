import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadSchema } from '../schema/schema.ts';
import { apiVersion, newestVersion, publicVersions, rankOf, versionOfSoapAction } from './api-version.ts';

test('every version of the schema has its place, or is known to be of another product', () => {
  const schema = loadSchema();
  const foreign = new Set<string>();
  const look = (since: string) => {
    if (rankOf(since) === Number.POSITIVE_INFINITY) foreign.add(since);
  };
  for (const name of schema.names()) {
    const type = schema.type(name);
    if (type === undefined) continue;
    look(type.since);
    if (type.kind === 'enum') continue;
    for (const property of type.properties) look(property.since);
    if (type.kind === 'managed') for (const method of type.methods.values()) look(method.since);
  }
  assert.deepEqual([...foreign].sort(), [
    ...['6.6.1', '6.6.2', '7.0', '7.1', '7.2', '7.3', '7.4', 'VMC M5', 'vSAN 6.7U1', 'vSAN 6.7U3'],
    ...['vSAN 7.0U1', 'vSAN 7.0U2', 'vSAN 7.0U3', 'vsan'],
  ]);
  assert.equal(newestVersion.name, schema.release);
  for (const version of publicVersions) assert.equal(apiVersion(version).name, version);
});

test('an unknown version is the nearest lower one, and none at all an old one', () => {
  for (const [asked, spoken] of [
    ['8.0.3.0', '8.0.3.0'],
    ['9.1.0.0', '8.0.3.0'],
    ['8.0.2.7', '8.0.2.0'],
    ['7.0', '7.0.0.0'],
    ['6.8', '6.7.3'],
    ['5.9', '5.5'],
    ['1.0', '2.0'],
    ['2.5u2', '2.5u2'],
    ['nonsense', '2.5'],
    ['', '2.5'],
  ] as const) {
    assert.equal(apiVersion(asked).name, spoken, asked);
  }
  for (const [action, spoken] of [
    ['"urn:vim25/6.7"', '6.7'],
    ['urn:vim25/6.7.1', '6.7.1'],
    ['"urn:internalvim25/6.5"', '6.5'],
    ['"urn:vim25"', '2.5'],
    ['""', '2.5'],
    [undefined, '2.5'],
  ] as const) {
    assert.equal(versionOfSoapAction(action).name, spoken, String(action));
  }
});
