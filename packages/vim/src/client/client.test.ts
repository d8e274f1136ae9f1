import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createSilentServer } from 'node:net';
import { test } from 'node:test';
import { ManagementEndpoint } from '../codec/management-endpoint.ts';
import { testCertificate } from '../codec/testing/certificate.ts';
import { smallCenter } from '../codec/testing/small-center.ts';
import { serveForTest } from '../codec/testing/test-server.ts';
import { loadSchema } from '../schema/schema.ts';
import { createClient } from './client.ts';

const schema = loadSchema();
const { fingerprint256 } = new X509Certificate(testCertificate);

for (const encoding of ['soap', 'json'] as const) {
  test(`${encoding}: signs in, reads typed properties, is given typed faults, signs out`, async () => {
    const center = smallCenter(3);
    await using server = await serveForTest(new ManagementEndpoint(center));
    await using client = createClient({ url: server.url, encoding, tls: { ca: testCertificate }, schema });
    assert.equal((await client.content()).about.apiType, 'VirtualCenter');
    await assert.rejects(client.signIn('root', 'wrong'), { name: 'VimFault', type: 'InvalidLogin' });
    assert.equal((await client.signIn('root', 'secret')).userName, 'root');
    const machines = [1, 2, 3].map((n) => ({ type: 'VirtualMachine' as const, value: `vm-${n}` }));
    const found = await client.retrieve<'VirtualMachine', 'name' | 'config' | 'datastore'>(machines, [
      'name',
      'config',
      'datastore',
    ]);
    assert.deepEqual(
      found.map(({ ref, values }) => [ref.value, values.name]),
      [
        ['vm-1', 'machine-1'],
        ['vm-2', 'machine-2'],
        ['vm-3', 'machine-3'],
      ],
    );
    assert.equal(found[0]?.values.config?.hardware.device?.length, 13);
    assert.equal(found[0]?.values.datastore?.[0]?.value, 'datastore-7');
    await assert.rejects(client.call(machines[0] as { type: 'VirtualMachine'; value: string }, 'PowerOnVM_Task', {}), {
      type: 'NotSupported',
    });
    const gone = { type: 'VirtualMachine' as const, value: 'vm-none' };
    await assert.rejects(client.retrieve(gone, ['name']), (error: { type: string; detail: { obj: object } }) => {
      assert.equal(error.type, 'ManagedObjectNotFound');
      assert.deepEqual(error.detail.obj, { _typeName: 'ManagedObjectReference', ...gone });
      return true;
    });
    await client.signOut();
    const instance = { type: 'ServiceInstance' as const, value: 'ServiceInstance' };
    await assert.rejects(client.call(instance, 'CurrentTime', {}), { type: 'NotAuthenticated' });
    assert.deepEqual(center.defects, []);
  });

  test(`${encoding}: waits for tasks, with progress, result and fault`, async () => {
    const center = smallCenter(0);
    await using server = await serveForTest(new ManagementEndpoint(center));
    await using client = createClient({ url: server.url, encoding, tls: { insecure: true }, schema });
    await client.signIn('root', 'secret');
    const progress: number[] = [];
    const result = await client.waitForTask({ type: 'Task', value: 'task-1' }, { onProgress: (p) => progress.push(p) });
    assert.deepEqual(progress, [20, 60]);
    assert.deepEqual(result, { _typeName: 'ManagedObjectReference', type: 'VirtualMachine', value: 'vm-9' });
    await assert.rejects(client.waitForTask({ type: 'Task', value: 'task-2' }), {
      type: 'InvalidPowerState',
      message: 'It is on already.',
    });
    assert.equal(center.collectors.size, 0, 'collectors go when the wait is over');
  });
}

test('a pinned certificate is trusted, and nothing is sent to any other', async () => {
  let requests = 0;
  const endpoint = new ManagementEndpoint(smallCenter(0));
  await using server = await serveForTest({
    handle: (request, respond) => {
      requests += 1;
      return endpoint.handle(request, respond);
    },
  });
  await using trusting = createClient({ url: server.url, tls: { fingerprint: fingerprint256.toLowerCase() }, schema });
  assert.equal((await trusting.content()).about.name, 'Hypostyle');
  assert.equal(requests, 1);
  await using pinned = createClient({ url: server.url, tls: { fingerprint: '00'.repeat(32) }, schema });
  await assert.rejects(pinned.content(), { name: 'ClientError', code: 'certificate' });
  await using careful = createClient({ url: server.url, schema });
  await assert.rejects(careful.content(), { name: 'ClientError', code: 'connection' });
  assert.equal(requests, 1);
});

test('answers that are too large or not of the interface are told apart', async () => {
  await using server = await serveForTest(new ManagementEndpoint(smallCenter(0)));
  await using small = createClient({ url: server.url, tls: { insecure: true }, schema, responseLimit: 500 });
  await assert.rejects(small.content(), { name: 'ClientError', code: 'too-large' });
  const other = createServer((_request, response) => void response.end('<html>hello<br></html>'));
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}/`;
  for (const encoding of ['soap', 'json'] as const) {
    await using client = createClient({ url, encoding, schema });
    await assert.rejects(client.content(), { name: 'ClientError', code: 'not-understood' });
  }
  other.close();
  await using lonely = createClient({ url, schema });
  await assert.rejects(lonely.content(), { name: 'ClientError', code: 'connection' });
});

test('a call to a server that says nothing at all ends when it is given up', { timeout: 20_000 }, async () => {
  const server = createSilentServer((socket) => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await using client = createClient({
    url: `https://127.0.0.1:${port}`,
    tls: { fingerprint: '00'.repeat(32) },
    schema,
  });
  const instance = { type: 'ServiceInstance' as const, value: 'ServiceInstance' };
  const call = client.call(instance, 'CurrentTime', {}, { signal: AbortSignal.timeout(50) });
  await assert.rejects(call, { name: 'TimeoutError' });
  const closed = once(server, 'close');
  server.close();
  await closed; // no connection is left open
});

test('an aborted call ends with the reason of its signal', async () => {
  await using server = await serveForTest({ handle: () => new Promise(() => {}) });
  await using client = createClient({ url: server.url, tls: { insecure: true }, schema });
  const controller = new AbortController();
  const call = client.call({ type: 'ServiceInstance', value: 'ServiceInstance' }, 'CurrentTime', {}, controller);
  setTimeout(() => controller.abort(new Error('enough')), 20);
  await assert.rejects(call, { message: 'enough' });
});
