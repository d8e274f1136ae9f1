import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
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

/** Two machines, of which the database starts first, with a disk each. */
async function shop(damage?: 'db.vmdk' | 'web.vmdk'): Promise<string> {
  const systems: VirtualSystem[] = [];
  const disks = await Promise.all([streamDisk(mebibyte), streamDisk(2 * mebibyte)]);
  const parts = ['db', 'web'].map((name, index) => {
    const disk = disks[index] as Buffer;
    const one = { name, href: `${name}.vmdk`, fileBytes: disk.length, capacityBytes: (index + 1) * mebibyte };
    const text = descriptorOf(one).replaceAll('file1', `file-${name}`).replaceAll('disk1', `disk-${name}`);
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
          { id: 'db', order: 1, startDelay: 2 },
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
  const { code, errors } = await command('deploy', await shop('web.vmdk'), '--name', 'broken');
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
  const off = await center.client.call(vApp, 'PowerOffVApp_Task', { force: true });
  await center.client.waitForTask(off);
  await center.client.waitForTask(await center.client.call(vApp, 'Destroy_Task', {}));
  assert.deepEqual(await machinesOf(), []);
});
