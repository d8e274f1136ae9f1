import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { loadSchema, type ManagedObject, type Schema, VimFault } from '@hypostyle/vim';
import { coveragePage } from './survey/page.ts';
import { type Answered, managedTypes, type Survey, survey } from './survey/survey.ts';
import { type Endpoint, World } from './survey/world.ts';

const schema = loadSchema();
let world: World;
let found: Survey;

before(async () => {
  world = await World.open();
  found = await survey(world);
});
after(() => world.close());

test('docs/coverage.md says what a host and a center do', async () => {
  const page = await readFile(new URL('../docs/coverage.md', import.meta.url), 'utf8');
  assert.ok(
    page === coveragePage(found, managedTypes()),
    'docs/coverage.md is old: run `npm run coverage` and commit it',
  );
});

test('the survey meets objects that come and go', () => {
  for (const type of [
    'ContainerView',
    'PropertyFilter',
    'EventHistoryCollector',
    'Task',
    'VirtualMachine',
    'Datastore',
  ])
    for (const endpoint of [found.host, found.center]) assert.ok(endpoint.has(type), type);
});

for (const name of ['host', 'center'] as const) {
  test(`what a ${name} does not do, it says is not supported`, async () => {
    const endpoint = name === 'host' ? world.hostEndpoint : world.centerEndpoint;
    const wrong: string[] = [];
    let count = 0;
    for (const object of oneOfEach(endpoint, found[name])) {
      const done = found[name].get(object.ref.type)?.methods;
      for (const [method, { parameters }] of schema.managed(object.ref.type)?.methods ?? []) {
        if (done?.has(method)) continue;
        const answer = await endpoint.call(object.ref, method, membersOf(parameters, endpoint)).then(
          () => 'an answer',
          (error: unknown) => (error instanceof VimFault ? error.type : String(error)),
        );
        count += 1;
        if (answer !== 'NotSupported') wrong.push(`${object.ref.type}.${method}: ${answer}`);
      }
    }
    assert.deepEqual(wrong, []);
    assert.ok(count > 100, `${count}`);
  });
}

/** An object of every type that is there. */
function oneOfEach({ registry }: Endpoint, types: ReadonlyMap<string, Answered>): ManagedObject[] {
  const one = new Map<string, ManagedObject>();
  for (const object of registry.all())
    if (types.has(object.ref.type) && !one.has(object.ref.type)) one.set(object.ref.type, object);
  return [...one.values()];
}

type Properties = NonNullable<ReturnType<Schema['data']>>['properties'];

/** What a method needs, with things that are there: some checks go before the answer that there is no such method. */
function membersOf(properties: Properties, endpoint: Endpoint): Record<string, unknown> {
  const given = properties.filter(({ optional, type }) => !optional || type.name === 'Datacenter');
  return Object.fromEntries(
    given.map(({ name, type }) => {
      const value = leastValue(type.name, endpoint);
      return [name, type.array ? [value] : value];
    }),
  );
}

function leastValue(name: string, endpoint: Endpoint): unknown {
  const type = schema.type(name);
  if (type?.kind === 'managed') return [...endpoint.registry.all(name as 'Folder')][0]?.ref;
  if (type?.kind === 'data') return { _typeName: name, ...membersOf(type.properties, endpoint) };
  if (type?.kind === 'enum') return [...type.values][0];
  if (name === 'boolean') return false;
  if (/^(int|short|long|byte|float|double)$/.test(name)) return 1;
  return '[datastore1] none.vmdk';
}
