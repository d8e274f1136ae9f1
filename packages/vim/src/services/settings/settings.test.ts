import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { clientCertificate, clientKey, testCertificate } from '../../codec/testing/certificate.ts';
import type { DataTypes } from '../../generated/types.ts';
import { Registry } from '../../runtime/registry.ts';
import { data } from '../../schema/data.ts';
import { loadSchema } from '../../schema/schema.ts';
import { MemoryPersistence } from '../memory-persistence.ts';
import { faultNamed, sessionOf, TestClient } from '../testing/calls.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { ExtensionService } from './extension-service.ts';
import { addLicenseManager } from './license-manager.ts';
import { type OptionDefinition, OptionService } from './option-service.ts';
import { addServiceInstance } from './service-instance.ts';
import { addServiceManager } from './service-manager.ts';

const schema = loadSchema();

function client(registry: Registry, signedIn = true): TestClient {
  const one = new TestClient({ registry });
  if (signedIn) one.session = sessionOf('root');
  return one;
}

test('the service instance answers its content to everybody, and the time to who is signed in', async () => {
  const registry = new Registry(schema);
  const content = { rootFolder: { type: 'Folder', value: 'root' } } as DataTypes['ServiceContent'];
  const capability = { provisioningSupported: true, multiHostSupported: false, userShellAccessSupported: false };
  const ref = addServiceInstance({ registry, content, capability, clock: new ManualClock() });
  assert.deepEqual(await client(registry, false).call(ref, 'RetrieveServiceContent'), content);
  await assert.rejects(client(registry, false).call(ref, 'CurrentTime'), faultNamed('NotAuthenticated'));
  assert.equal(await client(registry).call(ref, 'CurrentTime'), '2026-01-01T00:00:00.000Z');
  await assert.rejects(client(registry).call(ref, 'QueryVMotionCompatibility', {}), faultNamed('NotSupported'));
});

const definitions: OptionDefinition[] = [
  { key: 'log.level', label: 'Level', type: data('StringOption', { defaultValue: 'info' }) },
  { key: 'log.size', label: 'Size', type: data('IntOption', { min: 1, max: 9, defaultValue: 5 }) },
  { key: 'mail.password', label: 'Password', type: data('StringOption', { defaultValue: '' }), secret: true },
  { key: 'about', label: 'About', type: data('StringOption', { defaultValue: 'us', valueIsReadonly: true }) },
];

test('options are checked, kept, and secrets are never shown', async () => {
  const persistence = new MemoryPersistence();
  const open = (registry: Registry) =>
    OptionService.open({ registry, persistence, referenceValue: 'VpxSettings', definitions });
  const registry = new Registry(schema);
  const options = await open(registry);
  const one = client(registry);
  const update = (key: string, value: unknown) =>
    one.call(options.ref, 'UpdateOptions', {
      changedValue: [
        { key: 'log.level', value: 'x' },
        { key, value },
      ],
    });
  await assert.rejects(update('log.size', 10), faultNamed('InvalidArgument'));
  await assert.rejects(update('log.size', '5'), faultNamed('InvalidArgument'));
  await assert.rejects(update('about', 'them'), faultNamed('InvalidArgument'));
  await assert.rejects(update('none', 1), faultNamed('InvalidName'));
  assert.equal(options.value('log.level'), 'info', 'all or none');
  await update('log.size', 7);
  await update('mail.password', 'hush');
  assert.ok(!JSON.stringify(registry.read(options.ref, 'setting')).includes('mail.password'));
  await assert.rejects(one.call(options.ref, 'QueryOptions', { name: 'mail.password' }), faultNamed('InvalidName'));
  const found = (await one.call(options.ref, 'QueryOptions', { name: 'log.' })) as { key: string; value: unknown }[];
  assert.deepEqual(
    found.map(({ key, value }) => [key, value]),
    [
      ['log.level', 'x'],
      ['log.size', 7],
    ],
  );
  const after = await open(new Registry(schema));
  assert.deepEqual([after.value('log.size'), after.value('mail.password')], [7, 'hush']);
});

test('extensions are registered once, found, changed, and kept', async () => {
  const persistence = new MemoryPersistence();
  const registry = new Registry(schema);
  const extensions = await ExtensionService.open({ registry, persistence });
  const one = client(registry);
  const extension = { key: 'com.example', version: '1', description: { label: 'E', summary: 'E' } };
  await one.call(extensions.ref, 'RegisterExtension', { extension });
  await assert.rejects(one.call(extensions.ref, 'RegisterExtension', { extension }), faultNamed('InvalidArgument'));
  await one.call(extensions.ref, 'UpdateExtension', { extension: { ...extension, version: '2' } });
  const next = new Registry(schema);
  const after = await ExtensionService.open({ registry: next, persistence });
  const two = client(next);
  const found = (await two.call(after.ref, 'FindExtension', { extensionKey: 'com.example' })) as { version: string };
  assert.equal(found.version, '2');
  assert.equal(await two.call(after.ref, 'FindExtension', { extensionKey: 'other' }), undefined);
  await two.call(after.ref, 'UnregisterExtension', { extensionKey: 'com.example' });
  assert.deepEqual(next.read(after.ref, 'extensionList'), []);
});

test('an extension proves itself by the certificate that was set, exactly, or by one of its key', async () => {
  const persistence = new MemoryPersistence();
  const registry = new Registry(schema);
  const extensions = await ExtensionService.open({ registry, persistence });
  const one = client(registry);
  const { raw } = new X509Certificate(clientCertificate);
  const key = 'com.example';
  const set = (members: object) =>
    one.call(extensions.ref, 'SetExtensionCertificate', { extensionKey: key, ...members });
  await assert.rejects(set({ certificatePem: clientCertificate }), faultNamed('NotFound'));
  const extension = { key, version: '1', description: { label: 'E', summary: 'E' } };
  await one.call(extensions.ref, 'RegisterExtension', { extension });
  assert.equal(extensions.accepts(key, raw), false, 'no certificate, no sign-in');
  await assert.rejects(set({}), faultNamed('NoClientCertificate'));
  await assert.rejects(set({ certificatePem: 'nonsense' }), faultNamed('InvalidArgument'));
  await assert.rejects(set({ certificatePem: clientKey }), faultNamed('InvalidArgument'));
  await set({ certificatePem: clientCertificate });
  assert.equal(extensions.accepts(key, raw), true);
  assert.equal(extensions.accepts('com.other', raw), false);
  assert.equal(extensions.accepts(key, new X509Certificate(testCertificate).raw), false);
  assert.equal(extensions.accepts(key, raw.subarray(1)), false);
  await one.call(extensions.ref, 'UpdateExtension', { extension: { ...extension, version: '2' } });
  const after = await ExtensionService.open({ registry: new Registry(schema), persistence });
  assert.equal(after.accepts(key, raw), true, 'kept');
  one.clientCertificate = new X509Certificate(testCertificate).raw;
  await set({});
  assert.deepEqual(
    [extensions.accepts(key, raw), extensions.accepts(key, one.clientCertificate)],
    [false, true],
    'that of the connection',
  );
  const publicKey = new X509Certificate(clientCertificate).publicKey.export({ type: 'spki', format: 'pem' });
  const setKey = (of: unknown) => one.call(extensions.ref, 'SetPublicKey', { extensionKey: key, publicKey: of });
  await assert.rejects(setKey(clientKey), faultNamed('InvalidArgument'));
  await setKey(publicKey);
  assert.equal(extensions.accepts(key, raw), true);
  await assert.rejects(one.call(extensions.ref, 'GetPublicKey'), faultNamed('NotSupported'));
  await one.call(extensions.ref, 'UnregisterExtension', { extensionKey: key });
  await one.call(extensions.ref, 'RegisterExtension', { extension });
  assert.equal(extensions.accepts(key, raw), false, 'a certificate goes with its extension');
});

test('extensions registered at the same time do not overwrite each other; what they manage is found', async () => {
  const registry = new Registry(schema);
  const extensions = await ExtensionService.open({
    registry,
    persistence: new MemoryPersistence(),
    publicKey: () => 'the key',
  });
  const one = client(registry);
  const register = (version: string) =>
    one.call(extensions.ref, 'RegisterExtension', {
      extension: { key: 'com.example', version, description: { label: 'E', summary: 'E' } },
    });
  const [first, second] = await Promise.allSettled([register('1'), register('2')]);
  assert.deepEqual([first.status, second.status], ['fulfilled', 'rejected']);
  const managedBy = { extensionKey: 'com.example', type: 'x' };
  const refs = registry.commit((draft) => [
    draft.add<'VirtualMachine'>({ type: 'VirtualMachine', methods: {} }, 'vm', { config: { managedBy } as never }),
    draft.add<'VirtualApp'>({ type: 'VirtualApp', methods: {} }, 'vapp', { vAppConfig: { managedBy } as never }),
  ]);
  assert.deepEqual(await one.call(extensions.ref, 'QueryManagedBy', { extensionKey: 'com.example' }), refs);
  assert.deepEqual(await one.call(extensions.ref, 'QueryManagedBy', { extensionKey: 'other' }), []);
  const usage = { extensionKeys: ['com.example', 'other'] };
  assert.deepEqual(await one.call(extensions.ref, 'QueryExtensionIpAllocationUsage', usage), [
    { extensionKey: 'com.example', numAddresses: 0 },
  ]);
  assert.equal(await one.call(extensions.ref, 'GetPublicKey'), 'the key');
});

test('there is one license, which asks for nothing, and the services that were given', async () => {
  const registry = new Registry(schema);
  const ref = addLicenseManager({ registry, productName: 'p', productVersion: '1' });
  assert.equal(registry.read(ref, 'licenses')?.length, 1);
  const other = new Registry(schema);
  const assets = [{ entityId: 'host-1', entityDisplayName: 'one' }];
  addLicenseManager({ registry: other, productName: 'p', productVersion: '1', assets: () => assets });
  const assignments = { type: 'LicenseAssignmentManager', value: 'LicenseAssignmentManager' } as const;
  const assigned = async (args: object) =>
    (
      (await client(other).call(assignments, 'QueryAssignedLicenses', {
        ...args,
      })) as DataTypes['LicenseAssignmentManagerLicenseAssignment'][]
    ).map(({ entityId, assignedLicense }) => [entityId, assignedLicense.editionKey]);
  assert.deepEqual(await assigned({}), [['host-1', 'openSource']]);
  assert.deepEqual(await assigned({ entityId: 'host-2' }), []);
  await assert.rejects(client(registry).call(ref, 'AddLicense', { licenseKey: 'k' }), faultNamed('NotSupported'));
  const service = { serviceName: 'a', location: ['x'], service: ref, description: '' };
  const manager = addServiceManager({ registry, services: [service] });
  assert.deepEqual(await client(registry).call(manager, 'QueryServiceList', { serviceName: 'a' }), [service]);
  assert.deepEqual(await client(registry).call(manager, 'QueryServiceList', { location: ['y'] }), []);
});
