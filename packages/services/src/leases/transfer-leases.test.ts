import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Authorizer, Dispatcher, fault, loadSchema, Registry, type Session, VimFault } from '@hypostyle/vim';
import { FakeClock } from '../testing/fake-clock.ts';
import { TransferLeases } from './transfer-leases.ts';

const schema = loadSchema();
const target = {
  deviceId: '/web/VirtualLsiLogicController0:0',
  key: '/vm-1/VirtualLsiLogicController0:0',
  fileName: 'disk-0.vmdk',
  disk: true,
  capacityBytes: 1_048_576,
  async receive(body: AsyncIterable<Uint8Array>) {
    for await (const piece of body) void piece;
  },
};
const entity = { type: 'VirtualMachine', value: 'vm-1' };
const never = new AbortController().signal;

function fixture() {
  const registry = new Registry(schema);
  const clock = new FakeClock();
  const leases = new TransferLeases({ registry, clock, sslThumbprint: 'AB:CD' });
  return { registry, clock, leases };
}

test('a ready lease says where to upload what', () => {
  const { registry, leases } = fixture();
  const { ref, path } = leases.open({ entity, targets: [target], onComplete: async () => {}, onAbort: async () => {} });
  assert.match(path, /^\/nfc\/[0-9a-f]{32}$/);
  assert.equal(registry.read(ref, 'state'), 'ready');
  const info = registry.read(ref, 'info');
  assert.deepEqual(info?.lease, ref);
  assert.equal(info?.leaseTimeout, 300);
  assert.equal(info?.totalDiskCapacityInKB, 1024);
  assert.deepEqual(info?.deviceUrl, [
    {
      _typeName: 'HttpNfcLeaseDeviceUrl',
      key: target.key,
      importKey: target.deviceId,
      url: `https://*${path}/disk-0.vmdk`,
      sslThumbprint: 'AB:CD',
      disk: true,
    },
  ]);
  const id = path.slice('/nfc/'.length);
  assert.ok(leases.target(id, 'disk-0.vmdk'));
  assert.equal(leases.target(id, 'disk-1.vmdk'), undefined);
  assert.equal(leases.target('0'.repeat(32), 'disk-0.vmdk'), undefined);
});

test('preparing shows as initializing, and its failure as the error', async () => {
  const { registry, leases } = fixture();
  const aborted: string[] = [];
  const owner = { onComplete: async () => {}, onAbort: async () => void aborted.push('abort') };
  const ready = leases.open({ ...owner, prepare: async () => ({ entity, targets: [] }) });
  assert.equal(registry.read(ready.ref, 'state'), 'initializing');
  await new Promise(setImmediate);
  assert.equal(registry.read(ready.ref, 'state'), 'ready');
  const failing = leases.open({
    ...owner,
    prepare: async () => {
      throw fault('NoDiskSpace', { file: '[ds] web', datastore: 'ds' }, 'full');
    },
  });
  await failing.ended;
  assert.equal(registry.read(failing.ref, 'state'), 'error');
  assert.equal(registry.read(failing.ref, 'error')?.fault._typeName, 'NoDiskSpace');
  assert.deepEqual(aborted, ['abort']);
});

test('its methods work through the dispatcher, and an ended lease is forgotten later', async () => {
  const { registry, clock, leases } = fixture();
  const calls: string[] = [];
  const { ref, path } = leases.open({
    entity,
    targets: [target],
    onProgress: (percent) => void calls.push(`progress ${percent}`),
    onComplete: async () => void calls.push('complete'),
    onAbort: async ({ type }) => void calls.push(`abort ${type}`),
  });
  const object = registry.get(ref);
  assert.ok(object);
  const call = async (name: string, args: Record<string, unknown> = {}) => {
    const method = object.managedType.methods.get(name);
    assert.ok(method, name);
    const run = (object.class.methods as Record<string, (call: object, args: object) => unknown>)[name];
    assert.ok(run, name);
    return run({ self: object, method }, args);
  };
  await call('HttpNfcLeaseProgress', { percent: 40 });
  assert.equal(registry.read(ref, 'transferProgress'), 40);
  await assert.rejects(
    call('HttpNfcLeasePullFromUrls_Task'),
    (error) => error instanceof VimFault && error.type === 'NotSupported',
  );
  const lease = leases.target(path.slice(5), 'disk-0.vmdk');
  await lease?.receive('disk-0.vmdk', (async function* () {})(), { signal: never });
  await call('HttpNfcLeaseComplete');
  assert.equal(registry.read(ref, 'state'), 'done');
  assert.deepEqual(calls, ['progress 40', 'complete']);
  clock.advance(600_000);
  assert.equal(registry.get(ref), undefined);
  assert.equal(leases.target(path.slice(5), 'disk-0.vmdk'), undefined);
  assert.equal(clock.timers, 0);
});

test('a client aborts with its own fault', async () => {
  const { registry, leases } = fixture();
  const { ref } = leases.open({ entity, targets: [target], onComplete: async () => {}, onAbort: async () => {} });
  const authorizer: Authorizer = { holds: () => true };
  const dispatcher = new Dispatcher({ registry, authorizer });
  const method = registry.get(ref)?.managedType.methods.get('HttpNfcLeaseAbort');
  assert.ok(method);
  const invocation = {
    self: ref,
    // Its privilege is not this test's business.
    method: { ...method, privilege: 'System.Anonymous' },
    args: { fault: { fault: { _typeName: 'Timedout' }, localizedMessage: 'too slow' } },
    session: undefined as Session | undefined,
    version: '8.0.3.0',
    signal: never,
    connection: { clientAddress: '127.0.0.1', userAgent: '', establish: () => {}, release: () => {} },
  };
  await dispatcher.invoke(invocation);
  assert.equal(registry.read(ref, 'state'), 'error');
  assert.equal(registry.read(ref, 'error')?.localizedMessage, 'too slow');
});

test('closing aborts what is open', async () => {
  const { leases, clock } = fixture();
  const aborted: string[] = [];
  leases.open({
    entity,
    targets: [target],
    onComplete: async () => {},
    onAbort: async () => void aborted.push('abort'),
  });
  await leases.close();
  assert.deepEqual(aborted, ['abort']);
  assert.equal(clock.timers, 0);
});
