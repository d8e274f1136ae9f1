import assert from 'node:assert/strict';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { data } from '@hypostyle/vim';
import { type Center, centerOf } from './harness/center.ts';
import { Daemon } from './harness/daemon.ts';
import { memoryMiBOf } from './harness/engines.ts';
import { descriptorOf, streamDisk, tarOf } from './harness/package-files.ts';
import { runPlaybook } from './harness/playbook.ts';

// Debian's ansible-playbook with community.vmware, unmodified. Its modules of tags and categories need VMware's Automation
// SDK for Python, which Debian has not, and are not run; what they need of pyVmomi and Debian's has not is in
// `clients/ansible/python`.
const skip =
  process.env.HYPOSTYLE_WHOLE === undefined ? 'the bed of clients has its quick part; npm run test:clients' : false;

describe("Debian's Ansible at a center", { skip }, () => {
  // Some modules know port 443 alone, which takes root; any address of 127.0.0.0/8 is this machine's.
  const isRoot = process.getuid?.() === 0;
  const number = () => 1 + Math.floor(Math.random() * 250);
  const listen = isRoot ? `127.${number()}.${number()}.${number()}:443` : '127.0.0.1:0';
  let daemon: Daemon;
  let center: Center;
  let esxi: string;

  before(async () => {
    daemon = await Daemon.start({ mode: 'center', listen });
    center = await centerOf(daemon);
    esxi = (await center.localHost()).name;
    const { accountManager } = await center.client.content();
    assert.ok(accountManager);
    const user = data('HostAccountSpec', { id: 'olga', password: 'a Long 1 word!' });
    await center.client.call(accountManager, 'CreateUser', { user });
  });
  after(async () => {
    await center?.[Symbol.asyncDispose]();
    await daemon?.remove();
  });

  it('reads what center and host are', async () => {
    const { answer, changed } = await runPlaybook('facts', daemon, { esxi });
    assert.deepEqual(changed, []);
    const { api_type: type, product_line_id: line } = answer<Record<string, unknown>>('about', 'about_info');
    assert.deepEqual([type, line], ['VirtualCenter', 'vpx']);
    assert.match(JSON.stringify(answer('datacenters', 'datacenter_info')), /"name":"Datacenter"/);
    const facts = answer<Record<string, unknown>>('host facts', 'ansible_facts');
    assert.equal(facts.ansible_hostname, esxi);
    assert.equal(facts.ansible_host_connection_state, 'connected');
    assert.ok(Number(facts.ansible_memtotal_mb) > 500);
    const properties = answer<Record<string, Record<string, unknown>>>('host facts by property', 'ansible_facts');
    assert.equal(properties.runtime?.connectionState, 'connected');
    const roles = answer<{ readonly role_name: string; readonly role_id: number }[]>('roles', 'local_role_info');
    assert.ok(roles.some(({ role_name: name, role_id: id }) => name === 'Admin' && id === -1));
  });

  it('makes an inventory, once, and takes it away', async () => {
    const first = await runPlaybook('inventory', daemon, { esxi });
    assert.deepEqual(first.changed, Object.keys(first.results).slice(0, 13), 'all that is made is new');
    const again = await runPlaybook('inventory', daemon, { esxi });
    assert.deepEqual(again.changed, [], 'a second run changes nothing');
    const folders = JSON.stringify(again.answer('folder info', 'flat_folder_info'));
    for (const path of ['vm/web/front', 'host/racks', 'datastore/fast', 'network/dmz']) {
      assert.ok(folders.includes(`/Second site/${path}"`), path);
    }
    assert.ok('cluster one' in again.answer<object>('cluster info', 'clusters'));
    assert.match(JSON.stringify(again.results['permission info']), /olga/i);

    const removed = await runPlaybook('inventory-removed', daemon, { esxi, there: true });
    assert.deepEqual(removed.changed, Object.keys(removed.results));
    const nothing = await runPlaybook('inventory-removed', daemon, { esxi, there: false });
    assert.deepEqual(nothing.changed, []);
  });

  it('makes a machine, once, drives it, and takes it away', async () => {
    const first = await runPlaybook('machines', daemon, { esxi });
    assert.deepEqual(first.changed, ['folder', 'attribute', 'guest', 'attributes of the guest']);
    const [engine, ...others] = await daemon.engines();
    assert.ok(engine !== undefined && others.length === 0, 'one engine runs');
    assert.equal(memoryMiBOf(engine), 96);
    assert.ok(engine.arguments.some((argument) => argument.includes('00:50:56:12:34:56')));
    const again = await runPlaybook('machines', daemon, { esxi });
    assert.deepEqual(again.changed, [], 'a second run changes nothing');
    assert.equal((await daemon.engines())[0]?.pid, engine.pid);
    const instance = again.answer<Record<string, unknown>>('info', 'instance');
    assert.equal(instance.hw_name, 'web-1');
    assert.equal(instance.hw_power_status, 'poweredOn');
    assert.equal(instance.hw_folder, '/Datacenter/vm/web');
    assert.equal(instance.hw_esxi_host, esxi);
    assert.equal(instance.annotation, 'made by a playbook');
    assert.deepEqual(again.answer('found', 'folders'), ['/Datacenter/vm/web']);
    const disks = again.answer<Record<string, { readonly capacity_in_kb: number }>>('disks', 'guest_disk_info');
    assert.deepEqual(
      Object.values(disks).map(({ capacity_in_kb: capacity }) => capacity),
      [32 * 1024, 16 * 1024],
    );
    const [listed] = again.answer<Record<string, unknown>[]>('all machines', 'virtual_machines');
    assert.equal(listed?.guest_name, 'web-1');
    assert.deepEqual(listed?.attributes, { owner: 'web team' });

    const uuid = instance.hw_product_uuid;
    const driven = await runPlaybook('machines-changed', daemon, { esxi, uuid });
    assert.deepEqual(
      driven.changed,
      Object.keys(driven.results).filter((name) => name !== 'off again' && name !== 'info'),
    );
    const changed = driven.answer<Record<string, unknown>>('info', 'instance');
    assert.equal(changed.hw_memtotal_mb, 128);
    assert.equal(changed.hw_processor_count, 1);
    assert.equal((changed.hw_interfaces as unknown[]).length, 2);
    assert.equal(changed.hw_folder, '/Datacenter/vm');
    assert.deepEqual(await daemon.engines(), []);

    const removed = await runPlaybook('machines-removed', daemon, { esxi });
    assert.deepEqual(removed.changed, Object.keys(removed.results));
    await assert.rejects(stat(join(daemon.datastore, 'web-1')), /ENOENT/);
    assert.deepEqual((await runPlaybook('machines-removed', daemon, { esxi })).changed, []);
  });

  it('brings files and appliances', {
    skip: isRoot ? false : 'Ansible sends files to port 443 alone, which only root may open: run it as root',
  }, async () => {
    const appliance = join(daemon.home, 'appliance.ova');
    const disk = await streamDisk(4 << 20);
    const href = 'appliance-disk1.vmdk';
    const ovf = descriptorOf({ name: 'appliance', href, fileBytes: disk.length, capacityBytes: 4 << 20 });
    const members = [
      { name: 'appliance.ovf', content: Buffer.from(ovf) },
      { name: href, content: disk },
    ];
    await writeFile(appliance, tarOf(members));
    const file = join(daemon.home, 'tls', 'ca.crt');
    const { changed } = await runPlaybook('files', daemon, { esxi, appliance, file });
    assert.deepEqual(changed, ['folder', 'file', 'appliance', 'gone']);
    const sent = await readFile(join(daemon.datastore, 'notes', 'from ansible.txt'), 'utf8');
    assert.equal(sent, await readFile(file, 'utf8'));
  });
});
