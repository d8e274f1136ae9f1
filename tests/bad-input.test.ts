import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Client,
  createClient,
  data,
  type ManagedObjectReference,
  VimFault,
  type VirtualDeviceConfigSpec,
  type VirtualMachineConfigSpec,
} from '@hypostyle/vim';
import { Daemon, hypo } from './harness/daemon.ts';
import { guestVmx } from './harness/guest-folder.ts';
import { added } from './harness/guest-machine.ts';
import { leavesNothing, memoryOf } from './harness/host-state.ts';
import { descriptorOf, type Member, manifestOf, streamDisk, tarOf } from './harness/package-files.ts';
import { envelope, type RawAnswer, rawRequest, soapFault } from './harness/raw-request.ts';

const vmFolder: ManagedObjectReference<'Folder'> = { type: 'Folder', value: 'ha-folder-vm' };
const pool: ManagedObjectReference<'ResourcePool'> = { type: 'ResourcePool', value: 'ha-root-pool' };
const megabyte = 1024 ** 2;

describe('bad input', () => {
  let daemon: Daemon;
  let client: Client;
  let work: string;
  before(async () => {
    work = await mkdtemp(join(tmpdir(), 'hypostyle-bad-'));
    daemon = await Daemon.start();
    client = await connect();
  });
  after(async () => {
    await client?.[Symbol.asyncDispose]();
    await daemon?.remove();
    await rm(work, { recursive: true, force: true });
  });

  async function connect(userName = daemon.username, password = daemon.password): Promise<Client> {
    const made = createClient({ url: daemon.url, tls: { insecure: true } });
    await made.signIn(userName, password);
    return made;
  }

  const clean = <Result>(run: () => Promise<Result>) => leavesNothing(daemon, client, run);

  /** The call, or its task, ends with a fault of this type; nothing stays of it. */
  async function refused(type: string, run: () => Promise<unknown>): Promise<VimFault> {
    const error = await clean(() =>
      run().then(
        () => assert.fail(`it was done, and not refused with ${type}`),
        (thrown: unknown) => thrown,
      ),
    );
    assert.ok(error instanceof VimFault, String(error));
    assert.equal(error.type, type, error.message);
    assert.ok(error.message.length > 10, error.message);
    return error;
  }

  async function create(changes: Partial<VirtualMachineConfigSpec>, as = client): Promise<unknown> {
    const config = { name: 'bad', guestId: 'otherGuest64', files: { vmPathName: '[datastore1]' }, ...changes };
    return as.waitForTask(await as.call(vmFolder, 'CreateVM_Task', { config, pool }));
  }

  const scsi = added(data('ParaVirtualSCSIController', { key: 1000, busNumber: 0, sharedBus: 'noSharing' }));

  function disk(
    capacityInKB: number,
    thinProvisioned: boolean,
    fileName = '',
    unitNumber = 0,
  ): VirtualDeviceConfigSpec {
    const backing = data('VirtualDiskFlatVer2BackingInfo', { fileName, diskMode: 'persistent', thinProvisioned });
    const device = data('VirtualDisk', {
      key: -1 - unitNumber,
      controllerKey: 1000,
      unitNumber,
      capacityInKB,
      backing,
    });
    return { ...added(device), fileOperation: 'create' };
  }

  describe('of packages', () => {
    let image: Buffer;
    before(async () => {
      image = await streamDisk(4 * megabyte);
    });

    const descriptor = (options: Partial<Parameters<typeof descriptorOf>[0]> = {}) =>
      descriptorOf({
        name: 'bad',
        href: 'bad-disk1.vmdk',
        fileBytes: image.length,
        capacityBytes: 4 * megabyte,
        ...options,
      });

    function ova(members: readonly (readonly [string, string | Uint8Array])[], manifest?: string): Buffer {
      const all: Member[] = members.map(([name, content]) => ({ name, content: Buffer.from(content as Uint8Array) }));
      const text = manifest ?? manifestOf(all);
      const name = all[0]?.name.replace(/\.ovf$/, '.mf') ?? '';
      return tarOf([...all, { name, content: Buffer.from(text) }]);
    }

    /** Deploys with the command, which fails with a message; nothing stays. */
    async function deployRefused(name: string, content: Uint8Array, message: RegExp): Promise<void> {
      const path = join(work, name);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, content);
      const files = await readdir(work, { recursive: true });
      const { code, output } = await clean(() => runHypo(['deploy', path, '--name', 'bad', '--power-on']));
      assert.equal(code, 1, output);
      assert.match(output, message);
      assert.doesNotMatch(output, /\n\s+at /, 'no stack');
      assert.deepEqual(await readdir(work, { recursive: true }), files);
    }

    async function runHypo(args: readonly string[]): Promise<{ code: number | null; output: string }> {
      const child = spawn(process.execPath, [hypo, '--home', daemon.home, ...args], { timeout: 60_000 });
      let output = '';
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding('utf8');
        stream.on('data', (text: string) => {
          output += text;
        });
      }
      const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
      return { code, output };
    }

    it('takes the package when nothing is wrong with it', async () => {
      const path = join(work, 'good.ova');
      await writeFile(
        path,
        ova([
          ['good.ovf', descriptor()],
          ['bad-disk1.vmdk', image],
        ]),
      );
      await clean(async () => {
        const { code, output } = await runHypo(['deploy', path, '--name', 'good']);
        assert.equal(code, 0, output);
        assert.ok((await readdir(join(daemon.datastore, 'good'))).some((name) => name.endsWith('-flat.vmdk')));
        const removed = await runHypo(['rm', 'good']);
        assert.equal(removed.code, 0, removed.output);
      });
    });

    it('truncated OVA', async () => {
      const whole = ova([
        ['bad.ovf', descriptor()],
        ['bad-disk1.vmdk', image],
      ]);
      for (const length of [0, 300, 700, 8_000, Math.floor(whole.length / 2), whole.length - 3_000]) {
        await deployRefused('truncated.ova', whole.subarray(0, length), /truncat|ends|empty|too short|cut off/i);
      }
    });

    it('wrong digest', async () => {
      const members: [string, string | Uint8Array][] = [
        ['bad.ovf', descriptor()],
        ['bad-disk1.vmdk', image],
      ];
      const right = manifestOf(members.map(([name, content]) => ({ name, content: Buffer.from(content as string) })));
      for (const file of ['bad.ovf', 'bad-disk1.vmdk']) {
        const wrong = right.replace(
          new RegExp(`(SHA256\\(${file}\\)= )([0-9a-f]{8})`),
          (_, start: string) => `${start}00000000`,
        );
        await deployRefused('digest.ova', ova(members, wrong), new RegExp(file.replace('.', '\\.')));
      }
      const damaged = Buffer.from(image);
      damaged.writeUInt8(damaged.readUInt8(100_000) ^ 1, 100_000);
      const swapped: typeof members = [members[0] as [string, string], ['bad-disk1.vmdk', damaged]];
      await deployRefused('damaged.ova', ova(swapped, right), /damaged|bad-disk1\.vmdk/);
    });

    it('archive path that climbs', async () => {
      for (const name of ['../climbing.vmdk', 'a/../../climbing.vmdk', '/tmp/climbing.vmdk', '..']) {
        const members = [
          ['bad.ovf', descriptor({ href: name })],
          [name, image],
        ] as const;
        await deployRefused('climbing.ova', ova(members), /climb|path|name|outside|\.\./i);
      }
      await deployRefused('climbing.ova', ova([['../bad.ovf', descriptor()]]), /climb|path|name|outside|\.\./i);
      assert.deepEqual(
        (await readdir(tmpdir())).filter((name) => name.includes('climbing')),
        [],
      );
    });

    it('OVF that names a missing file', async () => {
      const missing = descriptor({ href: 'missing.vmdk' });
      await deployRefused('missing.ova', ova([['bad.ovf', missing]]), /missing\.vmdk/);
      await deployRefused('folder/missing.ovf', Buffer.from(missing), /missing\.vmdk/);
      const climbing = descriptor({ href: '../good.ova' });
      await deployRefused('folder/climbing.ovf', Buffer.from(climbing), /good\.ova/);
    });

    it('disk larger than the datastore', async () => {
      const huge = descriptor({ capacityBytes: 60 * 1024 ** 4 });
      const members = [
        ['bad.ovf', huge],
        ['bad-disk1.vmdk', image],
      ] as const;
      await deployRefused('huge.ova', ova(members), /space|datastore1/i);
    });

    it('disk whose descriptor says another size', async () => {
      const members = [
        ['bad.ovf', descriptor({ capacityBytes: 2 * megabyte })],
        ['bad-disk1.vmdk', image],
      ] as const;
      await deployRefused('size.ova', ova(members), /size|capacity|larger|bytes/i);
    });

    it('OVF with a DOCTYPE, and what is no XML', async () => {
      const prolog = '<!DOCTYPE Envelope [<!ENTITY a SYSTEM "file:///etc/hostname">]>\n';
      const members = [
        ['bad.ovf', descriptor({ prolog })],
        ['bad-disk1.vmdk', image],
      ] as const;
      await deployRefused('doctype.ova', ova(members), /document type/);
      await deployRefused('text.ova', ova([['bad.ovf', 'this is no XML']]), /bad\.ovf|XML|line/i);
      await deployRefused('text.ovf', Buffer.from('<Envelope>'), /text\.ovf|XML|line|envelope/i);
    });

    it('NIC model that does not exist', async () => {
      const members = [
        ['bad.ovf', descriptor({ nic: 'HyperNic9000' })],
        ['bad-disk1.vmdk', image],
      ] as const;
      await deployRefused('nic.ova', ova(members), /HyperNic9000/);
    });

    it('package from the web that is cut off, breaks off, is not what its manifest says, or is given up', async () => {
      const members: [string, string | Uint8Array][] = [
        ['bad.ovf', descriptor()],
        ['bad-disk1.vmdk', image],
      ];
      const whole = ova(members);
      // The manifest comes last: the disk was taken before anybody could know.
      const ovf = manifestOf([{ name: 'bad.ovf', content: Buffer.from(members[0]?.[1] ?? '') }]);
      const wrong = ova(members, `${ovf}SHA256(bad-disk1.vmdk)= ${'0'.repeat(64)}\n`);
      const answers: Record<string, (response: ServerResponse) => void> = {
        '/short.ova': (response) => response.end(whole.subarray(0, whole.length / 2)),
        '/broken.ova': (response) => {
          response.writeHead(200, { 'content-length': whole.length });
          response.write(whole.subarray(0, whole.length / 2), () => response.destroy());
        },
        '/digest.ova': (response) => response.end(wrong),
        '/hanging.ova': (response) => response.write(whole.subarray(0, whole.length / 2)),
      };
      const server = createServer((asked, response) => {
        const answer = answers[asked.url ?? ''];
        if (answer) answer(response);
        else response.writeHead(404).end('nothing here');
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as AddressInfo;
      try {
        for (const [path, message] of [
          ['short.ova', /bad-disk1\.vmdk.*ends/],
          ['broken.ova', /ended|broke|abort|reset|closed|terminated/],
          ['digest.ova', /bad-disk1\.vmdk.*manifest/],
          ['none.ova', /404/],
        ] as const) {
          const source = `http://127.0.0.1:${port}/${path}`;
          const { code, output } = await clean(() => runHypo(['deploy', source, '--name', 'bad']));
          assert.ok(code === 1 || code === 4, `${code} ${output}`);
          assert.match(output, message);
        }
        await clean(async () => {
          const child = spawn(process.execPath, [
            hypo,
            '--home',
            daemon.home,
            'deploy',
            `http://127.0.0.1:${port}/hanging.ova`,
          ]);
          while (!(await readdir(daemon.datastore)).includes('bad')) await sleep(50);
          await sleep(200);
          const ended = new Promise((resolve) => child.on('close', resolve));
          child.kill('SIGINT');
          assert.notEqual(await ended, 0);
        });
      } finally {
        server.closeAllConnections();
        server.close();
      }
    });

    it('upload that breaks off, and one that is too short', async () => {
      const { ovfManager } = await client.content();
      assert.ok(ovfManager);
      const importer = await connect();
      const result = await importer.call(ovfManager, 'CreateImportSpec', {
        ovfDescriptor: descriptor(),
        resourcePool: pool,
        datastore: { type: 'Datastore', value: (await datastore()).value },
        cisp: { entityName: 'bad', locale: '', deploymentOption: '' },
      });
      assert.ok(result.importSpec, JSON.stringify(result.error));
      const spec = result.importSpec;
      await clean(async () => {
        const lease = await importer.call(pool, 'ImportVApp', { spec });
        try {
          const url = await uploadUrl(importer, lease);
          const half = image.subarray(0, image.length / 2);
          await assert.rejects(sendBroken(url, half));
          let answer = await send(url, half);
          // Until the host has seen that the first one went away.
          for (; /in use/.test(answer.text); answer = await send(url, half)) await sleep(50);
          assert.ok(answer.status >= 400, `${answer.status} ${answer.text}`);
          assert.match(answer.text, /ends too early/);
          await importer.call(lease, 'HttpNfcLeaseAbort', {});
          assert.ok((await send(url, image)).status >= 400);
        } catch (error) {
          await importer.call(lease, 'HttpNfcLeaseAbort', {}).catch(() => {});
          throw error;
        }
      });
      await importer[Symbol.asyncDispose]();
    });

    async function datastore(): Promise<ManagedObjectReference> {
      const [read] = await client.retrieve({ type: 'Datacenter', value: 'ha-datacenter' }, ['datastore']);
      const [first] = read?.values.datastore ?? [];
      assert.ok(first);
      return first;
    }

    async function uploadUrl(as: Client, lease: ManagedObjectReference<'HttpNfcLease'>): Promise<string> {
      for (;;) {
        const [read] = await as.retrieve(lease, ['state', 'info', 'error']);
        if (read?.values.state === 'ready') {
          const url = read.values.info?.deviceUrl?.[0]?.url;
          assert.ok(url);
          return url.replace('*', `${daemon.host}:${daemon.port}`);
        }
        assert.equal(read?.values.state, 'initializing', JSON.stringify(read?.values.error));
      }
    }

    function send(url: string, body: Uint8Array): Promise<RawAnswer> {
      const { pathname, search } = new URL(url);
      const headers = { 'content-type': 'application/x-vnd.vmware-streamVmdk' };
      return rawRequest(daemon, { path: pathname + search, headers, body: [body] });
    }

    /** Says that more is to come, and goes away. */
    function sendBroken(url: string, body: Uint8Array): Promise<void> {
      const { pathname, search } = new URL(url);
      return new Promise((resolve, reject) => {
        const headers = {
          'content-type': 'application/x-vnd.vmware-streamVmdk',
          'content-length': `${body.length * 2}`,
        };
        const outgoing = request({
          host: daemon.host,
          port: daemon.port,
          path: pathname + search,
          method: 'POST',
          headers,
          rejectUnauthorized: false,
        });
        outgoing.on('error', reject);
        outgoing.on('response', () => resolve());
        outgoing.write(body, () => outgoing.destroy(new Error('gone')));
      });
    }
  });

  describe('of requests', () => {
    const contentCall =
      '<RetrieveServiceContent xmlns="urn:vim25"><_this type="ServiceInstance">%</_this></RetrieveServiceContent>';

    async function faultOf(body: string | Iterable<Uint8Array>, headers: Record<string, string> = {}): Promise<string> {
      const answer = await clean(() => rawRequest(daemon, { body, headers }));
      assert.equal(answer.status, 500);
      assert.match(answer.text, /<faultstring>.{10,}<\/faultstring>/);
      return soapFault(answer) ?? `no fault: ${answer.text}`;
    }

    async function cookie(): Promise<string> {
      const login = `<Login xmlns="urn:vim25"><_this type="SessionManager">ha-sessionmgr</_this><userName>${daemon.username}</userName><password>${daemon.password}</password></Login>`;
      const { headers } = await rawRequest(daemon, { body: envelope(login) });
      return String(headers['set-cookie']).split(';', 1)[0] ?? '';
    }

    it('XML with a DOCTYPE', async () => {
      const body = envelope(contentCall.replace('%', 'ServiceInstance'));
      const entity = '<!DOCTYPE e [<!ENTITY secret SYSTEM "file:///etc/passwd">]>';
      const bomb = `<!DOCTYPE e [<!ENTITY a "${'x'.repeat(1000)}">${'bcdefgh'
        .split('')
        .map((name, index) => `<!ENTITY ${name} "${`&${'abcdefg'[index]};`.repeat(10)}">`)
        .join('')}]>`;
      for (const doctype of [entity, bomb, '<!DOCTYPE e>', '<!DOCTYPE e SYSTEM "http://127.0.0.1:1/e.dtd">']) {
        assert.equal(await faultOf(body.replace('?>', `?>${doctype}`)), 'InvalidRequest');
      }
      assert.equal(await faultOf(envelope(contentCall.replace('%', '&secret;'))), 'InvalidRequest');
    });

    it('a SOAP body of 100 MB', async () => {
      const piece = Buffer.alloc(megabyte, 'x');
      const start = `<CreateVM_Task xmlns="urn:vim25"><_this type="Folder">ha-folder-vm</_this><config><annotation>`;
      const length = `${100 * megabyte + start.length}`;
      const hundred = function* () {
        yield Buffer.from(envelope(start).replace('</soapenv:Body></soapenv:Envelope>', ''));
        for (let count = 0; count < 100; count += 1) yield piece;
      };
      const session = await cookie();
      const small = Buffer.from(envelope(contentCall.replace('%', 'ServiceInstance')));
      await rawRequest(daemon, { body: [small] });
      const before = await memoryOf(daemon);
      assert.equal(await faultOf(hundred(), { cookie: session }), 'InvalidRequest');
      const first = await memoryOf(daemon);
      assert.ok(first.most - before.most < 90, `at most ${before.most} MiB became ${first.most}`);
      for (const headers of [{}, { cookie: session, 'content-length': length }]) {
        assert.equal(await faultOf(hundred(), headers), 'InvalidRequest');
      }
      const json = await clean(() =>
        rawRequest(daemon, {
          path: '/sdk/vim25/8.0.3.0/Folder/ha-folder-vm/CreateVM_Task',
          headers: { 'content-type': 'application/json', cookie: session },
          body: hundred(),
        }),
      );
      assert.ok(json.status >= 400 && json.status < 500, `${json.status}`);
      for (let count = 0; count < 6; count += 1) await rawRequest(daemon, { body: hundred() });
      const last = await memoryOf(daemon);
      // What was refused is garbage that is collected now and then, and does not add up: 1 GB was sent.
      assert.ok(last.most - before.most < 250, `at most ${before.most} MiB became ${last.most}`);
    });

    it('what is no SOAP, or breaks off', async () => {
      for (const body of ['', 'hello', '<', '\0\0', envelope('').slice(0, -20), '<a><b></a></b>', '{"a": 1}']) {
        assert.equal(await faultOf(body), 'InvalidRequest', JSON.stringify(body));
      }
      assert.equal(await faultOf(`${'<a>'.repeat(100_000)}`), 'InvalidRequest');
    });

    it('unknown method', async () => {
      const call = '<MakeCoffee xmlns="urn:vim25"><_this type="VirtualMachine">1</_this></MakeCoffee>';
      assert.equal(await faultOf(envelope(call)), 'InvalidRequest');
      assert.equal(await faultOf(envelope(call), { cookie: await cookie() }), 'InvalidRequest');
      const wrongType = '<PowerOnVM_Task xmlns="urn:vim25"><_this type="Folder">ha-folder-vm</_this></PowerOnVM_Task>';
      assert.match(
        await faultOf(envelope(wrongType), { cookie: await cookie() }),
        /^(InvalidRequest|InvalidType|MethodNotFound)$/,
      );
      const answer = await rawRequest(daemon, {
        path: '/sdk/vim25/8.0.3.0/VirtualMachine/1/MakeCoffee',
        headers: { 'content-type': 'application/json', cookie: await cookie() },
        body: '{}',
      });
      assert.equal(answer.status, 404);
      assert.match(answer.text, /"_typeName":"\w+"/);
    });

    it('wrong argument types', async () => {
      const headers = { cookie: await cookie() };
      const call = (config: string) =>
        envelope(
          `<CreateVM_Task xmlns="urn:vim25"><_this type="Folder">ha-folder-vm</_this><config>${config}</config><pool type="ResourcePool">ha-root-pool</pool></CreateVM_Task>`,
        );
      const files = '<files><vmPathName>[datastore1]</vmPathName></files>';
      for (const [config, type] of [
        ['<memoryMB>much</memoryMB>', 'InvalidType'],
        ['<memoryMB>99999999999999999999</memoryMB>', 'InvalidType'],
        ['<numCPUs>1.5</numCPUs>', 'InvalidType'],
        ['<cpuHotAddEnabled>perhaps</cpuHotAddEnabled>', 'InvalidType'],
        ['<noSuchMember>1</noSuchMember>', 'InvalidRequest'],
        [`<name>bad</name>${files}<deviceChange><device xsi:type="Folder"/></deviceChange>`, 'InvalidType'],
        [`<name>bad</name>${files}<deviceChange><device xsi:type="VirtualHyperNic"/></deviceChange>`, 'InvalidType'],
        ['<name>bad</name><files xsi:type="HostListSummary"/>', 'InvalidType'],
        [`<name>bad</name>${files}<numCPUs>-1</numCPUs>`, 'InvalidArgument'],
        [`<name>bad</name>${files}<memoryMB>0</memoryMB>`, 'InvalidArgument'],
      ] as const) {
        const found = await faultOf(call(config), headers);
        // The two name the same thing: a value that its type does not have.
        const allowed = type === 'InvalidType' ? ['InvalidType', 'InvalidArgument'] : [type];
        assert.ok(allowed.includes(found), `${config}: ${found}`);
      }
      const destroy = '<Destroy_Task xmlns="urn:vim25"><_this type="VirtualMachine">4711</_this></Destroy_Task>';
      assert.equal(await faultOf(envelope(destroy), headers), 'ManagedObjectNotFound');
    });

    it('expired session', async () => {
      const session = await cookie();
      const destroy = '<Destroy_Task xmlns="urn:vim25"><_this type="VirtualMachine">1</_this></Destroy_Task>';
      const invented = session.replace(/=.*/, `=${'0'.repeat(40)}`);
      for (const headers of [{}, { cookie: invented }]) {
        assert.equal(await faultOf(envelope(destroy), headers), 'NotAuthenticated');
      }
      const time = '<CurrentTime xmlns="urn:vim25"><_this type="ServiceInstance">ServiceInstance</_this></CurrentTime>';
      assert.equal((await rawRequest(daemon, { body: envelope(time), headers: { cookie: session } })).status, 200);
      const { sessionManager } = await client.content();
      assert.ok(sessionManager);
      const [read] = await client.retrieve(sessionManager, ['sessionList', 'currentSession']);
      const others = (read?.values.sessionList ?? []).map(({ key }) => key);
      const own = read?.values.currentSession?.key;
      await client.call(sessionManager, 'TerminateSession', { sessionId: others.filter((key) => key !== own) });
      for (const call of [destroy, time]) {
        assert.equal(await faultOf(envelope(call), { cookie: session }), 'NotAuthenticated');
      }
      const upload = await rawRequest(daemon, {
        path: '/folder/late.iso?dcPath=ha-datacenter&dsName=datastore1',
        method: 'PUT',
        headers: { cookie: session, 'content-type': 'application/octet-stream' },
        body: 'late',
      });
      assert.equal(upload.status, 401);
      assert.ok(!(await readdir(daemon.datastore)).includes('late.iso'));
    });

    it('a file that would lie outside the datastore', async () => {
      const headers = { cookie: await cookie(), 'content-type': 'application/octet-stream' };
      for (const path of [
        '/folder/../../out.iso',
        '/folder/%2e%2e/%2e%2e/out.iso',
        '/folder/a%00b',
        '/folder/..%2fout.iso',
      ]) {
        const answer = await clean(() =>
          rawRequest(daemon, {
            path: `${path}?dcPath=ha-datacenter&dsName=datastore1`,
            method: 'PUT',
            headers,
            body: 'x',
          }),
        );
        assert.ok(answer.status >= 400 && answer.status < 500, `${path}: ${answer.status}`);
      }
      assert.deepEqual(
        (await readdir(daemon.home, { recursive: true })).filter((name) => name.includes('out.iso')),
        [],
      );
    });
  });

  describe('of machines', () => {
    it('disk larger than the datastore', async () => {
      const huge = 60 * 1024 ** 3;
      await refused('NoDiskSpace', () => create({ deviceChange: [scsi, disk(huge, true)] }));
      await refused('NoDiskSpace', () => create({ deviceChange: [scsi, disk(huge, false)] }));
      await refused('NoDiskSpace', () => create({ deviceChange: [scsi, disk(64, true), disk(huge, true, '', 1)] }));
    });

    it('disk of no size, beyond any size, or elsewhere', async () => {
      for (const capacity of [0, -1, 2 ** 52]) {
        const error = await create({ deviceChange: [scsi, disk(capacity, true)] }).catch((thrown: unknown) => thrown);
        assert.ok(error instanceof VimFault && error.type !== 'SystemError', String(error));
      }
      for (const path of ['../../../../tmp/climbing.vmdk', '/tmp/climbing.vmdk', '[datastore1] ../climbing.vmdk']) {
        await refused('InvalidDatastorePath', () => create({ deviceChange: [scsi, disk(64, true, path)] }));
      }
      await refused('InvalidDatastore', () => create({ files: { vmPathName: '[elsewhere]' } }));
      await refused('InvalidDatastorePath', () => create({ files: { vmPathName: '[datastore1] ../../bad' } }));
    });

    it('NIC model that does not exist', async () => {
      const backing = data('VirtualEthernetCardNetworkBackingInfo', { deviceName: 'VM Network' });
      const nic = added(data('VirtualSriovEthernetCard', { key: -5, backing }));
      await refused('DeviceUnsupportedForVmPlatform', () => create({ deviceChange: [nic] }));
      await mkdir(join(daemon.datastore, 'hyper'), { recursive: true });
      const text = guestVmx({ name: 'hyper', disk: 'hyper.vmdk' }).replace('"e1000"', '"hyper9000"');
      await writeFile(join(daemon.datastore, 'hyper', 'hyper.vmx'), text);
      const error = await refused('InvalidVmConfig', async () => {
        const path = '[datastore1] hyper/hyper.vmx';
        return client.waitForTask(
          await client.call(vmFolder, 'RegisterVM_Task', { path, name: 'hyper', asTemplate: false, pool }),
        );
      });
      assert.match(error.message, /ethernet0.*hyper9000/);
      await rm(join(daemon.datastore, 'hyper'), { recursive: true });
    });

    it('missing privilege', async () => {
      const { accountManager, authorizationManager, fileManager } = await client.content();
      assert.ok(accountManager && authorizationManager && fileManager);
      const user = { id: 'reader', password: 'a long enough Passw0rd' };
      await client.call({ type: 'HostLocalAccountManager', value: accountManager.value }, 'CreateUser', { user });
      const made = await create({ name: 'kept' });
      const machine = made as ManagedObjectReference<'VirtualMachine'>;
      {
        await using nobody = await connect(user.id, user.password);
        const [hidden] = await nobody.retrieve(machine, ['name', 'config']);
        assert.deepEqual(hidden?.values ?? {}, {});
      }
      await client.call(authorizationManager, 'SetEntityPermissions', {
        entity: { type: 'Folder', value: 'ha-folder-root' },
        permission: [{ principal: user.id, group: false, roleId: -2, propagate: true }],
      });
      const reader = await connect(user.id, user.password);
      const [read] = await reader.retrieve(machine, ['name']);
      assert.equal(read?.values.name, 'kept');
      const done = async (task: Promise<ManagedObjectReference<'Task'>>) => reader.waitForTask(await task);
      for (const [privilege, run] of [
        ['VirtualMachine.Interact.PowerOn', () => done(reader.call(machine, 'PowerOnVM_Task', {}))],
        ['VirtualMachine.Inventory.Delete', () => done(reader.call(machine, 'Destroy_Task', {}))],
        [
          'VirtualMachine.Config.Memory',
          () => done(reader.call(machine, 'ReconfigVM_Task', { spec: { memoryMB: 64 } })),
        ],
        ['VirtualMachine.Inventory.Create', () => create({ name: 'of the reader' }, reader)],
        [
          'Datastore.FileManagement',
          () =>
            reader.call(fileManager, 'MakeDirectory', { name: '[datastore1] mine', createParentDirectories: false }),
        ],
      ] as const) {
        const error = await refused('NoPermission', run);
        const { privilegeId } = error.detail as { readonly privilegeId?: string };
        assert.equal(privilegeId, privilege);
      }
      await reader[Symbol.asyncDispose]();
      const [still] = await client.retrieve(machine, ['runtime']);
      assert.equal(still?.values.runtime?.powerState, 'poweredOff');
      await client.waitForTask(await client.call(machine, 'Destroy_Task', {}));
      await client.call({ type: 'HostLocalAccountManager', value: accountManager.value }, 'RemoveUser', {
        userName: user.id,
      });
    });
  });

  it('is no defect of the host', async () => {
    assert.ok(daemon.running);
    const log = await readFile(join(daemon.home, 'log', 'hypostyle.log'), 'utf8');
    const bad = log.split('\n').filter((line) => /"level":"(error|fatal)"/.test(line));
    assert.deepEqual(bad, []);
  });
});
