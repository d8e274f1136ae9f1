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
import { type Client, createClient, type ManagedObjectReference } from '@hypostyle/vim';
import { run } from '../packages/cli/src/run.ts';
import { memoryContext } from '../packages/cli/src/testing/memory-terminal.ts';
import { Daemon, hypo } from './harness/daemon.ts';
import { eventually } from './harness/guest-machine.ts';
import { leavesNothing } from './harness/host-state.ts';
import { descriptorOf, type Member, manifestOf, streamDisk, tarOf } from './harness/package-files.ts';
import { type RawAnswer, rawRequest } from './harness/raw-request.ts';

const pool: ManagedObjectReference<'ResourcePool'> = { type: 'ResourcePool', value: 'ha-root-pool' };
const megabyte = 1024 ** 2;

describe('bad packages', () => {
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
    const { code, output } = await clean(() => command(['deploy', path, '--name', 'bad', '--power-on']));
    assert.equal(code, 1, output);
    assert.match(output, message);
    assert.doesNotMatch(output, /\n\s+at /, 'no stack');
    assert.deepEqual(await readdir(work, { recursive: true }), files);
  }

  /** The command in this process: a process of its own takes longer to begin than most of these are refused in. */
  async function command(args: readonly string[]): Promise<{ code: number; output: string }> {
    const { context, output, errors } = memoryContext();
    const code = await run(['--home', daemon.home, ...args], context);
    return { code, output: `${output()}${errors()}` };
  }

  /** The command as a person runs it. */
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
      const settled = async () =>
        (await readdir(join(daemon.datastore, 'good'))).some((name) => name.endsWith('-flat.vmdk'));
      await eventually(settled, 'its disk is a plain one');
      const removed = await runHypo(['rm', 'good']);
      assert.equal(removed.code, 0, removed.output);
    });
  });

  it('truncated OVA', async () => {
    const whole = ova([
      ['bad.ovf', descriptor()],
      ['bad-disk1.vmdk', image],
    ]);
    const path = join(work, 'process.ova');
    await writeFile(path, whole.subarray(0, 700));
    const refused = await clean(() => runHypo(['deploy', path, '--name', 'bad']));
    assert.equal(refused.code, 1, refused.output);
    assert.doesNotMatch(refused.output, /\n\s+at /, 'no stack');
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
        const { code, output } = await clean(() => command(['deploy', source, '--name', 'bad']));
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

  it('is no defect of the host', async () => {
    assert.ok(daemon.running);
    const log = await readFile(join(daemon.home, 'log', 'hypostyle.log'), 'utf8');
    const bad = log.split('\n').filter((line) => /"level":"(error|fatal)"/.test(line));
    assert.deepEqual(bad, []);
  });
});
