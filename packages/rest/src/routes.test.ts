import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { FormatRegistry } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import fc from 'fast-check';
import type { Route } from './edge/router.ts';
import { HttpClient } from './testing/http-client.ts';
import { SmallCenter } from './testing/small-center.ts';

FormatRegistry.Set('date-time', (text) => !Number.isNaN(Date.parse(text)));

let center: SmallCenter;
let http: HttpClient;
const tokens: Record<string, string> = {};

before(async () => {
  center = new SmallCenter();
  http = await HttpClient.open(center.face);
  for (const user of ['root', 'reader', 'nobody']) tokens[user] = await center.token(user);
});
after(async () => {
  await http[Symbol.asyncDispose]();
  await center.close();
});

/** Objects of the small center by the name of a path's parameter. */
const ids: Readonly<Record<string, string>> = {
  vm: 'vm-2',
  host: 'host-1',
  cluster: 'domain-c1',
  datacenter: 'datacenter-1',
  datastore: 'datastore-1',
  resource_pool: 'resgroup-3',
  disk: '2000',
  nic: '4000',
  cdrom: '16000',
  floppy: '8000',
  port: '9000',
  pid: '812',
  name: 'HOME',
};
const adapters: Readonly<Record<string, string>> = { scsi: '1000', sata: '15000', nvme: '31000' };
const unknown = 'urn:vmomi:InventoryServiceTag:00000000-0000-4000-8000-000000000000:GLOBAL';
const object = { id: 'vm-2', type: 'VirtualMachine' };

const credentials = { interactive_session: false, type: 'USERNAME_PASSWORD', user_name: 'ann', password: 'x' };
const inGuest = { credentials, path: '/tmp/x' };

const guest = {
  configuration_spec: { linux_config: { hostname: { type: 'VIRTUAL_MACHINE' }, domain: 'example.com' } },
};

/** What each operation is sent, where it wants a body. */
const bodies: Readonly<Record<string, unknown>> = {
  'vcenter.datacenter.create': { name: 'dc9', folder: 'group-d1' },
  'vcenter.host.create': {
    hostname: 'host9.example',
    user_name: 'root',
    password: 'x',
    folder: 'group-h1',
    thumbprint_verification: 'NONE',
  },
  'vcenter.resource-pool.create': { name: 'new', parent: 'resgroup-1' },
  'vcenter.resource-pool.update': { name: 'renamed' },
  'vcenter.vm.create': {
    guest_OS: 'DEBIAN_12_64',
    placement: { folder: 'group-v1', cluster: 'domain-c1', datastore: 'datastore-1' },
  },
  'vcenter.vm.register': {
    datastore_path: '[datastore1] a/a.vmx',
    placement: { folder: 'group-v1', cluster: 'domain-c1' },
  },
  'vcenter.vm.clone': { source: 'vm-1', name: 'copy' },
  'vcenter.vm.instant-clone': { source: 'vm-1', name: 'twin' },
  'vcenter.vm.relocate': { placement: { datastore: 'datastore-1' } },
  'vcenter.guest.customization-specs.create': { name: 'web', description: '', spec: guest },
  'vcenter.guest.customization-specs.set': { spec: guest },
  'vcenter.guest.customization-specs.export': { format: 'XML' },
  'vcenter.guest.customization-specs.import_specification': { customization_spec: '{}' },
  'vcenter.vm.guest.customization.set': { spec: guest },
  'vcenter.vm.hardware.update': { upgrade_policy: 'NEVER' },
  'vcenter.vm.hardware.cpu.update': { count: 4 },
  'vcenter.vm.hardware.memory.update': { size_MiB: 2_048 },
  'vcenter.vm.hardware.boot.update': { delay: 100 },
  'vcenter.vm.hardware.boot.device.set': [{ type: 'DISK', disks: ['2000'] }],
  'vcenter.vm.hardware.disk.create': { new_vmdk: { capacity: 1_048_576 } },
  'vcenter.vm.hardware.disk.update': { backing: { type: 'VMDK_FILE', vmdk_file: '[datastore1] b.vmdk' } },
  'vcenter.vm.hardware.ethernet.create': { backing: { type: 'STANDARD_PORTGROUP', network: 'network-1' } },
  'vcenter.vm.hardware.ethernet.update': { start_connected: false },
  'vcenter.vm.hardware.cdrom.create': { backing: { type: 'CLIENT_DEVICE' } },
  'vcenter.vm.hardware.cdrom.update': { start_connected: false },
  'vcenter.vm.hardware.floppy.create': {},
  'vcenter.vm.hardware.floppy.update': { start_connected: false },
  'vcenter.vm.hardware.parallel.update': { start_connected: false },
  'vcenter.vm.hardware.parallel.create': { backing: { type: 'FILE', file: '[datastore1] p.out' } },
  'vcenter.vm.hardware.serial.update': { yield_on_poll: true },
  'vcenter.vm.hardware.serial.create': { backing: { type: 'FILE', file: '[datastore1] s.log' } },
  'vcenter.vm.hardware.adapter.scsi.create': {},
  'vcenter.vm.hardware.adapter.scsi.update': { sharing: 'VIRTUAL' },
  'vcenter.vm.hardware.adapter.sata.create': {},
  'vcenter.vm.hardware.adapter.nvme.create': {},
  'vcenter.vm.console.tickets.create': { type: 'WEBMKS' },
  'vcenter.vm.guest.processes.create': { credentials, spec: { path: '/bin/true' } },
  'vcenter.vm.guest.processes.list': { credentials },
  'vcenter.vm.guest.processes.get': { credentials },
  'vcenter.vm.guest.processes.delete': { credentials },
  'vcenter.vm.guest.environment.list': { credentials },
  'vcenter.vm.guest.environment.get': { credentials },
  'vcenter.vm.guest.filesystem.directories.create': inGuest,
  'vcenter.vm.guest.filesystem.directories.createTemporary': { credentials, prefix: '', suffix: '' },
  'vcenter.vm.guest.filesystem.directories.delete': inGuest,
  'vcenter.vm.guest.filesystem.directories.move': { ...inGuest, new_path: '/tmp/y' },
  'vcenter.vm.guest.filesystem.files.createTemporary': { credentials, prefix: '', suffix: '' },
  'vcenter.vm.guest.filesystem.files.delete': inGuest,
  'vcenter.vm.guest.filesystem.files.move': { ...inGuest, new_path: '/tmp/y' },
  'vcenter.vm.guest.filesystem.files.update': { ...inGuest, file_attributes: {} },
  'vcenter.vm.guest.filesystem.files.list': inGuest,
  'vcenter.vm.guest.filesystem.transfers.create': { credentials, spec: { path: '/tmp/x' } },
  'vcenter.vm.tools.update': { upgrade_policy: 'MANUAL' },
  'cis.tagging.category.create': { name: 'c', description: '', cardinality: 'SINGLE', associable_types: [] },
  'cis.tagging.category.update': { description: 'x' },
  'cis.tagging.category.list-used-categories': { used_by_entity: 'x' },
  'cis.tagging.category.add-to-used-by': { used_by_entity: 'x' },
  'cis.tagging.category.remove-from-used-by': { used_by_entity: 'x' },
  'cis.tagging.tag.create': { name: 't', description: '', category_id: unknown },
  'cis.tagging.tag.update': { description: 'x' },
  'cis.tagging.tag.list-tags-for-category': { category_id: unknown },
  'cis.tagging.tag.list-used-tags': { used_by_entity: 'x' },
  'cis.tagging.tag.add-to-used-by': { used_by_entity: 'x' },
  'cis.tagging.tag.remove-from-used-by': { used_by_entity: 'x' },
  'cis.tagging.tag-association.attach': { object_id: object },
  'cis.tagging.tag-association.detach': { object_id: object },
  'cis.tagging.tag-association.list-attached-tags': { object_id: object },
  'cis.tagging.tag-association.list-attached-tags-on-objects': { object_ids: [object] },
  'cis.tagging.tag-association.list-attached-objects-on-tags': { tag_ids: [unknown] },
  'cis.tagging.tag-association.list-attachable-tags': { object_id: object },
  'cis.tagging.tag-association.attach-multiple-tags-to-object': { object_id: object, tag_ids: [unknown] },
  'cis.tagging.tag-association.detach-multiple-tags-from-object': { object_id: object, tag_ids: [unknown] },
  'cis.tagging.tag-association.attach-tag-to-multiple-objects': { object_ids: [object] },
  'cis.tagging.tag-association.detach-tag-from-multiple-objects': { object_ids: [object] },
};

/** Operations that tell nobody anything that a right could keep from them. */
const harmless = new Set([
  'cis.session.create',
  'cis.session.get',
  'cis.session.get-by-action',
  'cis.session.delete',
  'vcenter.storage.policies.list',
  'appliance.system.version.get',
  'openapi.get',
]);

function urlOf({ path, action, operation, style }: Route): string {
  const ofPort = operation.id.includes('.parallel.') ? { port: '10000' } : {};
  const ofName = operation.id.includes('.customization-specs.') ? { name: 'linux' } : {};
  const devices: typeof ids = { ...ids, ...ofPort, ...ofName };
  const adapter = /\.adapter\.([a-z]+)\./.exec(operation.id)?.[1] ?? '';
  const place = path.replace(/\{([a-z_]+)\}/g, (_all, name: string) =>
    encodeURIComponent(name === 'adapter' ? (adapters[adapter] ?? '') : (devices[name] ?? unknown)),
  );
  const name = style === 'rest' && operation.rest?.action !== undefined ? '~action' : 'action';
  return action === undefined ? place : `${place}?${name}=${action}`;
}

function bodyOf({ operation, wrap }: Route): unknown {
  const body = bodies[operation.id];
  return wrap === null || body === undefined ? body : { [wrap]: body };
}

function send(route: Route, token?: string) {
  const body = bodyOf(route);
  return http.send(route.method, urlOf(route), {
    ...(token === undefined ? {} : { token }),
    ...(body === undefined ? {} : { body }),
  });
}

function errorOf({ style }: Route, json: Record<string, unknown>): unknown {
  if (style === 'api') {
    assert.ok(Array.isArray(json.messages));
    return json.error_type;
  }
  const value = json.value as { error_type: string; messages: unknown[] };
  assert.equal(json.type, `com.vmware.vapi.std.errors.${value.error_type.toLowerCase()}`);
  assert.ok(value.messages.length > 0);
  return value.error_type;
}

test('every operation has a body where it wants one', () => {
  for (const { operation } of center.face.routes) {
    const wants = operation.body !== undefined && operation.bodyOptional !== true;
    assert.equal(operation.id in bodies, wants, operation.id);
  }
});

test('no route answers who is not signed in', async () => {
  for (const route of center.face.routes) {
    if (route.operation.open === true && route.operation.id !== 'cis.session.create') continue;
    for (const token of [undefined, 'no-such-token']) {
      const answer = await send(route, token);
      assert.equal(answer.status, 401, `${route.method} ${urlOf(route)}`);
      assert.equal(errorOf(route, answer.json), 'UNAUTHENTICATED');
    }
  }
});

test('every route keeps what it tells and does from who has no right', async () => {
  for (const route of center.face.routes) {
    const { operation } = route;
    if (harmless.has(operation.id)) continue;
    const answer = await send(route, tokens.nobody);
    const where = `${route.method} ${urlOf(route)} ${answer.text}`;
    if (answer.status === 200) assert.deepEqual(route.style === 'api' ? answer.json : answer.json.value, [], where);
    else {
      assert.equal(answer.status, 403, where);
      assert.equal(errorOf(route, answer.json), 'UNAUTHORIZED');
    }
  }
});

test('every route that changes something refuses who may only read', async () => {
  const version = center.registry.version;
  for (const route of center.face.routes) {
    const { operation, method } = route;
    const reads = method === 'GET' || /\.list-/.test(operation.id) || harmless.has(operation.id);
    if (reads) continue;
    const answer = await send(route, tokens.reader);
    const where = `${route.method} ${urlOf(route)} ${answer.text}`;
    // A tag that is not there is told before the right to attach it; the batch says so of each.
    if (/-multiple-objects$/.test(operation.id)) assert.equal(answer.status, 404, where);
    else {
      assert.equal(answer.status, 403, where);
      assert.equal(errorOf(route, answer.json), 'UNAUTHORIZED');
    }
  }
  assert.equal(center.registry.version, version, 'something was changed');
  assert.deepEqual(center.calls, []);
});

test('every route has an answer for who may read, of the shape that it declares', async () => {
  for (const route of center.face.routes) {
    if (route.method !== 'GET') continue;
    const answer = await send(route, tokens.reader);
    const { id } = route.operation;
    const where = `${urlOf(route)} ${answer.text}`;
    // The tag is none; the tools do not run in the machine.
    if (id.endsWith('.category.get') || id.endsWith('.tag.get')) assert.equal(answer.status, 404, where);
    // What guests are told has a right of its own.
    else if (id === 'vcenter.guest.customization-specs.get') assert.equal(answer.status, 403, where);
    else if (/guest\.(identity|networking|local)/.test(id)) assert.equal(answer.status, 503, where);
    else {
      assert.equal(answer.status, 200, where);
      const { answer: schema } = route.operation;
      const value = route.style === 'api' ? answer.json : answer.json.value;
      if (schema === undefined || (route.style === 'rest' && id === 'vcenter.vm.get')) continue;
      if (route.style === 'rest' && id.startsWith('vcenter.vm.storage.policy.')) continue;
      assert.deepEqual(
        [...Value.Errors(schema, value)].map(({ path, message }) => `${path} ${message}`),
        [],
        where,
      );
    }
  }
});

test('a member of another name, and a value of another type, are refused by every route', async () => {
  for (const route of center.face.routes) {
    const { body: schema, bodyOptional } = route.operation;
    if (schema === undefined || bodyOptional === true) continue;
    for (const body of [{ ...(bodyOf(route) as object), no_such_member: 1 }, 7, '"x"', 'null']) {
      const answer = await http.send(route.method, urlOf(route), { token: tokens.root as string, body });
      assert.equal(answer.status, 400, `${urlOf(route)} ${answer.text}`);
      assert.ok(['UNEXPECTED_INPUT', 'INVALID_ARGUMENT'].includes(String(errorOf(route, answer.json))));
    }
  }
});

test('any JSON, and any text, is answered with a typed error or success, never by an error of ours', async () => {
  const routes = center.face.routes.filter(({ operation }) => operation.body !== undefined && operation.open !== true);
  const part = fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.constantFrom<unknown>(...Object.values(bodies)));
  const anyBody = fc.oneof(
    part.map((value) => JSON.stringify(value)),
    part.map((value) => JSON.stringify({ spec: value })),
    fc.string(),
    fc.constantFrom('['.repeat(100_000), '{"a":'.repeat(1_000), '\u0000', '{"__proto__":{"name":1}}'),
  );
  const user = fc.constantFrom('reader', 'root');
  const pick = fc.record({ route: fc.constantFrom(...routes), body: anyBody, user });
  await fc.assert(
    fc.asyncProperty(pick, async ({ route, body, user }) => {
      const answer = await http.send(route.method, urlOf(route), { token: tokens[user] as string, body });
      assert.notEqual(answer.status, 500, `${urlOf(route)} ${body.slice(0, 200)} ${answer.text}`);
    }),
    { numRuns: 400 },
  );
  assert.deepEqual(center.defects, []);
});

test('any path and query is answered', async () => {
  const word = fc.oneof(
    fc.constantFrom(
      'vcenter',
      'vm',
      'host',
      'cis',
      'tagging',
      'tag',
      'id:',
      '%',
      '%ff',
      '..',
      'filter.names',
      'hardware',
    ),
    fc.webFragments(),
  );
  const url = fc
    .tuple(fc.constantFrom('/rest', '/api', '/pbm'), fc.array(word, { maxLength: 8 }), fc.array(word, { maxLength: 4 }))
    .map(([prefix, segments, query]) => `${[prefix, ...segments].join('/')}?${query.join('&')}`);
  const methods = fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE');
  await fc.assert(
    fc.asyncProperty(methods, url, async (method, path) => {
      const answer = await http.send(method, path, { token: tokens.reader as string });
      assert.ok(answer.status < 500 || path.startsWith('/pbm'), `${method} ${path} ${answer.text}`);
    }),
    { numRuns: 200 },
  );
});

test('an unknown path is not found, in the shape of its style', async () => {
  const newer = await http.send('GET', '/api/vcenter/no-such', { token: tokens.root as string });
  assert.equal(newer.status, 404);
  assert.equal(newer.json.error_type, 'OPERATION_NOT_FOUND');
  const older = await http.send('GET', '/rest/vcenter/no-such', { token: tokens.root as string });
  assert.equal(older.status, 404);
  assert.equal(older.json.type, 'com.vmware.vapi.std.errors.operation_not_found');
});
