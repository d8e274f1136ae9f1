import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ManagementEndpoint } from './management-endpoint.ts';
import { exchange } from './testing/exchange.ts';
import { smallCenter } from './testing/small-center.ts';

const base = '/sdk/vim25/8.0.3.0';

async function signedIn(machines = 1) {
  const center = smallCenter(machines);
  const endpoint = new ManagementEndpoint(center);
  const answer = await exchange(endpoint, {
    url: `${base}/SessionManager/SessionManager/Login`,
    body: JSON.stringify({ userName: 'root', password: 'secret' }),
  });
  const session = answer.headers['vmware-api-session-id'] as string;
  const send = (method: string, path: string, body: string | Uint8Array = '') =>
    exchange(endpoint, { method, url: `${base}${path}`, headers: { 'vmware-api-session-id': session }, body });
  return { center, endpoint, answer, send };
}

test('signing in answers the session in a header, and no cookie', async () => {
  const { answer, send } = await signedIn();
  assert.equal(answer.status, 200);
  assert.equal(answer.headers['vmware-api-session-id'], 'token-1');
  assert.equal(answer.headers['set-cookie'], undefined);
  assert.equal(JSON.parse(answer.body)._typeName, 'UserSession');
  const time = await send('POST', '/ServiceInstance/ServiceInstance/CurrentTime');
  assert.deepEqual([time.status, time.body], [200, '"2026-01-01T00:00:00.5Z"']);
  assert.equal((await send('POST', '/SessionManager/SessionManager/Logout')).status, 204);
  assert.equal((await send('POST', '/ServiceInstance/ServiceInstance/CurrentTime')).status, 401);
});

test('properties are read by GET, in the version of the path', async () => {
  const { endpoint, send } = await signedIn();
  const name = await send('GET', '/VirtualMachine/vm-1/name');
  assert.deepEqual([name.status, name.body], [200, '"machine-1"']);
  const content = (version: string) =>
    exchange(endpoint, { method: 'GET', url: `/sdk/vim25/${version}/ServiceInstance/ServiceInstance/content` });
  assert.match((await content('8.0.1.0')).body, /"tenantManager":/);
  assert.doesNotMatch((await content('6.7')).body, /"tenantManager":/);
  assert.equal((await send('GET', '/VirtualMachine/vm-1/guest')).status, 204);
});

test('a property collector answers as SOAP does, everything tagged with its type', async () => {
  const { send } = await signedIn();
  const body = JSON.stringify({
    specSet: [
      {
        objectSet: [{ obj: { type: 'VirtualMachine', value: 'vm-1' } }],
        propSet: [{ _typeName: 'PropertySpec', type: 'VirtualMachine', pathSet: ['name', 'datastore'] }],
      },
    ],
    options: {},
  });
  const { status, body: text } = await send('POST', '/PropertyCollector/propertyCollector/RetrievePropertiesEx', body);
  assert.equal(status, 200, text);
  assert.deepEqual(JSON.parse(text).objects[0].propSet, [
    { _typeName: 'DynamicProperty', name: 'name', val: { _typeName: 'string', _value: 'machine-1' } },
    {
      _typeName: 'DynamicProperty',
      name: 'datastore',
      val: {
        _typeName: 'ArrayOfManagedObjectReference',
        _value: [{ _typeName: 'ManagedObjectReference', type: 'Datastore', value: 'datastore-7' }],
      },
    },
  ]);
});

test('refusals have the status of their kind and the fault as their body', async () => {
  const { endpoint, send } = await signedIn();
  const retrieve = '/PropertyCollector/propertyCollector/RetrieveProperties';
  for (const [method, path, body, status, type] of [
    ['POST', '/SessionManager/SessionManager/Login', '{"userName":"root","password":"no"}', 500, 'InvalidLogin'],
    ['GET', '/VirtualMachine/vm-77/name', '', 404, 'ManagedObjectNotFound'],
    ['GET', '/NoSuchType/vm-1/name', '', 404, 'InvalidRequest'],
    ['GET', '/VirtualMachine/vm-1/nonsense', '', 404, 'InvalidRequest'],
    ['PUT', '/VirtualMachine/vm-1/name', '', 400, 'InvalidRequest'],
    ['POST', '/VirtualMachine/vm-1/name', '', 400, 'InvalidRequest'],
    ['POST', retrieve, '{', 400, 'InvalidRequest'],
    ['POST', retrieve, '[]', 400, 'InvalidType'],
    ['POST', retrieve, '{"specSet":{}}', 400, 'InvalidType'],
    ['POST', retrieve, '{"specSet":[{"objectSet":[{}],"propSet":[]}]}', 400, 'InvalidRequest'],
    ['POST', retrieve, '{"specSet":[{"objectSet":[],"propSet":[],"__proto__":1}]}', 400, 'InvalidRequest'],
    ['POST', retrieve, '{"specSet":[{"_typeName":"VirtualDisk"}]}', 400, 'InvalidType'],
    ['POST', '/VirtualMachine/vm-1/PowerOnVM_Task', '{}', 500, 'NotSupported'],
  ] as const) {
    const answer = await send(method, path, body);
    assert.equal(answer.status, status, `${method} ${path} ${body}: ${answer.body}`);
    const fault = JSON.parse(answer.body);
    assert.equal(fault._typeName, type);
    assert.ok(fault.msg.length > 0);
  }
  const stranger = await exchange(endpoint, { method: 'GET', url: `${base}/VirtualMachine/vm-1/name` });
  assert.equal(stranger.status, 401);
  const large = await send('POST', retrieve, ' '.repeat(3_000_000));
  assert.equal(large.status, 400);
});

test('whatever the JSON, the answer comes at once and is a fault at worst', async () => {
  const { center, send } = await signedIn();
  const path = '/PropertyCollector/propertyCollector/RetrieveProperties';
  const member = fc.constantFrom('specSet', 'objectSet', 'obj', 'propSet', 'type', '_typeName', '_value', '__proto__');
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 6 },
      fc.constantFrom(1, 'VirtualMachine', null, true, 1e300),
      tie('object'),
      tie('list'),
    ),
    object: fc.dictionary(member, tie('tree'), { maxKeys: 4, noNullPrototype: true }),
    list: fc.array(tie('tree'), { maxLength: 3 }),
  }));
  const bytes = fc.uint8Array({ maxLength: 200 });
  const deep = fc.nat(100_000).map((depth) => Buffer.from(`{"specSet":${'['.repeat(depth)}`));
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        tree.map((value) => Buffer.from(JSON.stringify(value))),
        bytes,
        deep,
      ),
      async (body) => {
        const { status } = await send('POST', path, body);
        assert.ok([200, 400, 404, 500].includes(status), String(status));
      },
    ),
    { numRuns: 300 },
  );
  assert.deepEqual(center.defects, []);
});
