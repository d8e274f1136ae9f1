import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';
import { Daemon } from './harness/daemon.ts';
import { createGuest, eventually, type Machine, signedIn } from './harness/guest-machine.ts';

// What a client without a library sees: fetch and WebSocket of the platform, JSON written by hand. The certificate is
// checked by the host's own authority, as `--cacert` would.
let daemon: Daemon;
let guest: Machine;
let session = '';

const base = '/sdk/vim25/8.0.3.0';

before(async () => {
  daemon = await Daemon.start();
  const authority = await readFile(join(daemon.home, 'tls', 'ca.crt'), 'utf8');
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), authority]);
  const client = await signedIn(daemon);
  guest = await createGuest(client, daemon, { name: 'alpha', controller: 'scsi' });
  await client[Symbol.asyncDispose]();
});

after(() => daemon?.remove());

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: what a client without a library has
  readonly body: any;
}

async function call(path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const answer = await fetch(`${daemon.url}${base}/${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      ...(session === '' ? {} : { 'vmware-api-session-id': session }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, body: text === '' ? undefined : JSON.parse(text) };
}

async function succeeded(task: { readonly value: string }): Promise<unknown> {
  for (;;) {
    const { body } = await call(`Task/${task.value}/info`);
    if (body.state === 'success') return body.result;
    assert.notEqual(body.state, 'error', JSON.stringify(body.error));
    await sleep(50);
  }
}

test('anybody may ask what is served, and nothing else', async () => {
  const versions = await (await fetch(`${daemon.url}/sdk/vimServiceVersions.xml`)).text();
  assert.match(versions, /<name>urn:vim25<\/name>\s*<version>8\.0\.3\.0<\/version>/);
  const health = (await (await fetch(`${daemon.url}/healthz`)).json()) as Record<string, unknown>;
  assert.equal(health.ok, true);
  assert.deepEqual(health.machines, { registered: 1, running: 0 });
  const content = await call('ServiceInstance/ServiceInstance/content');
  assert.equal(content.status, 200);
  assert.equal(content.body.about.apiVersion, '8.0.3.0');
  assert.equal(content.body.about.apiType, 'HostAgent');
  const refused = await call(`VirtualMachine/${guest.value}/runtime`);
  assert.ok(refused.status >= 400);
  assert.equal(refused.body._typeName, 'NotAuthenticated');
});

test('a wrong password is a fault, the right one a session', async () => {
  const wrong = await call('SessionManager/ha-sessionmgr/Login', { userName: 'root', password: randomUUID() });
  assert.ok(wrong.status >= 400);
  assert.equal(wrong.body._typeName, 'InvalidLogin');
  assert.equal(wrong.headers.get('vmware-api-session-id'), null);
  const right = await call('SessionManager/ha-sessionmgr/Login', {
    userName: daemon.username,
    password: daemon.password,
  });
  assert.equal(right.status, 200);
  assert.equal(right.body._typeName, 'UserSession');
  assert.equal(right.body.userName, daemon.username);
  session = right.headers.get('vmware-api-session-id') ?? '';
  assert.notEqual(session, '');
});

test('properties are read by GET', async () => {
  const { body: runtime } = await call(`VirtualMachine/${guest.value}/runtime`);
  assert.equal(runtime._typeName, 'VirtualMachineRuntimeInfo');
  assert.equal(runtime.powerState, 'poweredOff');
  const { body: config } = await call(`VirtualMachine/${guest.value}/config`);
  assert.equal(config.name, 'alpha');
  assert.equal(config.hardware.memoryMB, 192);
  const { body: machines } = await call('Folder/ha-folder-vm/childEntity');
  assert.deepEqual(machines, [{ _typeName: 'ManagedObjectReference', type: 'VirtualMachine', value: guest.value }]);
  const unknown = await call(`VirtualMachine/${guest.value}/nothing`);
  assert.ok(unknown.status >= 400 && unknown.status < 500);
});

test('RetrievePropertiesEx answers what is asked', async () => {
  const { status, body } = await call('PropertyCollector/ha-property-collector/RetrievePropertiesEx', {
    specSet: [
      {
        _typeName: 'PropertyFilterSpec',
        propSet: [{ _typeName: 'PropertySpec', type: 'VirtualMachine', pathSet: ['name', 'runtime.powerState'] }],
        objectSet: [
          {
            _typeName: 'ObjectSpec',
            obj: { _typeName: 'ManagedObjectReference', type: 'VirtualMachine', value: guest.value },
          },
        ],
      },
    ],
    options: { _typeName: 'RetrieveOptions' },
  });
  assert.equal(status, 200, JSON.stringify(body));
  assert.equal(body._typeName, 'RetrieveResult');
  const values = Object.fromEntries(
    body.objects[0].propSet.map((property: { name: string; val: { _value?: unknown } }) => [
      property.name,
      property.val?._value ?? property.val,
    ]),
  );
  assert.deepEqual(values, { name: 'alpha', 'runtime.powerState': 'poweredOff' });
});

test('a task is started, polled, and its faults have their type', async () => {
  const { status, body: task } = await call(`VirtualMachine/${guest.value}/PowerOnVM_Task`, {});
  assert.equal(status, 200, JSON.stringify(task));
  assert.equal(task.type, 'Task');
  await succeeded(task);
  assert.equal((await call(`VirtualMachine/${guest.value}/runtime`)).body.powerState, 'poweredOn');
  assert.equal((await daemon.engines()).length, 1);

  const again = await call(`VirtualMachine/${guest.value}/PowerOnVM_Task`, {});
  assert.ok(again.status >= 400);
  assert.equal(again.body._typeName, 'InvalidPowerState');
  assert.equal(again.body.existingState, 'poweredOn');
  const gone = await call('VirtualMachine/no-such-machine/PowerOnVM_Task', {});
  assert.ok(gone.status >= 400);
  assert.equal(gone.body._typeName, 'ManagedObjectNotFound');
  assert.equal(gone.body.obj.value, 'no-such-machine');
  for (const bad of ['{"host": 17', '[]', '{"host": "text"}']) {
    const answer = await fetch(`${daemon.url}${base}/VirtualMachine/${guest.value}/PowerOnVM_Task`, {
      method: 'POST',
      headers: { 'vmware-api-session-id': session, 'content-type': 'application/json' },
      body: bad,
    });
    assert.ok(answer.status >= 400 && answer.status < 600, bad);
    assert.match(String(((await answer.json()) as { _typeName?: string })._typeName), /^[A-Z]\w+$/);
  }
});

async function ticket(ticketType: 'webmks' | 'serial'): Promise<WebSocket> {
  const { status, body } = await call(`VirtualMachine/${guest.value}/AcquireTicket`, { ticketType });
  assert.equal(status, 200, JSON.stringify(body));
  const url = String(body.url)
    .replace('*', `${daemon.host}:${daemon.port}`)
    .replace(/(:\d+):\d+/, '$1');
  const viewer = new WebSocket(url, ['binary']);
  viewer.binaryType = 'arraybuffer';
  return viewer;
}

/** What a console says, until a pattern is in it. */
function heard(viewer: WebSocket, pattern: RegExp, limitMs = 60_000): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const timer = setTimeout(() => reject(new Error(`no ${pattern} from the console; it said: ${text}`)), limitMs);
    viewer.addEventListener('message', ({ data }) => {
      text += Buffer.from(data as ArrayBuffer).toString('latin1');
      if (!pattern.test(text)) return;
      clearTimeout(timer);
      resolve(text);
    });
    viewer.addEventListener('close', ({ code }) => {
      clearTimeout(timer);
      reject(new Error(`the console was closed with ${code}; it said: ${text}`));
    });
  });
}

test('a ticket opens the serial console over a WebSocket, once', async () => {
  const viewer = await ticket('serial');
  let stop = false;
  const answered = heard(viewer, /typed-42/, 90_000).finally(() => {
    stop = true;
  });
  await new Promise((resolve) => viewer.addEventListener('open', resolve));
  assert.equal(viewer.protocol, 'binary');
  // The guest may still be starting; it answers once it is up.
  while (!stop) {
    viewer.send('t1 echo typed-$((6 * 7))\n');
    await Promise.race([answered.catch(() => {}), sleep(1000)]);
  }
  await answered;
  viewer.close();
  const second = new WebSocket(viewer.url, ['binary']);
  const refused = await new Promise((resolve) => {
    second.addEventListener('open', () => resolve(false));
    second.addEventListener('error', () => resolve(true));
  });
  assert.equal(refused, true, 'a ticket is good once');
});

test('a ticket opens the screen as RFB', async () => {
  const viewer = await ticket('webmks');
  assert.match(await heard(viewer, /\n/), /^RFB 003\.008\n/);
  viewer.send('RFB 003.008\n');
  // One security type, and it is "none": the ticket was the sign-in.
  assert.match(await heard(viewer, /../s), /^\x01\x01/);
  viewer.close();
});

const folder = (path: string) => `${daemon.url}/folder/${path}?dcPath=ha-datacenter&dsName=datastore1`;
const basic = () => `Basic ${Buffer.from(`${daemon.username}:${daemon.password}`).toString('base64')}`;

test('/folder wants a sign-in, by Basic or by the cookie that it gives', async () => {
  const url = folder('alpha/alpha.vmx');
  const anybody = await fetch(url);
  assert.equal(anybody.status, 401);
  assert.match(anybody.headers.get('www-authenticate') ?? '', /^Basic realm=/);
  const wrong = await fetch(url, { headers: { authorization: `Basic ${btoa('root:wrong')}` } });
  assert.equal(wrong.status, 401);
  const first = await fetch(url, { headers: { authorization: basic() } });
  assert.equal(first.status, 200);
  const vmx = await first.text();
  assert.equal(vmx, await readFile(join(daemon.datastore, 'alpha/alpha.vmx'), 'utf8'));
  const cookie = (first.headers.get('set-cookie') ?? '').split(';', 1)[0] ?? '';
  assert.match(cookie, /^vmware_soap_session=/);
  const second = await fetch(url, { headers: { cookie } });
  assert.equal(second.status, 200);
  assert.equal(await second.text(), vmx);
  assert.equal((await fetch(folder('alpha/none.vmx'), { headers: { cookie } })).status, 404);
});

test('files come and go through /folder, whole and in ranges', async () => {
  const headers = { authorization: basic() };
  const url = folder('images-alpha/note.bin');
  const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, index) => (index * 7) % 251));
  const put = await fetch(url, { method: 'PUT', headers, body: bytes });
  assert.ok(put.status === 200 || put.status === 201, String(put.status));
  const head = await fetch(url, { method: 'HEAD', headers });
  assert.equal(head.headers.get('content-length'), '100000');
  assert.equal(head.headers.get('accept-ranges'), 'bytes');
  const part = await fetch(url, { headers: { ...headers, range: 'bytes=500-1499' } });
  assert.equal(part.status, 206);
  assert.equal(part.headers.get('content-range'), 'bytes 500-1499/100000');
  assert.deepEqual(Buffer.from(await part.arrayBuffer()), bytes.subarray(500, 1500));
  const beyond = await fetch(url, { headers: { ...headers, range: 'bytes=200000-' } });
  assert.equal(beyond.status, 416);
  const removed = await fetch(url, { method: 'DELETE', headers });
  assert.ok(removed.ok, String(removed.status));
  assert.equal((await fetch(url, { headers })).status, 404);
});

test('the flat view of a disk has its capacity and its bytes', async () => {
  const { body: task } = await call(`VirtualMachine/${guest.value}/PowerOffVM_Task`, {});
  await succeeded(task);
  await eventually(async () => (await daemon.engines()).length === 0, 'the machine is off');
  const headers = { authorization: basic() };
  const url = folder('images-alpha/boot-flat.vmdk');
  const head = await fetch(url, { method: 'HEAD', headers });
  assert.equal(head.status, 200);
  assert.equal(head.headers.get('content-length'), String(64 * 2 ** 20));
  const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
  const served = Buffer.from(await (await fetch(url, { headers })).arrayBuffer());
  assert.equal(digest(served), digest(await readFile(join(daemon.datastore, 'images-alpha/boot-flat.vmdk'))));
  const sector = await fetch(url, { headers: { ...headers, range: 'bytes=0-511' } });
  assert.deepEqual(Buffer.from(await sector.arrayBuffer()), served.subarray(0, 512));
  assert.equal(served.readUInt16LE(510), 0xaa55, 'the boot sector is there');
});

test('after Logout the session is good for nothing', async () => {
  assert.ok((await call('SessionManager/ha-sessionmgr/Logout', {})).status < 300);
  const answer = await call(`VirtualMachine/${guest.value}/runtime`);
  assert.ok(answer.status >= 400);
  assert.equal(answer.body._typeName, 'NotAuthenticated');
});
