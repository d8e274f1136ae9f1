import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { loadSchema, type ManagedObject, VimFault } from '@hypostyle/vim';
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
      for (const method of schema.managed(object.ref.type)?.methods.keys() ?? []) {
        if (done?.has(method)) continue;
        const answer = await endpoint.call(object.ref, method).then(
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
  for (const object of registry.all()) if (types.has(object.ref.type)) one.set(object.ref.type, object);
  return [...one.values()];
}
