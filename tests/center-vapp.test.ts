import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bootableDisk } from '@hypostyle/contracts/testing';
import { formatEnvelope, parseEnvelope, type VirtualSystem } from '@hypostyle/ovf';
import type { ManagedObjectReference, VAppConfigInfo } from '@hypostyle/vim';
import { run } from '../packages/cli/src/run.ts';
import { memoryContext } from '../packages/cli/src/testing/memory-terminal.ts';
import { Center } from './harness/center.ts';
import { Daemon } from './harness/daemon.ts';
import { signedIn } from './harness/guest-machine.ts';
import { descriptorOf, manifestOf, streamDisk, tarOf } from './harness/package-files.ts';

// An appliance of two machines, deployed as a person does it at a center that runs as a process.
const mebibyte = 2 ** 20;
let daemon: Daemon;
let center: Center;

before(async () => {
  daemon = await Daemon.start({ mode: 'center' });
  center = new Center(await signedIn(daemon), daemon);
});

after(async () => {
  await center?.client[Symbol.asyncDispose]();
  await daemon?.remove();
});

/** Longer than a test may take, seconds. */
const longDelay = 3_600;

interface ShopOptions {
  readonly damage?: 'db.vmdk' | 'web.vmdk';
  /** The database is a guest with an agent, and the web waits for it. */
  readonly guest?: boolean;
}

/** Two machines, of which the database starts first, with a disk each. */
async function shop({ damage, guest = false }: ShopOptions = {}): Promise<string> {
  const systems: VirtualSystem[] = [];
  const boot = guest ? await readFile(await bootableDisk({ agent: true })) : undefined;
  const sizes = [boot?.length ?? mebibyte, 2 * mebibyte];
  let read = 0;
  const content =
    boot &&
    ((bytes: number) => {
      read += bytes;
      return boot.subarray(read - bytes, read);
    });
  const disks = await Promise.all([streamDisk(sizes[0] as number, content), streamDisk(2 * mebibyte)]);
  const parts = ['db', 'web'].map((name, index) => {
    const disk = disks[index] as Buffer;
    const one = { name, href: `${name}.vmdk`, fileBytes: disk.length, capacityBytes: sizes[index] as number };
    const small = descriptorOf(one).replaceAll('file1', `file-${name}`).replaceAll('disk1', `disk-${name}`);
    // What a guest needs to boot.
    const text = guest ? small.replace('lsilogic', 'VirtualSCSI').replace('>64<', '>192<') : small;
    const envelope = parseEnvelope(Buffer.from(text));
    systems.push(envelope.content as VirtualSystem);
    return { envelope, member: { name: one.href, content: disk } };
  });
  const [first, second] = parts.map(({ envelope }) => envelope);
  assert.ok(first?.diskSection && second?.diskSection);
  const descriptor = formatEnvelope({
    ...first,
    files: [...first.files, ...second.files],
    diskSection: { ...first.diskSection, disks: [...first.diskSection.disks, ...second.diskSection.disks] },
    content: {
      kind: 'VirtualSystemCollection',
      id: 'shop',
      info: { text: 'A shop' },
      annotations: [{ info: { text: 'note' }, annotation: { text: 'sells things' } }],
      products: [],
      eulas: [],
      otherSections: [],
      startup: {
        info: { text: 'order' },
        items: [
          guest
            ? { id: 'db', order: 1, startDelay: longDelay, waitingForGuest: true }
            : { id: 'db', order: 1, startDelay: 2 },
          { id: 'web', order: 2 },
        ],
      },
      contents: systems,
    },
  });
  const members = [{ name: 'shop.ovf', content: Buffer.from(descriptor) }, ...parts.map(({ member }) => member)];
  const manifest = { name: 'shop.mf', content: Buffer.from(manifestOf(members)) };
  const hit = members.find(({ name }) => name === damage);
  if (hit !== undefined) {
    const content = Buffer.from(hit.content);
    content[content.length >> 1]! ^= 1;
    Object.assign(hit, { content });
  }
  const path = join(daemon.home, `${damage ?? 'shop'}.ova`);
  await writeFile(path, tarOf([members[0]!, manifest, ...members.slice(1)]));
  return path;
}

async function command(...args: string[]) {
  const memory = memoryContext({ HYPOSTYLE_HOME: daemon.home });
  const code = await run(args, memory.context);
  return { code, output: memory.output(), errors: memory.errors() };
}

const machinesOf = async () =>
  Promise.all(
    (await center.all('VirtualMachine')).map(async (ref) => ({
      ref,
      name: await center.property<string>(ref, 'name'),
      bootTime: await center.property<Date | undefined>(ref, 'runtime.bootTime'),
      state: await center.property<string>(ref, 'runtime.powerState'),
    })),
  );

test('a damaged file of one machine leaves nothing of any', { timeout: 120_000 }, async () => {
  const { code, errors } = await command('deploy', await shop({ damage: 'web.vmdk' }), '--name', 'broken');
  assert.notEqual(code, 0);
  assert.match(errors, /web\.vmdk/);
  for (let round = 0; round < 200 && (await machinesOf()).length > 0; round += 1) await new Promise(setImmediate);
  assert.deepEqual(await machinesOf(), []);
});

test('an appliance of two machines is deployed, and starts in its order', { timeout: 240_000 }, async () => {
  const { code, output, errors } = await command('deploy', await shop(), '--name', 'our shop', '--power-on', '--json');
  assert.equal(code, 0, errors);
  const { id, name } = JSON.parse(output) as { id: string; name: string };
  assert.equal(name, 'our shop');
  const vApp = { type: 'VirtualApp', value: id } as ManagedObjectReference<'VirtualApp'>;
  const config = await center.property<VAppConfigInfo>(vApp, 'vAppConfig');
  assert.equal(config.annotation, 'sells things');
  const machines = await machinesOf();
  assert.deepEqual(machines.map((machine) => [machine.name, machine.state]).sort(), [
    ['db', 'poweredOn'],
    ['web', 'poweredOn'],
  ]);
  const [db, web] = ['db', 'web'].map((each) => machines.find((machine) => machine.name === each));
  assert.ok(db?.bootTime && web?.bootTime);
  assert.ok(+new Date(web.bootTime) - +new Date(db.bootTime) >= 2_000, 'the web waited for the database');
  for (const { ref } of machines) assert.equal((await center.property<typeof vApp>(ref, 'parentVApp')).value, id);
  const stopped = await command('vapp', 'stop', 'our shop', '--force');
  assert.equal(stopped.code, 0, stopped.errors);
});

test('the next order waits for a real guest to answer, and no longer', { timeout: 300_000 }, async () => {
  const { code, errors } = await command('deploy', await shop({ guest: true }), '--name', 'waiting', '--power-on');
  assert.equal(code, 0, errors);
  // Those of the vApp before are off.
  const machines = (await machinesOf()).filter(({ state }) => state === 'poweredOn');
  const [db, web] = ['db', 'web'].map((each) => machines.find((machine) => machine.name === each));
  assert.ok(db?.bootTime && web?.bootTime);
  // It started though the delay is far from over, and not before the guest's agent was there.
  const guest = await center.property<{ toolsRunningStatus?: string; guestState?: string }>(db.ref, 'guest');
  assert.equal(guest.guestState, 'running');
  const waited = +new Date(web.bootTime) - +new Date(db.bootTime);
  assert.ok(waited > 500 && waited < longDelay * 1_000, `${waited} ms`);
  const stopped = await command('vapp', 'stop', 'waiting', '--force');
  assert.equal(stopped.code, 0, stopped.errors);
  assert.equal((await command('vapp', 'rm', 'waiting')).code, 0);
});

test('a vApp becomes a package with its order, and the same vApp again', { timeout: 240_000 }, async () => {
  const ok = async (...args: string[]) => {
    const { code, output, errors } = await command(...args);
    assert.equal(code, 0, `${args.join(' ')}: ${errors}`);
    return output;
  };
  const tool = (name: string, ...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(name, args, { encoding: 'utf8', timeout: 60_000 });
    assert.equal(status, 0, `${name}: ${stderr}${stdout}`);
    return stdout;
  };
  const out = join(daemon.home, 'exported');
  await mkdir(out);
  const ova = join(out, 'shop.ova');
  await ok('export', 'our shop', ova);
  assert.deepEqual(await readdir(out), ['shop.ova']);
  const disks = ['shop-disk1.vmdk', 'shop-disk2.vmdk'];
  assert.deepEqual(tool('tar', 'tf', ova).trim().split('\n'), ['shop.ovf', 'shop.mf', ...disks]);
  tool('tar', 'xf', ova, '-C', out);
  const schema = fileURLToPath(new URL('../packages/ovf/fixtures/schemas/envelope.xsd', import.meta.url));
  tool('xmllint', '--noout', '--nonet', '--schema', schema, join(out, 'shop.ovf'));
  const { content } = parseEnvelope(await readFile(join(out, 'shop.ovf')));
  assert.ok(content.kind === 'VirtualSystemCollection');
  assert.equal(content.annotations[0]?.annotation.text, 'sells things');
  const order = content.startup?.items.map(({ id, order: place, startDelay }) => [id, place, startDelay]);
  assert.deepEqual(order?.sort(), [
    ['db', 1, 2],
    ['web', 2, 0],
  ]);
  await ok('ovf', 'verify', ova);
  await ok('vapp', 'rm', 'our shop');
  assert.deepEqual(await machinesOf(), []);
  await ok('deploy', ova, '--name', 'second shop');
  const info = JSON.parse(await ok('vapp', 'info', 'second shop', '--json')) as {
    annotation: string;
    state: string;
    members: { name: string; order: number; delay: number }[];
  };
  assert.equal(info.annotation, 'sells things');
  assert.equal(info.state, 'stopped');
  assert.deepEqual(
    info.members.map(({ name, order: place, delay }) => [name, place, delay]),
    [
      ['db', 1, 2],
      ['web', 2, 0],
    ],
  );
  const again = join(out, 'again');
  await ok('export', 'second shop', again);
  for (const [index, disk] of disks.entries()) {
    tool('qemu-img', 'compare', join(out, disk), join(again, `again-disk${index + 1}.vmdk`));
  }
  await ok('snapshot', 'create', 'db', 'first');
  await ok('export', 'db', join(out, 'db.ova'), '--snapshot', 'first');
  await ok('ovf', 'verify', join(out, 'db.ova'));
  const [listed] = JSON.parse(await ok('vapp', 'ls', '--json')) as { name: string; machines: number }[];
  assert.deepEqual([listed?.name, listed?.machines], ['second shop', 2]);
  await ok('vapp', 'rm', 'second shop');
  assert.deepEqual(await machinesOf(), []);
});
