import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Client, ManagedObjectReference } from '@hypostyle/vim';
import { run } from '../packages/cli/src/run.ts';
import { memoryContext } from '../packages/cli/src/testing/memory-terminal.ts';
import { Daemon, hypo } from './harness/daemon.ts';
import { eventually, signedIn } from './harness/guest-machine.ts';
import { descriptorOf, streamDisk } from './harness/package-files.ts';

// The `hypo` command as a person uses it at a center that runs as a process; what it did is looked up by the API and in
// the files of the hosts.
const mebibyte = 2 ** 20;
let center: Daemon;
let other: Daemon;
let client: Client;
let files: string;
/** Name of the center's own host, which is this machine's. */
let own: string;

before(async () => {
  [center, other] = await Promise.all([Daemon.start({ mode: 'center' }), Daemon.start()]);
  client = await signedIn(center);
  files = await mkdtemp(join(tmpdir(), 'hypostyle-cli-'));
  const disk = await streamDisk(mebibyte);
  await writeFile(join(files, 'disk.vmdk'), disk);
  const descriptor = descriptorOf({
    name: 'small',
    href: 'disk.vmdk',
    fileBytes: disk.length,
    capacityBytes: mebibyte,
  });
  await writeFile(join(files, 'small.ovf'), descriptor);
  await writeFile(join(files, 'other-password'), `${other.password}\n`);
  await writeFile(join(files, 'ann-password'), 'Correct-horse-7\n');
});

after(async () => {
  await client?.[Symbol.asyncDispose]();
  await Promise.all([center?.remove(), other?.remove()]);
  await rm(files, { recursive: true, force: true });
});

interface Outcome {
  readonly code: number;
  readonly output: string;
  readonly errors: string;
}

/** The command in a process of its own, as a shell starts it. */
function asProcess(args: readonly string[], home: string): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [hypo, ...args, '--home', home], (error, output, errors) => {
      resolve({ code: error === null ? 0 : Number(error.code), output, errors });
    });
    child.stdin?.end();
  });
}

/** The same command line within this process, which saves a second for each. */
async function command(args: readonly string[], home = center.home): Promise<Outcome> {
  const memory = memoryContext({ HYPOSTYLE_HOME: home });
  const code = await run(args, memory.context);
  return { code, output: memory.output(), errors: memory.errors() };
}

/** Does it, and answers what was said. */
async function does(...args: string[]): Promise<string> {
  const { code, output, errors } = await command(args);
  assert.equal(code, 0, `hypo ${args.join(' ')}: ${errors}`);
  return output;
}

async function json<T>(...args: string[]): Promise<T> {
  return JSON.parse(await does(...args, '--json')) as T;
}

async function refuses(code: number, words: RegExp, ...args: string[]): Promise<void> {
  const outcome = await command(args);
  assert.equal(outcome.code, code, `hypo ${args.join(' ')}: ${outcome.output}${outcome.errors}`);
  assert.match(outcome.errors, words);
}

/** What the center itself has at a path; undefined for nothing. */
async function at(inventoryPath: string): Promise<ManagedObjectReference | undefined> {
  const { searchIndex } = await client.content();
  assert.ok(searchIndex);
  const found = await client.call(searchIndex, 'FindByInventoryPath', { inventoryPath });
  return found as ManagedObjectReference | undefined;
}

interface HostRow {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly maintenanceMode: boolean;
  readonly parent: string;
  readonly machines: number;
}

async function hostRow(name: string): Promise<HostRow | undefined> {
  return (await json<HostRow[]>('host', 'ls')).find((row) => row.name === name);
}

test('a center tells where it and its own host are', async () => {
  const status = await json<{ url: string; hostUrl: string; thumbprint: string }>('host', 'status');
  assert.equal(status.url, center.url);
  assert.equal(status.hostUrl, center.hostUrl);
  assert.match(status.thumbprint, /^([0-9A-F]{2}:){19}[0-9A-F]{2}$/);
  const [row, ...others] = await json<HostRow[]>('host', 'ls');
  assert.ok(row);
  assert.deepEqual(others, []);
  assert.equal(row.state, 'connected');
  own = row.name;
});

test('a host joins once its certificate is confirmed and its password right', async () => {
  const address = `127.0.0.1:${other.port}`;
  const password = ['--host-password-file', join(files, 'other-password')];
  const status = await asProcess(['host', 'status', '--json'], other.home);
  const { thumbprint } = JSON.parse(status.output) as { thumbprint: string };
  await refuses(2, /password of root at 127\.0\.0\.1 is missing/, 'host', 'join', address);
  await refuses(1, new RegExp(`--thumbprint ${thumbprint}`), 'host', 'join', address, ...password);
  const wrong = ['--host-password-file', join(files, 'ann-password'), '--thumbprint', thumbprint];
  await refuses(1, /refuses the sign-in of root[\s\S]*--host-password-file/, 'host', 'join', address, ...wrong);
  assert.equal(await hostRow('127.0.0.1'), undefined, 'nothing came in');

  const sure = [...password, '--thumbprint', thumbprint];
  const { output, code, errors } = await asProcess(['host', 'join', address, ...sure, '--json'], center.home);
  assert.equal(code, 0, errors);
  const joined = JSON.parse(output) as { id: string };
  assert.deepEqual((await at('Datacenter/host/127.0.0.1/127.0.0.1'))?.value, joined.id);
  await refuses(1, /in this center already/, 'host', 'join', address, ...sure);
});

test('hosts are disconnected, connected, and kept free of machines', async () => {
  assert.match(await does('host', 'disconnect', '127.0.0.1'), /127\.0\.0\.1: disconnected/);
  assert.equal((await hostRow('127.0.0.1'))?.state, 'disconnected');
  await does('host', 'reconnect', '127.0.0.1');
  assert.equal((await hostRow('127.0.0.1'))?.state, 'connected');
  await does('host', 'maintenance', 'enter', '127.0.0.1');
  assert.equal((await hostRow('127.0.0.1'))?.maintenanceMode, true);
  await does('host', 'maintenance', 'exit', '127.0.0.1');
  assert.equal((await hostRow('127.0.0.1'))?.maintenanceMode, false);
  assert.match(await does('host', 'info', '127.0.0.1'), /^state +connected$/m);
  await refuses(4, /no host 'nobody'[\s\S]*hypo host ls/, 'host', 'disconnect', 'nobody');
});

test('datacenters and folders are made, moved, renamed and removed', async () => {
  await does('datacenter', 'create', 'Spare');
  assert.equal((await at('Spare'))?.type, 'Datacenter');
  await does('rename', 'Spare', 'Berlin');
  assert.equal(await at('Spare'), undefined);
  assert.match(await does('datacenter', 'ls'), /^Berlin +0 +0 +0 +\/Berlin$/m);
  await refuses(1, /has hosts[\s\S]*--force/, 'datacenter', 'rm', 'Datacenter');
  await does('datacenter', 'rm', 'Berlin');
  assert.equal(await at('Berlin'), undefined);

  await does('folder', 'create', '--parents', '/Datacenter/vm/production/web');
  await does('folder', 'create', 'a%2fb');
  assert.equal((await at('Datacenter/vm/a%2fb'))?.type, 'Folder');
  await does('folder', 'mv', 'a/b', '/Datacenter/vm/production');
  await does('folder', 'rename', 'a/b', 'db');
  assert.equal((await at('Datacenter/vm/production/db'))?.type, 'Folder');
  await refuses(1, /exists/, 'folder', 'create', '/Datacenter/vm/production/db');
  await refuses(4, /no folder/, 'folder', 'create', '/Datacenter/vm/nowhere/db');
  await refuses(1, /not empty[\s\S]*--keep-files/, 'folder', 'rm', 'production');
  const inside = await json<{ name: string }[]>('folder', 'ls', 'production');
  assert.deepEqual(inside.map(({ name }) => name).sort(), ['db', 'web']);
});

test('machines are deployed to the hosts that are named, and moved', async () => {
  const deploy = (name: string, host: string) =>
    does('deploy', join(files, 'small.ovf'), '--name', name, '--host', host);
  await deploy('web1', own);
  await deploy('web2', '127.0.0.1');
  assert.ok(existsSync(join(center.datastore, 'web1', 'web1.vmx')));
  assert.ok(existsSync(join(other.datastore, 'web2', 'web2.vmx')));
  assert.match(await does('ls'), new RegExp(`^web1 .* ${own}\nweb2 .* 127\\.0\\.0\\.1$`, 'm'));
  await refuses(4, /no folder or resource pool or compute resource or datacenter 'nowhere'/, 'mv', 'web1', 'nowhere');
  await does('mv', 'web1', 'web2', '/Datacenter/vm/production/web');
  assert.equal((await at('Datacenter/vm/production/web/web2'))?.type, 'VirtualMachine');
  await does('rename', 'web2', 'web 2');
  assert.match(await readFile(join(other.datastore, 'web2', 'web2.vmx'), 'utf8'), /displayName = "web 2"/);
  await does('rename', 'web 2', 'web2');
});

test('clusters and pools take hosts and machines in, and keep their settings', async () => {
  await does('cluster', 'create', 'east', '--drs', 'manual', '--ha', 'on');
  await does('cluster', 'change', 'east', '--ha', 'off');
  const { drs, ha } = await json<{ drs: string; ha: string }>('cluster', 'info', 'east');
  assert.deepEqual({ drs, ha }, { drs: 'manual', ha: 'off' });
  await does('mv', own, 'east');
  assert.equal((await hostRow(own))?.parent, '/Datacenter/host/east');
  await refuses(1, /has hosts/, 'cluster', 'rm', 'east');

  await does('pool', 'create', 'gold', '--in', 'east', '--cpu-shares', 'high', '--memory-limit', '4096');
  await does('pool', 'change', 'gold', '--memory-limit', 'unlimited', '--cpu-reservation', '10');
  const gold = await at('Datacenter/host/east/Resources/gold');
  const [pool] = await client.retrieve(gold as ManagedObjectReference<'ResourcePool'>, ['config']);
  const { cpuAllocation, memoryAllocation } = pool?.values.config ?? {};
  assert.equal(Number(cpuAllocation?.reservation), 10);
  assert.equal(cpuAllocation?.shares?.level, 'high');
  assert.equal(Number(memoryAllocation?.limit), -1);
  await does('mv', 'web1', 'gold');
  assert.match(await does('pool', 'info', 'gold'), /^machines +1$/m);
  await does('pool', 'rm', 'gold');
  assert.equal(await at('Datacenter/host/east/Resources/gold'), undefined);
  assert.ok(await at('Datacenter/vm/production/web/web1'), 'its machine is in the pool around');
});

test('tags are made, attached, listed and detached', async () => {
  await does('tag', 'category', 'create', 'tier', '--for', 'machine');
  await does('tag', 'create', 'gold', '--category', 'tier');
  await does('tag', 'create', 'silver', '--category', 'tier');
  await does('tag', 'attach', 'gold', 'web1', 'web2');
  await refuses(1, /./, 'tag', 'attach', 'silver', 'web1');
  await refuses(1, /./, 'tag', 'attach', 'gold', '/Datacenter/host/east');
  const attached = await json<{ name: string }[]>('tag', 'attached', 'tier:gold');
  assert.deepEqual(attached.map(({ name }) => name).sort(), ['web1', 'web2']);
  await does('tag', 'detach', 'gold', 'web2');
  assert.deepEqual(await json('tag', 'ls', '--on', 'web2'), []);
  assert.match(await does('tag', 'ls', '--on', 'web1'), /^gold +tier/m);
  await refuses(1, /has 2 tags[\s\S]*--force/, 'tag', 'category', 'rm', 'tier');
  await does('tag', 'category', 'rm', 'tier', '--force');
  await refuses(4, /no tag 'gold'/, 'tag', 'attached', 'gold');
});

test('fields are made, and have values', async () => {
  await does('field', 'create', 'owner', '--for', 'machine');
  await does('field', 'set', 'owner', 'Ann Example', 'web1');
  assert.match(await does('field', 'ls', 'web1'), /^owner +Ann Example$/m);
  await does('field', 'rm', 'owner');
  assert.deepEqual(await json('field', 'ls'), []);
});

test('a user may do what the roles of their groups allow, where they have them', async () => {
  const password = join(files, 'ann-password');
  await does('user', 'create', 'ann', '--description', 'Ann Example', '--new-password-file', password);
  await does('group', 'create', 'operators');
  await does('group', 'add', 'operators', 'ann');
  assert.match(await does('user', 'ls', '--group', 'operators'), /Ann Example/);
  await does('role', 'create', 'renamer', 'VirtualMachine.Config.Rename');
  await does('folder', 'create', '/Datacenter/vm/hers');
  await does('mv', 'web2', '/Datacenter/vm/hers');
  await does('permission', 'set', 'operators', 'renamer', '/Datacenter/vm/hers', '--group');
  assert.match(await does('permission', 'ls', 'web2'), /operators \(group\) +renamer +\/Datacenter\/vm\/hers +yes/);

  const asAnn = ['--username', 'ann', '--password-file', password];
  const seen = await json<{ name: string }[]>('ls', ...asAnn);
  assert.deepEqual(
    seen.map(({ name }) => name),
    ['web2'],
  );
  await does('rename', 'web2', 'hers', ...asAnn);
  await refuses(1, /ermission/, 'rm', 'hers', ...asAnn);
  await refuses(4, /no machine 'web1'/, 'info', 'web1', ...asAnn);
  await does('rename', 'hers', 'web2');

  await refuses(1, /./, 'role', 'rm', 'renamer');
  await does('permission', 'rm', 'operators', '/Datacenter/vm/hers', '--group');
  assert.deepEqual(await json('ls', ...asAnn), []);
  await does('role', 'rm', 'renamer');
  await writeFile(join(files, 'new-password'), 'Another-horse-8\n');
  await does('user', 'password', 'ann', '--new-password-file', join(files, 'new-password'));
  await refuses(3, /--password-file/, 'ls', ...asAnn);
  await does('group', 'remove', 'operators', 'ann');
  await does('group', 'rm', 'operators');
  await does('user', 'rm', 'ann');
  assert.ok(!(await does('user', 'ls')).includes('Ann Example'));
});

test('what hosts use is listed and sampled, and kept as somebody asks', async () => {
  const counters = async () => json<{ name: string; instances: string[] }[]>('metric', 'ls', own, '-g', 'cpu');
  await eventually(async () => (await counters()).some(({ name }) => name === 'cpu.usage.average'), 'a sample', 60_000);
  const usage = (await counters()).find(({ name }) => name === 'cpu.usage.average');
  assert.ok(usage?.instances.includes('0'));
  const [sample] = await json<{ values: number[]; times: string[]; interval: number }[]>(
    ...['metric', 'sample', own, 'cpu.usage.average', '-n', '1'],
  );
  assert.equal(sample?.interval, 20);
  assert.equal(sample?.times.length, 1);
  assert.ok((sample?.values[0] ?? -1) >= 0 && (sample?.values[0] ?? 101) <= 100, 'percent');
  assert.match(await does('metric', 'sample', own, 'cpu.usage.average'), /cpu\.usage\.average .* % .*[▁▂▃▄▅▆▇█]/);
  assert.match(await does('metric', 'info', 'mem.usage.average'), /mem\.usage\.average +24 +Percentage/);
  assert.match(await does('metric', 'interval', 'ls'), /5m +Past day +1d +1 +yes/);
  await does('metric', 'interval', 'change', 'day', '--level', '2', '--days', '2');
  assert.match(await does('metric', 'interval', 'ls'), /5m +Past day +2d +2 +yes/);
  await refuses(1, /cannot keep more/, 'metric', 'interval', 'change', 'week', '--level', '3');
  await refuses(4, /no counter/, 'metric', 'sample', own, 'cpu.warmth.average');
  await refuses(2, /No counter/, 'metric', 'sample', own);
});

test('machines are cloned, whole, linked and from templates', async () => {
  const whole = await json<{ id: string }>('vm', 'clone', 'web1', 'copy', '--disks', 'thick', '--annotation', 'a copy');
  assert.match(whole.id, /^vm-\d+$/);
  const flat = await stat(join(center.datastore, 'copy', 'copy-flat.vmdk'));
  assert.ok(flat.blocks * 512 >= flat.size, 'all of its room is taken');
  await refuses(2, /needs --snapshot[\s\S]*hypo snapshot create/, 'vm', 'clone', 'web1', 'desk', '--link');
  await does('snapshot', 'create', 'web1', 'base');
  assert.match(await does('vm', 'clone', 'web1', 'desk', '--link', '--snapshot', 'base'), /desk: cloned from web1/);
  assert.ok(existsSync(join(center.datastore, 'desk', 'desk-delta.qcow2')));
  await does('vm', 'markastemplate', 'copy');
  await refuses(1, /template/, 'power', 'on', 'copy');
  await does('vm', 'clone', 'copy', 'made', '--cpus', '2', '--host', own);
  await does('vm', 'markasvm', 'copy', '--host', own);
  await does('snapshot', 'rm', 'web1', 'base');
  for (const name of ['made', 'copy', 'desk']) {
    await does('rm', name);
    assert.ok(!existsSync(join(center.datastore, name)));
  }
});

test('events and tasks are those of an object, of a kind, of a state', async () => {
  type Told = { type: string; user: string };
  const events = async (...args: string[]) =>
    (await does('events', ...args, '--json'))
      .trimEnd()
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Told);
  const created = await events('web1', '--type', 'VmCreatedEvent', 'VmDeployedEvent', 'VmRegisteredEvent');
  assert.ok(created.length > 0 && created.every(({ type }) => /^Vm(Created|Deployed|Registered)Event$/.test(type)));
  assert.deepEqual(await events('--user', 'nobody'), []);
  assert.match(await does('events', '-l', '-n', '5'), /Event {2}/);
  const tasks = await json<{ state: string; entity: string }[]>('tasks', 'web1', '--state', 'success');
  assert.ok(tasks.length > 0 && tasks.every(({ state, entity }) => state === 'success' && entity === 'web1'));
  await refuses(2, /no state/, 'tasks', '--state', 'done');
});

test('machines, folders and hosts go; what is let go runs on where it is', async () => {
  await does('folder', 'rm', '--keep-files', '/Datacenter/vm/hers');
  assert.equal(await at('Datacenter/vm/hers'), undefined);
  assert.ok(existsSync(join(other.datastore, 'web2', 'web2.vmx')), 'forgotten, not deleted');
  await does('rm', 'web1');
  assert.ok(!existsSync(join(center.datastore, 'web1')));
  await does('host', 'rm', '127.0.0.1');
  assert.equal(await hostRow('127.0.0.1'), undefined);
  const alone = await command(['ls', '--json'], other.home);
  assert.deepEqual([alone.code, JSON.parse(alone.output)], [0, []]);
  await refuses(
    1,
    /hypo up/,
    'host',
    'rm',
    own,
    '--url',
    other.url,
    '--username',
    'root',
    '--insecure',
    ...['--password-file', join(files, 'other-password')],
  );
});

test('a machine is made with a medium that is uploaded, started, and goes with its files', async () => {
  const medium = join(files, 'tools.iso');
  await writeFile(medium, 'a medium'.repeat(10_000));
  const iso = '[datastore1] iso/tools.iso';
  assert.match(await does('datastore', 'upload', medium, iso), /tools\.iso: 80000 bytes/);
  await refuses(1, /exists/, 'datastore', 'upload', medium, iso);
  await does('datastore', 'upload', '--force', medium, iso);
  const back = join(files, 'back.iso');
  await does('datastore', 'download', iso, back);
  assert.equal(await readFile(back, 'utf8'), await readFile(medium, 'utf8'));
  await refuses(1, /there already[\s\S]*--force/, 'datastore', 'download', iso, back);
  await refuses(4, /not there[\s\S]*datastore ls '\[datastore1\] iso\/'/, 'datastore', 'download', `${iso}x`);
  assert.equal(await readFile(back, 'utf8'), await readFile(medium, 'utf8'), 'what was there before stays');

  const options = ['--cpus', '2', '--memory', '64', '--iso', iso, '--annotation', 'by command'];
  const disks = ['--disk', '4M', '--disk', '2M', '--controller', 'lsilogic', '--provisioning', 'eager'];
  const { id } = await json<{ id: string }>('vm', 'create', 'built', ...options, ...disks);
  assert.match(id, /^vm-\d+$/);
  const flat = await stat(join(center.datastore, 'built', 'built-flat.vmdk'));
  assert.deepEqual([flat.size, flat.blocks * 512 >= flat.size], [4 * mebibyte, true]);
  const devices = (await json<{ type: string }[]>('device', 'ls', 'built')).map(({ type }) => type);
  for (const type of ['VirtualLsiLogicController', 'VirtualDisk', 'VirtualVmxnet3', 'VirtualCdrom'])
    assert.ok(devices.includes(type), `${devices} have a ${type}`);
  await refuses(1, /exists/, 'vm', 'create', 'built');
  await refuses(4, /no datastore 'nowhere'/, 'vm', 'create', 'other', '--datastore', 'nowhere');
  assert.match(await does('vm', 'info', 'built'), /^annotation +by command$/m);
  assert.match(await does('vm', 'ls'), /^built +poweredOff +2 +64/m);
  assert.match(await does('vm', 'question', 'built'), /asks nothing/);
  await refuses(4, /asks nothing/, 'vm', 'question', 'built', '--answer', 'retry');
  await does('vm', 'unregister', 'built');
  await does('vm', 'register', '[datastore1] built/built.vmx');

  await does('host', 'autostart', 'configure', '--enabled', 'yes', '--stop-action', 'suspend');
  await does('host', 'autostart', 'add', 'built', '--order', '1', '--stop-action', 'powerOff', '--stop-delay', '30');
  assert.match(await does('host', 'autostart', 'ls'), /^built +1 +powerOn +default \(120 s\) +powerOff +30 s$/m);
  await does('host', 'autostart', 'start');
  await eventually(async () => /^built +poweredOn/m.test(await does('vm', 'ls')), 'it to run', 60_000);
  assert.equal((await center.engines()).length, 1);
  await refuses(1, /powered on[\s\S]*--force/, 'vm', 'destroy', 'built');
  assert.match(await does('host', 'autostart', 'stop'), /^built: off$/m);
  assert.equal((await center.engines()).length, 0);
  await does('host', 'autostart', 'rm', 'built');
  assert.deepEqual((await json<{ machines: unknown[] }>('host', 'autostart', 'ls')).machines, []);
  await does('vm', 'destroy', 'built');
  assert.ok(!existsSync(join(center.datastore, 'built')));
});
