import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CustomizationSpecs, MemoryPersistence } from '@hypostyle/vim';
import { servedCenter } from '../testing/served-center.ts';
import { ref } from '../testing/small-center.ts';

const { center, http, token } = await servedCenter();
// The service itself, in place of what only looks like it.
center.registry.commit((draft) => draft.remove(ref('CustomizationSpecManager', 'CustomizationSpecManager')));
await CustomizationSpecs.open({ registry: center.registry, persistence: new MemoryPersistence() });

const base = '/api/vcenter/guest/customization-specs';
const send = (method: string, path: string, body?: unknown) => http.send(method, path, { token, body });
const spec = (domain: string) => ({
  configuration_spec: { linux_config: { hostname: { type: 'VIRTUAL_MACHINE' }, domain } },
  global_DNS_settings: { dns_servers: ['192.0.2.53'] },
  interfaces: [{ adapter: { ipv4: { type: 'STATIC', ip_address: '192.0.2.7', prefix: 24, gateways: ['192.0.2.1'] } } }],
});
const windows = {
  configuration_spec: {
    windows_config: {
      sysprep: {
        user_data: {
          computer_name: { type: 'PREFIX', prefix: 'pc' },
          full_name: 'a',
          organization: 'b',
          product_key: '',
        },
        gui_unattended: { auto_logon: false, auto_logon_count: 0, time_zone: 110, password: 'Very-secret-1' },
      },
    },
  },
  global_DNS_settings: {},
  interfaces: [],
};

interface Info {
  readonly spec: { readonly fingerprint: string; readonly name: string; readonly spec: unknown };
  readonly last_modified?: string;
}

test('specifications are kept, read, changed, listed and deleted, as SOAP has them', async () => {
  const made = await send('POST', base, { name: 'web', description: 'of the web', spec: spec('a.example') });
  assert.deepEqual([made.status, made.json], [201, 'web'], made.text);
  const again = await send('POST', base, { name: 'web', description: '', spec: spec('a.example') });
  assert.equal((again.json as { error_type: string }).error_type, 'ALREADY_EXISTS');
  const old = await send('POST', '/rest/vcenter/guest/customization-specs', {
    spec: { name: 'win', description: '', spec: windows },
  });
  assert.deepEqual([old.status, old.json], [200, { value: 'win' }], old.text);
  const listed = (await send('GET', `${base}?os_type=WINDOWS`)).json as { name: string; OS_type: string }[];
  assert.deepEqual(
    listed.map(({ name, OS_type }) => [name, OS_type]),
    [['win', 'WINDOWS']],
  );
  const named = (await send('GET', `${base}?names=web&names=none`)).json as { name: string }[];
  assert.deepEqual(
    named.map(({ name }) => name),
    ['web'],
  );
  const read = (await send('GET', `${base}/web`)).json as Info;
  assert.deepEqual(read.spec.spec, spec('a.example'));
  assert.ok(read.last_modified);
  // As it was read, it is changed; once more it is not: somebody did meanwhile.
  const change = { fingerprint: read.spec.fingerprint, spec: spec('b.example'), name: 'shop' };
  const changed = await send('PUT', `${base}/web`, change);
  assert.equal(changed.status, 204, changed.text);
  const now = (await send('GET', `${base}/shop`)).json as Info & { spec: { description: string } };
  assert.deepEqual([now.spec.spec, now.spec.description], [spec('b.example'), 'of the web']);
  assert.equal((await send('GET', `${base}/web`)).status, 404);
  const late = await send('PUT', `${base}/shop`, { ...change, name: 'shop' });
  assert.deepEqual([late.status, (late.json as { error_type: string }).error_type], [409, 'CONCURRENT_CHANGE']);
  assert.equal((await send('DELETE', `${base}/shop`)).status, 204);
  assert.equal((await send('DELETE', `${base}/shop`)).status, 404);
});

test('texts of specifications go out and come in, without passwords', async () => {
  for (const format of ['JSON', 'XML']) {
    const out = await send('POST', `${base}/win?action=export`, { format });
    assert.equal(out.status, 200, out.text);
    assert.doesNotMatch(String(out.json), /secret/);
    const back = await send('POST', `${base}?action=import`, { customization_spec: out.json });
    assert.equal(back.status, 200, back.text);
    const { name, spec: found } = back.json as { name: string; spec: typeof windows };
    assert.equal(name, 'win');
    assert.equal(found.configuration_spec.windows_config.sysprep.gui_unattended.password, '');
    const made = await send('POST', base, { name: `of ${format}`, description: '', spec: found });
    assert.equal(made.status, 201, made.text);
  }
  for (const text of ['', 'nothing', '{"name":1}', '<Other/>'])
    assert.equal((await send('POST', `${base}?action=import`, { customization_spec: text })).status, 400, text);
});

test('a guest that is off is told by a kept specification, or by one of its own', async () => {
  const path = '/api/vcenter/vm/vm-2/guest/customization';
  for (const body of [{}, { name: 'win', spec: windows }, { spec: { ...windows, more: 1 } }])
    assert.equal((await send('PUT', path, body)).status, 400, JSON.stringify(body));
  assert.equal((await send('PUT', path, { name: 'none' })).status, 404);
});
