import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { newestVersion } from '../../codec/api-version.ts';
import type { VimFault } from '../../runtime/fault.ts';
import { Registry } from '../../runtime/registry.ts';
import { loadSchema } from '../../schema/schema.ts';
import { MemoryPersistence } from '../memory-persistence.ts';
import { sessionOf, TestClient } from '../testing/calls.ts';
import { CustomizationSpecs } from './customization-specs.ts';
import { SpecXml } from './spec-xml.ts';

const schema = loadSchema();
const named = (type: string) => (error: unknown) => (error as VimFault).type === type;

const itemOf = (name: string, domain = 'example.com') => ({
  _typeName: 'CustomizationSpecItem',
  info: { _typeName: 'CustomizationSpecInfo', name, description: 'a <test> & more', type: 'Linux' },
  spec: {
    _typeName: 'CustomizationSpec',
    identity: {
      _typeName: 'CustomizationLinuxPrep',
      hostName: { _typeName: 'CustomizationFixedName', name: 'web' },
      domain,
      hwClockUTC: true,
    },
    globalIPSettings: { _typeName: 'CustomizationGlobalIPSettings', dnsServerList: ['192.0.2.53', '192.0.2.54'] },
    nicSettingMap: [
      {
        _typeName: 'CustomizationAdapterMapping',
        adapter: {
          _typeName: 'CustomizationIPSettings',
          ip: { _typeName: 'CustomizationDhcpIpGenerator' },
        },
      },
    ],
  },
});

async function open(persistence = new MemoryPersistence()) {
  const registry = new Registry(schema);
  const specs = await CustomizationSpecs.open({ registry, persistence });
  const client = new TestClient({ registry, authorizer: { holds: () => true } });
  client.session = sessionOf('root');
  const call = (name: string, args: object) => client.call(specs.ref, name as never, args as never) as Promise<unknown>;
  return { registry, specs, call, persistence };
}

test('specifications are kept, copied, renamed and deleted, over restarts', async () => {
  const { registry, specs, call, persistence } = await open();
  await call('CreateCustomizationSpec', { item: itemOf('linux') });
  await assert.rejects(call('CreateCustomizationSpec', { item: itemOf('linux') }), named('AlreadyExists'));
  await assert.rejects(call('GetCustomizationSpec', { name: 'none' }), named('NotFound'));
  await call('DuplicateCustomizationSpec', { name: 'linux', newName: 'copy' });
  await call('RenameCustomizationSpec', { name: 'copy', newName: 'other' });
  assert.equal(await call('DoesCustomizationSpecExist', { name: 'copy' }), false);
  const read = (await call('GetCustomizationSpec', { name: 'linux' })) as ReturnType<typeof itemOf> & {
    info: { changeVersion: string };
  };
  assert.equal(read.info.changeVersion, '1');
  const changed = { ...read, spec: itemOf('linux', 'example.org').spec };
  await call('OverwriteCustomizationSpec', { item: changed });
  await assert.rejects(call('OverwriteCustomizationSpec', { item: changed }), named('ConcurrentAccess'));
  assert.deepEqual(
    registry.read(specs.ref, 'info')?.map(({ name, changeVersion }) => [name, changeVersion]),
    [
      ['linux', '2'],
      ['other', '2'],
    ],
  );
  const next = await open(persistence);
  const kept = (await next.call('GetCustomizationSpec', { name: 'linux' })) as ReturnType<typeof itemOf>;
  assert.equal(kept.spec.identity.domain, 'example.org');
  await next.call('DeleteCustomizationSpec', { name: 'linux' });
  await assert.rejects(next.call('DeleteCustomizationSpec', { name: 'linux' }), named('NotFound'));
});

test('a specification as XML is read as it was', async () => {
  const { call } = await open();
  const item = itemOf('linux');
  const xml = (await call('CustomizationSpecItemToXml', { item })) as string;
  assert.match(xml, /^<\?xml [^>]*\?>\n<CustomizationSpecItem /);
  assert.deepEqual(await call('XmlToCustomizationSpecItem', { specItemXml: xml }), item);
  for (const bad of ['', '<a/>', xml.slice(0, 200), `<!DOCTYPE x>${xml}`, xml.replace('<domain>', '<nowhere>')])
    await assert.rejects(call('XmlToCustomizationSpecItem', { specItemXml: bad }), named('CustomizationFault'));
});

test('any text is a specification, or a CustomizationFault', () => {
  const codec = new SpecXml(schema, newestVersion);
  const text = codec.format(itemOf('x') as never);
  fc.assert(
    fc.property(fc.nat({ max: text.length }), fc.string({ maxLength: 5 }), (at, put) => {
      try {
        codec.parse(text.slice(0, at) + put + text.slice(at + put.length));
      } catch (error) {
        assert.equal((error as VimFault).type, 'CustomizationFault');
      }
    }),
  );
});
