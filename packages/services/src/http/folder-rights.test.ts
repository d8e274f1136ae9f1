import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  loadSchema,
  type ManagedObjectReference,
  MemoryPersistence,
  Permissions,
  Registry,
  type Session,
} from '@hypostyle/vim';
import fc from 'fast-check';
import { temporaryDatastore } from '../testing/datastore-fixture.ts';
import { handleFolderRequest } from './folder-handler.ts';

const schema = loadSchema();
const ref = (type: string, value: string) =>
  ({ _typeName: 'ManagedObjectReference', type, value }) as ManagedObjectReference<never>;
const places = {
  root: ref('Folder', 'root'),
  folder: ref('Folder', 'group-s1'),
  datastore: ref('Datastore', 'datastore-1'),
};
type Place = keyof typeof places;

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

const grants = fc.uniqueArray(
  fc.record({
    place: fc.constantFrom<Place>('root', 'folder', 'datastore'),
    principal: fc.constantFrom('ann', 'staff'),
    role: fc.constantFrom('none', 'browses', 'manages'),
    propagate: fc.boolean(),
  }),
  { selector: ({ place, principal }) => `${place} ${principal}`, maxLength: 4 },
);

test('files of a datastore follow the rights on it, as a small model has them', async (t) => {
  const directory = await temporaryDatastore(t);
  await writeFile(join(directory.directory, 'a.txt'), 'text');
  await fc.assert(
    fc.asyncProperty(grants, fc.boolean(), async (given, inGroup) => {
      const registry = new Registry(schema);
      registry.commit((draft) => {
        const add = (at: ManagedObjectReference<never>, parent?: ManagedObjectReference) =>
          draft.add({ type: at.type as 'Folder', methods: {} }, at.value, {
            name: at.value,
            ...(parent && { parent: parent as never }),
          });
        add(places.root);
        add(places.folder, places.root);
        add(places.datastore, places.folder);
      });
      const permissions = await Permissions.open({
        registry,
        persistence: new MemoryPersistence(),
        rootFolder: places.root,
        administrators: [{ principal: 'root', group: false }],
      });
      const roles = {
        none: -5,
        browses: (await permissions.addRole('Browser', ['Datastore.Browse'])).id,
        manages: (await permissions.addRole('Manager', ['Datastore.Browse', 'Datastore.FileManagement'])).id,
      };
      for (const [place, entity] of Object.entries(places)) {
        const own = given
          .filter((each) => each.place === place)
          .map(({ principal, role, propagate }) => ({
            entity,
            principal,
            group: principal === 'staff',
            roleId: roles[role as 'none'],
            propagate,
          }));
        if (own.length > 0) await permissions.replace(new Map([[entity.value, [...permissions.on(entity), ...own]]]));
      }
      const nearest = (['datastore', 'folder', 'root'] as const).map((place) => {
        const reach = given.filter((each) => each.place === place && (place === 'datastore' || each.propagate));
        return (
          reach.find((each) => each.principal === 'ann') ??
          (inGroup ? reach.find((each) => each.principal === 'staff') : undefined)
        );
      });
      const role = nearest.find((each) => each !== undefined)?.role ?? 'none';
      const session = { userName: 'ann', groups: inGroup ? ['staff'] : [], ended: false } as unknown as Session;
      const send = async (method: string, path: string, body = '') => {
        const answer = await handleFolderRequest(
          {
            method,
            url: `/folder${path}?dsName=ds`,
            headers: {},
            body: once(Buffer.from(body)),
            signal: new AbortController().signal,
          },
          {
            datacenters: () => ['dc'],
            datastores: () => [directory],
            authorize: (_datastore, privilege) =>
              permissions.holds(session, places.datastore, privilege) ? 'ok' : 'denied',
            isBusy: () => false,
          },
        );
        if (answer.body !== undefined && !Buffer.isBuffer(answer.body))
          await answer.body[Symbol.asyncIterator]().return?.();
        return answer.status;
      };
      assert.equal(await send('GET', ''), role === 'none' ? 403 : 200);
      assert.equal(await send('GET', '/a.txt'), role === 'manages' ? 200 : 403);
      assert.equal((await send('PUT', '/b.txt', 'x')) < 300, role === 'manages');
      assert.equal((await send('DELETE', '/b.txt')) < 300, role === 'manages');
    }),
    { numRuns: 40 },
  );
});
