import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { createClient } from '../../client/client.ts';
import { ManagementEndpoint } from '../../codec/management-endpoint.ts';
import { clientCertificate, clientKey, testCertificate, testKey } from '../../codec/testing/certificate.ts';
import { serveForTest } from '../../codec/testing/test-server.ts';
import { actingUser } from '../../runtime/call-context.ts';
import { Dispatcher } from '../../runtime/dispatcher.ts';
import { Registry } from '../../runtime/registry.ts';
import { loadSchema } from '../../schema/schema.ts';
import { MemoryPersistence } from '../memory-persistence.ts';
import { ExtensionService } from '../settings/extension-service.ts';
import { allowEverything, faultNamed, TestClient } from '../testing/calls.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedEvents } from '../testing/recorded-events.ts';
import { SessionService } from './session-service.ts';

const schema = loadSchema();
const extensionKey = 'com.example.center';
const { fingerprint256 } = new X509Certificate(testCertificate);

async function build(certificatePem = clientCertificate) {
  const registry = new Registry(schema);
  const clock = new ManualClock();
  const events = new RecordedEvents();
  const extensions = await ExtensionService.open({ registry, persistence: new MemoryPersistence(), clock });
  const sessions = new SessionService({
    registry,
    clock,
    events,
    extensions,
    extensionUserName: () => 'vpxuser',
    extensionGroups: () => ['Administrators'],
    identities: { authenticate: async () => undefined },
  });
  const actors: string[] = [];
  const content = { sessionManager: sessions.ref, extensionManager: extensions.ref };
  registry.commit((draft) =>
    draft.add<'ServiceInstance'>(
      {
        type: 'ServiceInstance',
        methods: {
          RetrieveServiceContent: () => content as never,
          CurrentTime: (call) => {
            actors.push(actingUser(call));
            return '2026-01-01T00:00:00Z';
          },
        },
      },
      'ServiceInstance',
      {},
    ),
  );
  const admin = new TestClient({ registry });
  admin.session = sessions.openInternal({ userName: 'root' }).session;
  const extension = { key: extensionKey, version: '1', description: { label: 'C', summary: 'C' } };
  await admin.call(extensions.ref, 'RegisterExtension', { extension });
  await admin.call(extensions.ref, 'SetExtensionCertificate', { extensionKey, certificatePem });
  const dispatcher = new Dispatcher({ registry, authorizer: allowEverything });
  const endpoint = new ManagementEndpoint({ registry, dispatcher, authorizer: allowEverything, sessions });
  return { registry, clock, events, sessions, extensions, endpoint, actors };
}

const instance = { type: 'ServiceInstance', value: 'ServiceInstance' } as const;

for (const encoding of ['soap', 'json'] as const) {
  test(`${encoding}: an extension signs in by the certificate of its TLS connection, and acts for others`, async () => {
    const { sessions, endpoint, actors } = await build();
    await using server = await serveForTest(endpoint);
    const own = { certificate: clientCertificate, privateKey: clientKey };
    for (const tls of [
      { ca: testCertificate, ...own },
      { fingerprint: fingerprint256, ...own },
    ]) {
      await using client = createClient({ url: server.url, encoding, tls, schema });
      const session = await client.call(sessions.ref, 'LoginExtensionByCertificate', { extensionKey });
      assert.deepEqual([session.userName, session.extensionSession], ['vpxuser', true]);
      await client.call(instance, 'CurrentTime', {}, { realUser: 'CORP\\ann' });
      assert.deepEqual(sessions.byKey(session.key)?.groups, ['Administrators']);
    }
    assert.deepEqual(actors, ['vpxuser:CORP\\ann', 'vpxuser:CORP\\ann']);
  });
}

test('whoever shows no certificate, or another, does not sign in; nor does who has not its key', async () => {
  const { sessions, endpoint, events } = await build();
  await using server = await serveForTest(endpoint);
  const login = async (tls: { certificate?: string; privateKey?: string }) => {
    await using client = createClient({ url: server.url, tls: { ca: testCertificate, ...tls }, schema });
    await client.call(sessions.ref, 'LoginExtensionByCertificate', { extensionKey });
  };
  await assert.rejects(login({}), { type: 'NoClientCertificate' });
  await assert.rejects(login({ certificate: testCertificate, privateKey: testKey }), { type: 'InvalidLogin' });
  // OpenSSL refuses a certificate with another's key before anything is sent.
  await assert.rejects(login({ certificate: clientCertificate, privateKey: testKey }));
  assert.deepEqual(events.types, ['BadUsernameSessionEvent']);
  await login({ certificate: clientCertificate, privateKey: clientKey });
});

test('wrong certificates lock nobody out, and are told by a few events', async () => {
  const { registry, events, sessions, endpoint } = await build();
  assert.ok(endpoint);
  const from = (certificate: string) => {
    const client = new TestClient({ registry, clientAddress: '192.0.2.1' });
    client.clientCertificate = new X509Certificate(certificate).raw;
    return client.call(sessions.ref, 'LoginExtensionByCertificate', { extensionKey });
  };
  for (let i = 0; i < 40; i += 1) await assert.rejects(from(testCertificate), faultNamed('InvalidLogin'));
  assert.equal(events.types.length, 5);
  await from(clientCertificate);
});

test('without extensions nobody signs in by certificate, and a session has one sign-in', async () => {
  const { registry, sessions } = await build();
  const signedIn = new TestClient({ registry, resolve: (token) => sessions.byToken(token) });
  signedIn.clientCertificate = new X509Certificate(clientCertificate).raw;
  await signedIn.call(sessions.ref, 'LoginExtensionByCertificate', { extensionKey });
  await assert.rejects(
    signedIn.call(sessions.ref, 'LoginExtensionByCertificate', { extensionKey }),
    faultNamed('InvalidLogin'),
  );
  const cloneTicket = await signedIn.call(sessions.ref, 'AcquireCloneTicket');
  const clone = new TestClient({ registry });
  await clone.call(sessions.ref, 'CloneSession', { cloneTicket });
  assert.equal(clone.session?.mayActForOthers, false, 'a ticket may have gone through other hands');
  const other = new Registry(schema);
  const plain = new SessionService({
    registry: other,
    clock: new ManualClock(),
    events: new RecordedEvents(),
    identities: { authenticate: async () => undefined },
  });
  const stranger = new TestClient({ registry: other });
  stranger.clientCertificate = new X509Certificate(clientCertificate).raw;
  await assert.rejects(
    stranger.call(plain.ref, 'LoginExtensionByCertificate', { extensionKey }),
    faultNamed('NotSupported'),
  );
});
