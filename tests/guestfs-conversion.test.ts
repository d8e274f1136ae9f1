import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { data, type VirtualDeviceConfigSpec } from '@hypostyle/vim';
import { run } from '../packages/cli/src/run.ts';
import { memoryContext } from '../packages/cli/src/testing/memory-terminal.ts';
import { Face } from './clients/bed/face.ts';
import { Daemon } from './harness/daemon.ts';
import { added, createMachine, guestSpec } from './harness/guest-machine.ts';
import { installedContent, installedLinux, missingForInstalledLinux } from './harness/installed-linux.ts';

// virt-v2v of Debian makes a machine of KVM from an installed Linux of ours, by every way that it reads us without
// VMware's own library; what it made boots in plain QEMU to user space. It starts a small system of its own each time.
const execute = promisify(execFile);
const machine = 'installed';
const absent =
  spawnSync('virt-v2v', ['--version']).error === undefined
    ? missingForInstalledLinux()
    : 'virt-v2v is not installed: node scripts/debian-packages.mjs guestfs';
const long = process.env.HYPOSTYLE_WHOLE === undefined ? 'each takes minutes: npm run test:clients has it' : undefined;
const skip = absent ?? long ?? false;
/** Its small system runs on any computer: KVM may be there and not work. */
const environment = {
  ...process.env,
  LIBGUESTFS_BACKEND: 'direct',
  LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg',
  LC_ALL: 'C',
};
/** Of one conversion or boot, milliseconds. */
const limit = 1_500_000;

let folder: string;
let daemon: Daemon | undefined;
let faces: Readonly<Record<'host' | 'center', Face>>;

before(async () => {
  if (skip !== false) return;
  folder = await mkdtemp(join(tmpdir(), 'hypostyle-conversion-'));
  const installed = await installedLinux();
  daemon = await Daemon.start({ mode: 'center' });
  faces = { host: await Face.open(daemon, 'host'), center: await Face.open(daemon, 'center') };
  const { client } = faces.host;
  // Its disk lies in its folder, as those that are made with it do: virt-v2v looks for it beside the .vmx.
  const options = { name: machine, memoryMiB: 512, controller: 'scsi' } as const;
  const spec = guestSpec(options, `[datastore1] ${machine}/system.vmdk`);
  const isDisk = ({ device }: VirtualDeviceConfigSpec) => device._typeName === 'VirtualDisk';
  const devices = spec.deviceChange ?? [];
  const made = await createMachine(client, { ...spec, deviceChange: devices.filter((one) => !isDisk(one)) });
  await hypo('disk', 'convert', installed, join(daemon.datastore, machine, 'system.vmdk'), '--to', 'vmfs');
  const disks = devices.filter(isDisk).map(({ device }) => added({ ...device, controllerKey: 1000 }));
  const change = data('VirtualMachineConfigSpec', { deviceChange: disks });
  await client.waitForTask(await client.call(made, 'ReconfigVM_Task', { spec: change }));
  for (const { home, password } of Object.values(faces))
    await writeFile(join(home, 'password'), password, { mode: 0o600 });
});

after(async () => {
  if (skip !== false) return;
  for (const face of Object.values(faces ?? {})) await face[Symbol.asyncDispose]();
  await daemon?.remove();
  await rm(folder, { recursive: true, force: true });
});

async function hypo(...args: string[]): Promise<void> {
  const memory = memoryContext({ HYPOSTYLE_HOME: daemon?.home ?? folder });
  assert.equal(await run(args, memory.context), 0, `${args.join(' ')}: ${memory.errors()}`);
}

/** Converts; what it says of itself when it fails is its last words alone. */
async function convert(words: readonly string[]): Promise<void> {
  const log = join(folder, 'virt-v2v.log');
  const command = 'exec virt-v2v -v -x "$@" >"$0" 2>&1';
  try {
    await execute('sh', ['-c', command, log, ...words], { env: environment, timeout: limit });
  } catch (error) {
    const said = await readFile(log, 'utf8').catch(() => '');
    throw new Error(`virt-v2v failed: ${said.slice(-20_000)}`, { cause: error });
  }
}

/** What a system said on its serial port until it said that it is at user space. */
async function bootedTo(disk: string): Promise<string> {
  const words = [
    ...['-machine', 'pc,accel=tcg', '-m', '512', '-nodefaults', '-display', 'none', '-serial', 'stdio', '-no-reboot'],
    ...['-drive', `file=${disk},format=qcow2,if=virtio,snapshot=on`],
  ];
  const engine = spawn('qemu-system-x86_64', words, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  const timer = setTimeout(() => engine.kill('SIGKILL'), limit);
  try {
    await new Promise<void>((resolve) => {
      for (const stream of [engine.stdout, engine.stderr]) {
        stream.setEncoding('utf8');
        stream.on('data', (text: string) => {
          said += text;
          if (/^installed: .*\r?\n/m.test(said)) resolve();
        });
      }
      engine.once('close', () => resolve());
    });
    return said;
  } finally {
    clearTimeout(timer);
    engine.kill('SIGKILL');
  }
}

const libvirt = (endpoint: 'host' | 'center') => {
  const { home, host, port, username, datacenter, hostName } = faces[endpoint];
  const [scheme, path] = endpoint === 'host' ? ['esx', ''] : ['vpx', `${datacenter}/${hostName}`];
  const uri = `${scheme}://${encodeURIComponent(username)}@${host}:${port}/${path}?no_verify=1`;
  return ['-i', 'libvirt', '-ic', uri, '-ip', join(home, 'password'), machine];
};

const ways: readonly { readonly name: string; readonly source: () => string[] | Promise<string[]> }[] = [
  {
    name: 'an export (-i ova)',
    async source() {
      const ova = join(folder, `${machine}.ova`);
      await hypo('export', machine, ova);
      return ['-i', 'ova', ova];
    },
  },
  {
    name: 'its folder on a datastore (-i vmx)',
    source: () => ['-i', 'vmx', join(daemon!.datastore, machine, `${machine}.vmx`)],
  },
  { name: 'a host by HTTPS (-ic esx://)', source: () => libvirt('host') },
  { name: 'a center by HTTPS (-ic vpx://)', source: () => libvirt('center') },
];

for (const { name, source } of ways) {
  test(`virt-v2v converts ${name}, and it boots`, { skip, timeout: 3 * limit }, async () => {
    const target = join(folder, 'converted');
    await mkdir(target);
    const words = [...(await source()), '-o', 'local', '-os', target, '-of', 'qcow2', '-on', 'converted'];
    try {
      await convert(words);
      const said = await bootedTo(join(target, 'converted-sda'));
      const digest = createHash('sha256').update(installedContent).digest('hex');
      assert.match(said.replaceAll('\r', ''), new RegExp(`^installed: /dev/vda1 ${digest}$`, 'm'), said.slice(-2_000));
    } finally {
      await rm(target, { recursive: true });
    }
  });
}
