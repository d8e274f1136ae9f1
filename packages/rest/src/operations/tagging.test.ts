import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryPersistence } from '@hypostyle/vim';
import { TagService } from '../tagging/tag-service.ts';
import { HttpClient } from '../testing/http-client.ts';
import { servedCenter } from '../testing/served-center.ts';
import { SmallCenter } from '../testing/small-center.ts';

const { center, http, token } = await servedCenter();

const old = '/rest/com/vmware/cis/tagging';
const machine = (id: string) => ({ id, type: 'VirtualMachine' });

async function rest(method: string, path: string, body?: unknown) {
  const answer = await http.send(method, `${old}${path}`, { token, ...(body === undefined ? {} : { body }) });
  assert.equal(answer.status, 200, `${method} ${path} ${answer.text}`);
  return answer.json?.value;
}

async function api(method: string, path: string, body?: unknown) {
  return http.send(method, `/api/cis/tagging${path}`, { token, ...(body === undefined ? {} : { body }) });
}

const category = (name: string, more: object = {}) =>
  rest('POST', '/category', {
    create_spec: { name, description: '', cardinality: 'SINGLE', associable_types: [], ...more },
  });
const tag = (name: string, category_id: string) =>
  rest('POST', '/tag', { create_spec: { name, description: 'd', category_id } });

test('categories and tags are made, found, changed and deleted in both styles', async () => {
  const id: string = await category('os');
  assert.match(id, /^urn:vmomi:InventoryServiceCategory:[0-9a-f-]{36}:GLOBAL$/);
  const linux: string = await tag('linux', id);
  assert.match(linux, /^urn:vmomi:InventoryServiceTag:[0-9a-f-]{36}:GLOBAL$/);
  assert.deepEqual((await api('GET', `/tag/${linux}`)).json, {
    id: linux,
    category_id: id,
    name: 'linux',
    description: 'd',
    used_by: [],
  });
  assert.deepEqual(await rest('POST', `/tag/id:${id}?~action=list-tags-for-category`), [linux]);
  assert.deepEqual((await api('POST', '/tag?action=list-tags-for-category', { category_id: id })).json, [linux]);
  assert.equal((await api('PATCH', `/tag/${linux}`, { name: 'gnu' })).status, 204);
  assert.equal((await rest('GET', `/tag/id:${linux}`)).name, 'gnu');
  assert.ok((await rest('GET', '/category')).includes(id));

  const twice = await api('POST', '/category', { name: 'os', cardinality: 'SINGLE' });
  assert.equal(twice.json.error_type, 'ALREADY_EXISTS');
  const shrink = await api('PATCH', `/category/${id}`, { cardinality: 'MULTIPLE' });
  assert.equal(shrink.status, 204);
  assert.equal((await api('PATCH', `/category/${id}`, { cardinality: 'SINGLE' })).json.error_type, 'INVALID_ARGUMENT');
  assert.equal((await api('DELETE', `/category/${id}`)).status, 204);
  assert.equal((await api('GET', `/tag/${linux}`)).status, 404);
});

test('a tag is attached once of a category of one, to objects of its types', async () => {
  const id = await category('owner', { associable_types: ['VirtualMachine'] });
  const [ann, bob] = [await tag('ann', id), await tag('bob', id)];
  await rest('POST', `/tag-association/id:${ann}?~action=attach`, { object_id: machine('vm-1') });
  await rest('POST', `/tag-association/id:${ann}?~action=attach`, { object_id: machine('vm-1') });
  const second = await api('POST', `/tag-association/${bob}?action=attach`, { object_id: machine('vm-1') });
  assert.equal(second.json.error_type, 'INVALID_ARGUMENT');
  const host = await api('POST', `/tag-association/${bob}?action=attach`, {
    object_id: { id: 'host-1', type: 'HostSystem' },
  });
  assert.equal(host.json.error_type, 'INVALID_ARGUMENT');
  const gone = await api('POST', `/tag-association/${bob}?action=attach`, { object_id: machine('vm-99') });
  assert.equal(gone.status, 403);

  assert.deepEqual(await rest('POST', '/tag-association?~action=list-attached-tags', { object_id: machine('vm-1') }), [
    ann,
  ]);
  assert.deepEqual(await rest('POST', `/tag-association/id:${ann}?~action=list-attached-objects`), [machine('vm-1')]);
  const grown = await api('PATCH', `/category/${id}`, { associable_types: ['VirtualMachine', 'HostSystem'] });
  assert.equal(grown.status, 204);
  assert.equal((await api('PATCH', `/category/${id}`, { associable_types: ['HostSystem'] })).status, 400);
  await rest('POST', `/tag-association/id:${ann}?~action=detach`, { object_id: machine('vm-1') });
  assert.deepEqual(
    await rest('POST', '/tag-association?~action=list-attached-tags', { object_id: machine('vm-1') }),
    [],
  );
});

test('several are attached at once; what cannot be is told', async () => {
  const id = await category('many', { cardinality: 'MULTIPLE' });
  const [one, two] = [await tag('one', id), await tag('two', id)];
  const result = await rest('POST', '/tag-association?~action=attach-multiple-tags-to-object', {
    object_id: machine('vm-1'),
    tag_ids: [one, 'no-such-tag', two],
  });
  assert.equal(result.success, false);
  assert.equal(result.error_messages.length, 1);
  assert.deepEqual(
    await rest('POST', '/tag-association?~action=list-attached-tags-on-objects', {
      object_ids: [machine('vm-1'), machine('vm-2')],
    }),
    [{ object_id: machine('vm-1'), tag_ids: [one, two] }],
  );
  const batch = await rest('POST', `/tag-association/id:${one}?~action=attach-tag-to-multiple-objects`, {
    object_ids: [machine('vm-2'), machine('vm-1')],
  });
  assert.equal(batch.success, true);
  const [onTag] = await rest('POST', '/tag-association?~action=list-attached-objects-on-tags', { tag_ids: [one] });
  assert.deepEqual(onTag.object_ids, [machine('vm-1'), machine('vm-2')]);
});

test('tags outlive a restart, and go with their object', async () => {
  const id = await category('kept', { cardinality: 'MULTIPLE' });
  const kept = await tag('kept', id);
  for (const vm of ['vm-2', 'vm-3']) {
    await rest('POST', `/tag-association/id:${kept}?~action=attach`, { object_id: machine(vm) });
  }
  const attached = async (on: HttpClient, user: string) =>
    (
      await on.send('POST', `/api/cis/tagging/tag-association/${kept}?action=list-attached-objects`, { token: user })
    ).json.map((each: { id: string }) => each.id);

  const restarted = new SmallCenter({ persistence: center.persistence });
  await using client = await HttpClient.open(restarted.face);
  assert.deepEqual(await attached(client, await restarted.token('root')), ['vm-2', 'vm-3']);
  await restarted.close();

  center.registry.commit((draft) => draft.remove({ type: 'VirtualMachine', value: 'vm-3' }));
  assert.deepEqual(await attached(http, token), ['vm-2']);
  await api('PATCH', `/category/${id}`, { description: 'changes go one at a time' });
  const stored = await center.persistence.list<{ object: { id: string } }>('tagging-associations');
  assert.ok(stored.every(({ value }) => value.object.id !== 'vm-3'));
});

test('an object that the session may not read is not told', async () => {
  const id = await category('private', { cardinality: 'MULTIPLE' });
  const secret = await tag('secret', id);
  await rest('POST', `/tag-association/id:${secret}?~action=attach`, { object_id: machine('vm-1') });
  const own = await center.token('one-machine');
  const path = '/api/cis/tagging/tag-association?action=list-attached-tags';
  const foreign = await http.send('POST', path, { token: own, body: { object_id: machine('vm-1') } });
  assert.equal(foreign.status, 403);
  assert.deepEqual((await http.send('GET', '/api/cis/tagging/tag', { token: own })).json, []);
});

test('who uses a category is a list that ends', async () => {
  const tags = new TagService({ registry: center.registry, persistence: new MemoryPersistence() });
  const id = await tags.createCategory({
    name: 'used',
    description: '',
    cardinality: 'SINGLE',
    associable_types: [],
  });
  for (let user = 0; user < 1_000; user += 1) await tags.use('category', id, `urn:user:${user}`, true);
  await tags.use('category', id, 'urn:user:5', true);
  await assert.rejects(tags.use('category', id, 'urn:user:more', true), { error: 'unable_to_allocate_resource' });
  await tags.use('category', id, 'urn:user:5', false);
  await tags.use('category', id, 'urn:user:more', true);
  await tags.close();
});
