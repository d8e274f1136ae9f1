import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { connect } from 'node:tls';
import type { HttpNfcLeaseInfo, ManagedObjectReference } from '@hypostyle/vim';
import { run } from '../packages/cli/src/run.ts';
import { memoryContext } from '../packages/cli/src/testing/memory-terminal.ts';
import { type Center, centerOf } from './harness/center.ts';
import { runAtCenter } from './harness/center-scripts.ts';
import { Daemon } from './harness/daemon.ts';
import { signedIn } from './harness/guest-machine.ts';
import { streamDisk } from './harness/package-files.ts';

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

// The host is another process; all that is asked goes to the center alone.
describe('files of every host at the center', () => {
  let daemon: Daemon;
  let host: Daemon;
  let center: Center;
  const agent = new Agent({ rejectUnauthorized: false });

  before(async () => {
    [daemon, host] = await Promise.all([Daemon.start({ mode: 'center' }), Daemon.start()]);
    center = await centerOf(daemon);
    const [datacenter] = await center.all('Datacenter');
    assert.ok(datacenter);
    const folder = await center.property<ManagedObjectReference<'Folder'>>(datacenter, 'hostFolder');
    const spec = {
      hostName: host.host,
      port: host.port,
      userName: host.username,
      password: host.password,
      sslThumbprint: await thumbprintOf(host),
      force: false,
    };
    const task = await center.client.call(folder, 'AddStandaloneHost_Task', { spec, addConnected: true } as never);
    await center.client.waitForTask(task as ManagedObjectReference<'Task'>);
    for (;;) {
      const names = await Promise.all(
        (await center.all('Datastore')).map((ref) => center.property<string>(ref, 'name')),
      );
      if (names.includes('datastore1 (1)')) break;
    }
  });
  after(async () => {
    agent.destroy();
    await center?.[Symbol.asyncDispose]();
    await daemon?.remove();
    await host?.remove();
  });

  const ask = (
    method: string,
    path: string,
    options: {
      readonly body?: Buffer;
      readonly headers?: Record<string, string>;
      readonly anonymous?: boolean;
      /** That of the center unless told. */
      readonly origin?: string;
    } = {},
  ): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const { headers = {}, body, anonymous = false, origin = daemon.url } = options;
      const basic = Buffer.from(`${daemon.username}:${daemon.password}`).toString('base64');
      const outgoing = request(
        `${origin}${path}`,
        { method, agent, headers: { ...(anonymous ? {} : { authorization: `Basic ${basic}` }), ...headers } },
        (incoming) => {
          const parts: Buffer[] = [];
          incoming.on('data', (part: Buffer) => parts.push(part)).on('error', reject);
          incoming.on('end', () =>
            resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(parts) }),
          );
        },
      );
      outgoing.on('error', reject).end(body);
    });
  const at = (path: string, dsName = 'datastore1 (1)') =>
    `/folder/${path}?${new URLSearchParams({ dcPath: 'Datacenter', dsName })}`;

  it('takes a file for another host, and gives it back whole and in parts', async () => {
    const bytes = randomBytes(24 << 20);
    assert.equal((await ask('PUT', at('box/a.iso'), { body: bytes })).status, 201);
    const kept = await ask('PUT', at('box/a.iso'), { body: bytes, headers: { overwrite: 'F' } });
    assert.equal(kept.status, 409, 'the host refuses before it has all');
    assert.ok(bytes.equals(await readFile(join(host.datastore, 'box', 'a.iso'))));
    const whole = await ask('GET', at('box/a.iso'));
    assert.equal(whole.status, 200);
    assert.ok(whole.body.equals(bytes));
    const part = await ask('GET', at('box/a.iso'), { headers: { range: 'bytes=1000000-1000009' } });
    assert.deepEqual([part.status, part.headers['content-range']], [206, `bytes 1000000-1000009/${bytes.length}`]);
    assert.ok(part.body.equals(bytes.subarray(1_000_000, 1_000_010)));
    const head = await ask('HEAD', at('box/a.iso'));
    assert.deepEqual([head.status, head.headers['content-length']], [200, `${bytes.length}`]);
    assert.match((await ask('GET', at('box/'))).body.toString(), /a\.iso/);
    assert.equal((await ask('DELETE', at('box/a.iso'))).status, 204);
    assert.equal((await ask('GET', at('box/a.iso'))).status, 404);
  });

  it('gives files of its own host, and lists the datastores of both', async () => {
    await writeFile(join(daemon.datastore, 'own.txt'), 'mine');
    assert.equal((await ask('GET', at('own.txt', 'datastore1'))).body.toString(), 'mine');
    const page = (await ask('GET', '/folder?dcPath=Datacenter')).body.toString();
    assert.match(page, /datastore1 \(1\)/);
    assert.equal((await ask('GET', at('own.txt', 'nowhere'))).status, 404);
    assert.equal((await ask('GET', '/folder/own.txt?dcPath=Elsewhere&dsName=datastore1')).status, 404);
    assert.equal((await ask('GET', at('own.txt'), { anonymous: true })).status, 401);
  });

  it('imports on another host by addresses of that host', async () => {
    const far = (await center.hosts()).find(({ name }) => name === host.host);
    assert.ok(far);
    const configSpec = {
      _typeName: 'VirtualMachineConfigSpec',
      name: 'web',
      files: { _typeName: 'VirtualMachineFileInfo', vmPathName: '[datastore1 (1)]' },
      deviceChange: [
        {
          operation: 'add',
          device: { _typeName: 'VirtualLsiLogicController', key: -1, busNumber: 0, sharedBus: 'noSharing' },
        },
        {
          operation: 'add',
          fileOperation: 'create',
          device: {
            _typeName: 'VirtualDisk',
            key: -2,
            controllerKey: -1,
            capacityInKB: 1024,
            backing: { _typeName: 'VirtualDiskFlatVer2BackingInfo', fileName: '', diskMode: 'persistent' },
          },
        },
      ],
    };
    const spec = { _typeName: 'VirtualMachineImportSpec', configSpec };
    const lease = (await center.client.call(far.pool, 'ImportVApp', {
      spec,
    } as never)) as ManagedObjectReference<'HttpNfcLease'>;
    while ((await center.property(lease, 'state')) === 'initializing');
    const info = await center.property<HttpNfcLeaseInfo>(lease, 'info');
    const [device] = info.deviceUrl ?? [];
    assert.ok(device?.url.startsWith(`${host.url}/nfc/`), device?.url);
    assert.equal(device?.sslThumbprint, await thumbprintOf(host));
    await center.client.call(lease, 'HttpNfcLeaseComplete', {});
    assert.equal(await center.property(lease, 'state'), 'done');
    assert.deepEqual([...(await center.machines()).keys()], ['web']);
  });

  it('has a second datastore of a host take files, and disks of an import', async () => {
    const path = join(host.home, 'second');
    const system = { type: 'HostDatastoreSystem', value: 'ha-datastoresystem' } as const;
    await using client = await signedIn(host);
    await client.call(system as ManagedObjectReference<'HostDatastoreSystem'>, 'CreateLocalDatastore', {
      name: 'second',
      path,
    });
    const namesNow = async () =>
      Promise.all((await center.all('Datastore')).map((ref) => center.property<string>(ref, 'name')));
    while (!(await namesNow()).includes('second'));
    const bytes = randomBytes(1 << 20);
    assert.equal((await ask('PUT', at('box/b.iso', 'second'), { body: bytes })).status, 201);
    assert.ok(bytes.equals(await readFile(join(path, 'box', 'b.iso'))));
    assert.ok((await ask('GET', at('box/b.iso', 'second'))).body.equals(bytes));
    const far = (await center.hosts()).find(({ name }) => name === host.host);
    assert.ok(far);
    const disk = (key: number, unitNumber: number, fileName: string) => ({
      operation: 'add',
      device: {
        _typeName: 'VirtualDisk',
        key,
        controllerKey: -1,
        unitNumber,
        capacityInKB: 1024,
        backing: {
          _typeName: 'VirtualDiskFlatVer2BackingInfo',
          fileName,
          diskMode: 'persistent',
          thinProvisioned: true,
        },
      },
    });
    const controller = { _typeName: 'VirtualLsiLogicController', key: -1, busNumber: 0, sharedBus: 'noSharing' };
    const configSpec = {
      _typeName: 'VirtualMachineConfigSpec',
      name: 'spread',
      files: { _typeName: 'VirtualMachineFileInfo', vmPathName: '[datastore1 (1)]' },
      deviceChange: [
        { operation: 'add', device: controller },
        disk(-2, 0, 'disk1.vmdk'),
        disk(-3, 1, '[second] disk2.vmdk'),
      ],
    };
    const lease = (await center.client.call(far.pool, 'ImportVApp', {
      spec: { _typeName: 'VirtualMachineImportSpec', configSpec },
    } as never)) as ManagedObjectReference<'HttpNfcLease'>;
    while ((await center.property(lease, 'state')) === 'initializing');
    const { deviceUrl = [] } = await center.property<HttpNfcLeaseInfo>(lease, 'info');
    const blocks = deviceUrl.map(() => randomBytes(65_536));
    const contents = await Promise.all(blocks.map((block) => streamDisk(1 << 20, () => block)));
    for (const [index, { url }] of deviceUrl.entries()) {
      const { pathname } = new URL(url);
      const sent = await ask('PUT', pathname, {
        body: contents[index] ?? Buffer.alloc(0),
        origin: host.url,
        anonymous: true,
      });
      assert.equal(sent.status, 201, sent.body.toString());
    }
    await center.client.call(lease, 'HttpNfcLeaseComplete', {});
    assert.equal(await center.property(lease, 'state'), 'done');
    const whole = Buffer.concat(Array.from({ length: 16 }, () => blocks[1] ?? Buffer.alloc(0)));
    assert.ok(whole.equals(await readFile(join(path, 'spread', 'spread_1-flat.vmdk'))));
    assert.ok((await ask('GET', at('spread/spread_1-flat.vmdk', 'second'))).body.equals(whole));
  });

  it('pyVmomi and hypo bring machines, disks and files from one host to another', async () => {
    const far = (await center.hosts()).find(({ name }) => name === host.host);
    assert.ok(far);
    const target = { host: far, datastore: 'datastore1 (1)', daemon: host };
    assert.deepEqual(await runAtCenter('center_between.py', center, target, { NEAR_DATASTORE: daemon.datastore }), [
      'cloned to another host, and started there',
      'cloned while it runs; moved only when it is off',
      'moved to another host with its snapshots: the same machine',
      'disks and files copied and moved',
    ]);
    const hypo = async (...args: string[]) => {
      const memory = memoryContext({ HYPOSTYLE_HOME: daemon.home });
      assert.equal(await run(['vm', ...args], memory.context), 0, memory.errors());
      return memory.output();
    };
    const { name: local } = await center.localHost();
    assert.match(await hypo('migrate', 'roamer', '--host', local), /roamer: is on .*, at \[datastore1\] roamer\//);
    await hypo('clone', 'roamer', 'settler', '--host', far.name, '--datastore', 'datastore1 (1)', '--disks', 'thick');
    assert.deepEqual((await readdir(join(host.datastore, 'settler'))).sort(), [
      'settler-flat.vmdk',
      'settler.vmdk',
      'settler.vmx',
    ]);
    const before = await readFile(join(daemon.datastore, 'roamer', 'roamer-flat.vmdk'));
    assert.ok(before.equals(await readFile(join(host.datastore, 'settler', 'settler-flat.vmdk'))));
    // Nobody reads in a log what would let him read a machine.
    for (const each of [daemon, host])
      assert.doesNotMatch(
        await readFile(join(each.home, 'log', 'hypostyle.log'), 'utf8').catch(() => ''),
        /nfc\/[0-9a-f]{32}/,
      );
  });

  it('says so when the host is away', async () => {
    await host.kill();
    const { status } = await ask('GET', at('box/a.iso'));
    assert.ok([502, 503].includes(status), `${status}`);
  });
});

function thumbprintOf(daemon: Daemon): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: daemon.host, port: daemon.port, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().fingerprint);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}
