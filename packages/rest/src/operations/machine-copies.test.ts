import assert from 'node:assert/strict';
import { test } from 'node:test';
import { servedCenter } from '../testing/served-center.ts';
import { ref } from '../testing/small-center.ts';

const { center, http, token } = await servedCenter();

const post = (path: string, body: unknown) => http.send('POST', path, { token, body });
const names = (value: unknown) =>
  JSON.parse(JSON.stringify(value, (key, each: unknown) => (key === '_typeName' ? undefined : each))) as unknown;

test('a clone is asked for as SOAP has it: place, disks, power and what its guest is told', async () => {
  const answer = await post('/api/vcenter/vm?action=clone', {
    source: 'vm-2',
    name: 'copy',
    placement: { resource_pool: 'resgroup-3', datastore: 'datastore-1' },
    disks_to_remove: ['2000'],
    power_on: true,
    guest_customization_spec: { name: 'linux' },
  });
  assert.deepEqual([answer.status, answer.json], [200, 'vm-1'], answer.text);
  const { folder, name, spec } = center.lastCopy as {
    folder: unknown;
    name: string;
    spec: { location: { deviceChange: { operation: string; device: { key: number } }[] }; customization: object };
  };
  assert.deepEqual(
    [names(folder), name],
    [names(ref('Folder', 'group-v2')), 'copy'],
    'it comes to where the original is',
  );
  const { deviceChange, ...location } = spec.location;
  assert.deepEqual(names(location), {
    pool: { type: 'ResourcePool', value: 'resgroup-3' },
    datastore: { type: 'Datastore', value: 'datastore-1' },
  });
  assert.deepEqual(
    deviceChange.map(({ operation, device }) => [operation, device.key]),
    [['remove', 2000]],
  );
  const { powerOn, template } = spec as unknown as { powerOn: boolean; template: boolean };
  assert.deepEqual([powerOn, template], [true, false]);
  assert.ok(spec.customization);
});

test('an instant clone is asked for by both spellings', async () => {
  const source = { source: 'vm-2', name: 'twin', placement: { datastore: 'datastore-1' } };
  const answer = await post('/api/vcenter/vm?action=instant-clone', {
    ...source,
    bios_uuid: '5d5a37b2-9e0b-4c1c-9f52-7d1d0f2f0a01',
  });
  assert.deepEqual([answer.status, answer.json], [200, 'vm-1'], answer.text);
  const { spec } = center.lastCopy as { spec: { name: string; location: { datastore: object }; biosUuid: string } };
  assert.deepEqual([spec.name, spec.biosUuid], ['twin', '5d5a37b2-9e0b-4c1c-9f52-7d1d0f2f0a01']);
  assert.deepEqual(names(spec.location.datastore), { type: 'Datastore', value: 'datastore-1' });
  const old = await post('/rest/vcenter/vm?~action=instant-clone', { spec: source });
  assert.deepEqual([old.status, old.json], [200, { value: 'vm-1' }], old.text);
});

test('a machine is moved with the disks that are named, by the old spelling too', async () => {
  const body = { placement: { folder: 'group-v1', host: 'host-1' }, disks: { 2000: { datastore: 'datastore-1' } } };
  const bare = await post('/api/vcenter/vm/vm-2?action=relocate', body);
  assert.equal(bare.status, 204, bare.text);
  const asked = names(center.lastCopy);
  assert.deepEqual(asked, {
    spec: {
      folder: { type: 'Folder', value: 'group-v1' },
      host: { type: 'HostSystem', value: 'host-1' },
      pool: { type: 'ResourcePool', value: 'resgroup-1' },
      disk: [{ diskId: 2000, datastore: { type: 'Datastore', value: 'datastore-1' } }],
    },
  });
  const old = await post('/rest/vcenter/vm/vm-2?~action=relocate', { spec: { placement: body.placement } });
  assert.equal(old.status, 200, old.text);
});

test('what is not there, and what contradicts itself, is said', async () => {
  const clone = (more: object) => post('/api/vcenter/vm?action=clone', { source: 'vm-2', name: 'copy', ...more });
  const kinds = await Promise.all([
    clone({ source: 'vm-999' }),
    clone({ disks_to_remove: ['2000'], disks_to_update: { 2000: {} } }),
    clone({ disks_to_remove: ['7'] }),
    clone({ guest_customization_spec: { name: 'none' } }),
    clone({ placement: { datastore: 'datastore-9' } }),
  ]);
  assert.deepEqual(
    kinds.map(({ json }) => json.error_type),
    ['NOT_FOUND', 'INVALID_ARGUMENT', 'NOT_FOUND', 'NOT_FOUND', 'NOT_FOUND'],
  );
});

test('specifications for guests are listed, and forgotten by name', async () => {
  const list = await http.send('GET', '/api/vcenter/guest/customization-specs', { token });
  assert.deepEqual(list.json, [{ name: 'linux', description: '', os_type: 'LINUX', OS_type: 'LINUX' }]);
  const gone = await http.send('DELETE', '/api/vcenter/guest/customization-specs/linux', { token });
  assert.equal(gone.status, 204, gone.text);
  const none = await http.send('DELETE', '/api/vcenter/guest/customization-specs/other', { token });
  assert.equal(none.json.error_type, 'NOT_FOUND');
});
