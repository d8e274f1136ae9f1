import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { GuestConsole } from '@hypostyle/contracts/testing';
import type { ManagedObjectReference } from '@hypostyle/vim';
import { type Center, centerOf } from './harness/center.ts';
import {
  driveMachines,
  machineSteps,
  rubySteps,
  runAtCenter,
  type Target,
  targetOf,
  transfer,
  transferSteps,
} from './harness/center-scripts.ts';
import { Curl } from './harness/curl.ts';
import { serialSocketOf } from './harness/engines.ts';
import { HostNetwork, joinHost, networksRefused } from './harness/host-network.ts';
import { runPlaybook } from './harness/playbook.ts';
import { virshFields, virshOf } from './harness/virsh.ts';

const skip = (await networksRefused()) ?? false;

// The center and every host are processes in network namespaces of their own; clients speak with the center alone.
describe('clients at a center with three hosts', { skip }, () => {
  let network: HostNetwork;
  let center: Center;
  /** The center's own host, and two that joined. */
  const targets: Target[] = [];

  before(async () => {
    network = await HostNetwork.make();
    await network.center.start();
    center = await centerOf(network.center.daemon);
    const joined = await Promise.all([network.addHost('one'), network.addHost('two')]);
    targets.push(await targetOf(center, await center.localHost(), network.center.daemon));
    for (const node of joined) {
      const reference = await joinHost(center.client, node);
      const host = (await center.hosts()).find((each) => each.reference.value === reference.value);
      assert.ok(host !== undefined);
      assert.equal(host.connectionState, 'connected');
      targets.push(await targetOf(center, host, node.daemon));
    }
  });
  after(async () => {
    await center?.[Symbol.asyncDispose]();
    await network?.remove();
  });

  it('names each datastore and host once', () => {
    for (const values of [targets.map(({ datastore }) => datastore), targets.map(({ host }) => host.name)]) {
      assert.equal(new Set(values).size, 3, `${values}`);
    }
  });

  it('pyVmomi walks the tree of all of them', async () => {
    for (const target of targets.slice(1))
      assert.equal((await runAtCenter('center_walk.py', center, target)).length, 7);
  });

  it('pyVmomi drives machines on a remote host', async () => {
    assert.deepEqual(await driveMachines(center, targets[1] as Target), machineSteps);
  });

  it('pyVmomi brings files and an appliance to a remote host', async () => {
    assert.deepEqual(await transfer(center, targets[2] as Target), transferSteps);
  });

  it('rbvmomi makes an inventory on a remote host', async () => {
    assert.deepEqual(await runAtCenter('rbvmomi_center.rb', center, targets[1] as Target), rubySteps);
  });

  it('Ansible makes a machine on a remote host', {
    skip:
      process.env.HYPOSTYLE_WHOLE === undefined
        ? "tried at the center's own host, and takes a minute here: npm run test:clients tries both"
        : false,
  }, async () => {
    const { host, daemon, datastore } = targets[2] as Target;
    const where = { esxi: host.name, datastore };
    const facts = await runPlaybook('facts', center.daemon, where);
    assert.equal(facts.answer<Record<string, unknown>>('host facts', 'ansible_facts').ansible_hostname, host.name);
    const made = await runPlaybook('machines', center.daemon, where);
    assert.equal(made.answer<Record<string, unknown>>('info', 'instance').hw_esxi_host, host.name);
    const [engine, ...others] = await daemon.engines();
    assert.ok(engine !== undefined && others.length === 0, 'one engine runs, on its host');
    assert.ok(engine.arguments.some((argument) => argument.includes('00:50:56:12:34:56')));
    const machine = (await center.machines()).get('web-1');
    assert.ok(machine !== undefined);
    for (const method of ['PowerOffVM_Task', 'Destroy_Task'] as const)
      await center.client.waitForTask(await center.client.call(machine, method, {}));
    assert.deepEqual(await daemon.engines(), []);
  });

  it('curl creates a machine on a remote host, and starts it', async () => {
    const { host, daemon } = targets[2] as Target;
    const curl = await Curl.signedIn(center.daemon);
    const [datastore] = (await center.property<ManagedObjectReference[]>(host.reference, 'datastore')) ?? [];
    const folder = (await center.machineFolder()).value;
    const placement = { folder, host: host.reference.value, datastore: datastore?.value };
    const spec = { name: 'by curl', guest_OS: 'OTHER_LINUX_64', placement, memory: { size_MiB: 64 }, disks: [] };
    const created = await curl.send('POST', '/api/vcenter/vm', spec);
    assert.equal(created.status, 201, JSON.stringify(created.body));
    const path = `/api/vcenter/vm/${created.body}`;
    const { body: listed } = await curl.send('GET', `/api/vcenter/vm?hosts=${host.reference.value}`);
    assert.deepEqual(
      (listed as { vm: string }[]).map(({ vm }) => vm),
      [created.body],
    );
    assert.equal((await curl.send('POST', `${path}/power?action=start`)).status, 204);
    assert.equal((await daemon.engines()).length, 1);
    assert.equal((await curl.send('POST', `${path}/power?action=stop`)).status, 204);
    assert.deepEqual(await daemon.engines(), []);
    assert.equal((await curl.send('DELETE', path)).status, 204);
  });

  it('virsh drives a machine on each host by its path', async () => {
    const [, one, two] = targets as [Target, Target, Target];
    const guests = await Promise.all(
      targets.map(({ host, daemon, datastore }, number) =>
        center.createGuest({ name: `spread-${number}`, memoryMiB: 128 }, { host, daemon, datastore }),
      ),
    );
    const { virtualMachines, hosts } = { virtualMachines: await center.machines(), hosts: await center.hosts() };
    assert.deepEqual([virtualMachines.size, hosts.length], [3, 3]);
    for (const [number, target] of targets.entries()) {
      const virsh = await virshOf(center.daemon, { path: `Datacenter/${target.host.name}` });
      const listed = await virsh('list', '--all', '--name');
      assert.deepEqual(listed.split('\n'), [`spread-${number}`], 'the machines of that host alone');
      assert.match(await virsh('pool-list', '--all'), new RegExp(`^ ${escaped(target.datastore)}\\s+active`, 'm'));
    }
    const virsh = await virshOf(center.daemon, { path: `Datacenter/${two.host.name}` });
    const xml = await virsh('dumpxml', 'spread-2');
    assert.ok(xml.includes(`<source file='[${two.datastore}] images-spread-2/boot.vmdk'/>`), xml);
    await virsh('start', 'spread-2');
    const [engine, ...others] = await two.daemon.engines();
    assert.ok(engine !== undefined && others.length === 0, 'one engine runs, on its host');
    assert.deepEqual(await one.daemon.engines(), []);
    const console = await GuestConsole.connect(serialSocketOf(engine));
    assert.equal(await console.ready(), virshFields(await virsh('dominfo', 'spread-2')).UUID);
    console.close();
    await virsh('destroy', 'spread-2');
    assert.deepEqual(await two.daemon.engines(), []);
    for (const guest of guests) {
      await center.client.waitForTask(await center.client.call(guest, 'Destroy_Task', {}));
    }
    assert.equal((await center.machines()).size, 0);
  });
});

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
