import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type Client, data, type VmConfigSpec } from '@hypostyle/vim';
import { buildAppliance } from '../appliance/build.ts';
import { Daemon, hypo } from './harness/daemon.ts';
import {
  added,
  createMachine,
  type Machine,
  machineSpec,
  powerOn,
  references,
  signedIn,
} from './harness/guest-machine.ts';

const run = promisify(execFile);

describe('properties given at deploy', () => {
  let home: string;
  let daemon: Daemon;
  let client: Client;
  let port: number;
  let machine: Machine;

  before(async () => {
    const { ova } = await buildAppliance();
    home = await mkdtemp(join(tmpdir(), 'hypostyle-properties-'));
    daemon = await Daemon.start({ home });
    client = await signedIn(daemon);
    port = await freePort();
    await run(process.execPath, [
      hypo,
      ...['--home', daemon.home, 'deploy', ova, '--name', 'shop', '--forward', `${port}:80`],
      ...['--property', 'title=Fish & chips', '--property', 'hostname=kelp', '--power-on'],
    ]);
    const [folder] = await client.retrieve(references.vmFolder, ['childEntity']);
    machine = folder?.values.childEntity?.[0] as Machine;
  });

  after(async () => {
    await daemon?.remove();
    await rm(home, { recursive: true, force: true });
  });

  it('reach the guest on a disc, and by the firmware', async () => {
    const page = await pageOf(port, /Property title/);
    assert.match(page, /<h1>Fish &amp; chips<\/h1>/);
    assert.match(page, /Host name<\/th><td>kelp</);
    assert.match(page, /with an OVF environment on the disc sr0 and in guestinfo\.ovfEnv/);
  });

  it('are seen by clients, and the disc is not part of the configuration', async () => {
    const [found] = await client.retrieve(machine, ['config', 'summary']);
    const { config, summary } = found?.values ?? {};
    const title = config?.vAppConfig?.property?.find(({ id }) => id === 'title');
    assert.equal(title?.value, 'Fish & chips');
    assert.equal(title?.type, 'string(0..80)');
    assert.deepEqual(config?.vAppConfig?.ovfEnvironmentTransport, ['iso', 'com.vmware.guestInfo']);
    assert.equal(summary?.config.product?.name, 'Hypostyle demo appliance');
    const told = config?.extraConfig?.find(({ key }) => key === 'guestinfo.ovfEnv')?.value;
    assert.match(String(told), /oe:key="title" oe:value="Fish &amp; chips"/);
    const vmx = await readFile(join(daemon.datastore, 'shop', 'shop.vmx'), 'utf8');
    assert.match(vmx, /hypostyle\.vApp = "TRUE"/);
    assert.doesNotMatch(vmx, /ovf-env|Fish/);
    const file = await stat(join(daemon.datastore, 'shop', '.hypo', 'vapp.json'));
    assert.equal(file.mode & 0o777, 0o600);
  });

  it('are kept over a restart of the host; a change reaches the guest at its next start', async () => {
    await client[Symbol.asyncDispose]();
    await daemon.stop();
    daemon = await Daemon.start({ home });
    client = await signedIn(daemon);
    const property = (await configOf(machine))?.vAppConfig?.property?.find(({ id }) => id === 'title');
    assert.equal(property?.value, 'Fish & chips');
    const ovfEnvironmentTransport = ['com.vmware.guestInfo'];
    await reconfigure(machine, { property: [edit(property?.key ?? -1, 'Mushy peas')], ovfEnvironmentTransport });
    assert.match(await pageOf(port, /Property title/), /<h1>Fish &amp; chips<\/h1>/);
    await client.waitForTask(await client.call(machine, 'PowerOffVM_Task', {}));
    await powerOn(client, machine);
    const page = await pageOf(port, /Property title/);
    assert.match(page, /<h1>Mushy peas<\/h1>/);
    assert.match(page, /Host name<\/th><td>kelp</);
    assert.match(page, /with an OVF environment in guestinfo\.ovfEnv/);
  });

  it('reach a machine without a drive of its own, which goes on with its disc after a suspend', async () => {
    await client.waitForTask(await client.call(machine, 'PowerOffVM_Task', {}));
    const drives = (await configOf(machine))?.hardware.device?.filter(({ _typeName }) => _typeName === 'VirtualCdrom');
    assert.equal(drives?.length, 1);
    const deviceChange = drives.map((device) => ({ ...added(device), operation: 'remove' as const }));
    const spec = data('VirtualMachineConfigSpec', { deviceChange });
    await client.waitForTask(await client.call(machine, 'ReconfigVM_Task', { spec }));
    await reconfigure(machine, { ovfEnvironmentTransport: ['iso', 'com.vmware.guestInfo'] });
    await powerOn(client, machine);
    assert.match(await pageOf(port, /Property title/), /Mushy peas[\s\S]*OVF environment on the disc sr0/);
    await client.waitForTask(await client.call(machine, 'SuspendVM_Task', {}));
    await powerOn(client, machine);
    assert.match(await pageOf(port, /Property title/), /Mushy peas/);
    const [engine] = await daemon.engines();
    assert.match(engine?.arguments.join(' ') ?? '', /ovf-env\.iso/);
    const devices = (await configOf(machine))?.hardware.device ?? [];
    assert.ok(!devices.some(({ _typeName }) => _typeName === 'VirtualCdrom'), 'the drive is there for the run only');
    await client.waitForTask(await client.call(machine, 'PowerOffVM_Task', {}));
  });

  it('that a machine needs and does not have keep it off, and secrets stay out of its events', async () => {
    const secret = 'correct horse battery';
    const property = [
      { key: 0, id: 'size', label: 'Size', type: 'int(1..9)', userConfigurable: true },
      { key: 1, id: 'secret', type: 'password', userConfigurable: true, value: secret },
    ].map((info) => data('VAppPropertySpec', { operation: 'add', info: data('VAppPropertyInfo', info) }));
    const vAppConfig = data('VmConfigSpec', { property, ovfEnvironmentTransport: ['iso'] });
    const other = await createMachine(client, { ...machineSpec('other'), vAppConfig });
    await assert.rejects(powerOn(client, other), { type: 'UnconfiguredPropertyValue', message: /Size/ });
    await assert.rejects(reconfigure(other, { property: [edit(0, '10')] }), { type: 'InvalidPropertyValue' });
    await reconfigure(other, { property: [edit(0, '9'), edit(1, `${secret}!`)] });
    const { eventManager } = await client.content();
    const events = await client.call(eventManager!, 'QueryEvents', { filter: data('EventFilterSpec', {}) });
    const about = events?.filter((event) => event.vm?.vm.value === other.value) ?? [];
    assert.ok(about.some((event) => event._typeName === 'VmReconfiguredEvent'));
    assert.ok(!JSON.stringify(events).includes(secret));
    assert.ok(!daemon.output.includes(secret));
    await client.waitForTask(await client.call(other, 'Destroy_Task', {}));
  });

  it('whose file is damaged keep the machine off until they are given anew or removed', async () => {
    const vAppConfig = data('VmConfigSpec', { ovfEnvironmentTransport: ['iso'] });
    const other = await createMachine(client, { ...machineSpec('damaged'), vAppConfig });
    await writeFile(join(daemon.datastore, 'damaged', '.hypo', 'vapp.json'), '{"property": 5}');
    await client[Symbol.asyncDispose]();
    await daemon.stop();
    daemon = await Daemon.start({ home });
    client = await signedIn(daemon);
    const [found] = await client.retrieve(other, ['config', 'overallStatus']);
    assert.equal(found?.values.overallStatus, 'yellow');
    assert.equal(found?.values.config?.vAppConfig, undefined);
    await assert.rejects(powerOn(client, other), {
      type: 'InvalidVmConfig',
      message: /vapp\.json.*property is no list/,
    });
    const spec = data('VirtualMachineConfigSpec', { vAppConfigRemoved: true });
    await client.waitForTask(await client.call(other, 'ReconfigVM_Task', { spec }));
    await powerOn(client, other);
    await client.waitForTask(await client.call(other, 'PowerOffVM_Task', {}));
    const vmx = await readFile(join(daemon.datastore, 'damaged', 'damaged.vmx'), 'utf8');
    assert.doesNotMatch(vmx, /hypostyle\.vApp/);
    await client.waitForTask(await client.call(other, 'Destroy_Task', {}));
  });

  async function reconfigure(target: Machine, members: Omit<VmConfigSpec, '_typeName'>): Promise<void> {
    const vAppConfig = data('VmConfigSpec', members);
    const spec = data('VirtualMachineConfigSpec', { vAppConfig });
    await client.waitForTask(await client.call(target, 'ReconfigVM_Task', { spec }));
  }

  async function configOf(target: Machine) {
    const [found] = await client.retrieve(target, ['config']);
    return found?.values.config;
  }
});

function edit(key: number, value: string) {
  return data('VAppPropertySpec', { operation: 'edit', info: data('VAppPropertyInfo', { key, value }) });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The appliance's page once it has what is looked for. */
async function pageOf(port: number, wanted: RegExp): Promise<string> {
  const deadline = Date.now() + 120_000;
  for (let page = ''; ; await sleep(300)) {
    try {
      const answer = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(5000) });
      page = await answer.text();
      if (wanted.test(page)) return page;
    } catch {
      // It is still starting.
    }
    if (Date.now() > deadline) throw new Error(`the page never had ${wanted}: ${page}`);
  }
}
