import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { GuestConsole } from '@hypostyle/contracts/testing';
import { type Center, type CenterHost, centerOf } from './harness/center.ts';
import { Daemon } from './harness/daemon.ts';
import { memoryMiBOf, serialSocketOf } from './harness/engines.ts';
import { eventually, type Machine, placeGuestDisk } from './harness/guest-machine.ts';
import { type Virsh, virshFields, virshOf } from './harness/virsh.ts';

// Every command is virsh of Debian's libvirt-clients, unmodified, by vpx:// and the path of a host.
describe("Debian's virsh at a center", () => {
  let daemon: Daemon;
  let center: Center;
  let host: CenterHost;
  let virsh: Virsh;
  let guest: Machine;

  before(async () => {
    daemon = await Daemon.start({ mode: 'center' });
    center = await centerOf(daemon);
    [host] = (await center.hosts()) as [CenterHost];
    virsh = await virshOf(daemon, { path: `Datacenter/${host.name}` });
    guest = await center.createGuest({ name: 'alpha', controller: 'scsi' });
  });
  after(async () => {
    await center?.[Symbol.asyncDispose]();
    await daemon?.remove();
  });

  const powerState = () => center.property(guest, 'runtime.powerState');

  it('finds the host by its path', async () => {
    const facts = virshFields(await virsh('nodeinfo'));
    assert.equal(Number(facts['CPU(s)']), availableParallelism());
    assert.equal(await virsh('hostname'), host.name);
    assert.match(await virsh('version'), /Running hypervisor: ESX 8\.0\.3/);
    const elsewhere = await virshOf(daemon, { path: `Nowhere/${host.name}` });
    await assert.rejects(elsewhere('list'), /Could not find datacenter|Nowhere/);
    const other = await virshOf(daemon, { path: 'Datacenter/no-such-host' });
    await assert.rejects(other('list'), /no-such-host/);
    virsh = await virshOf(daemon, { path: `Datacenter/${host.name}` });
  });

  it('lists machines and says what they are', async () => {
    assert.match(await virsh('list', '--all'), /^ -\s+alpha\s+shut off$/m);
    const facts = virshFields(await virsh('dominfo', 'alpha'));
    assert.equal(facts.UUID, await center.property(guest, 'config.uuid'));
    assert.equal(facts['Max memory'], `${192 * 1024} KiB`);
    const xml = await virsh('dumpxml', 'alpha');
    assert.match(xml, /<domain type='vmware'/);
    assert.match(xml, /<source file='\[datastore1\] images-alpha\/boot\.vmdk'\/>/);
    assert.match(xml, /<vmware:datacenterpath>Datacenter<\/vmware:datacenterpath>/);
    const moref = /<vmware:moref>(.*)<\/vmware:moref>/.exec(xml)?.[1];
    assert.equal(moref, guest.value, 'virt-v2v reads the reference there');
  });

  it('reads datastores and disks', async () => {
    assert.match(await virsh('pool-list', '--all'), /^ datastore1\s+active/m);
    assert.equal(virshFields(await virsh('pool-info', 'datastore1')).State, 'running');
    const volumes = await virsh('vol-list', 'datastore1');
    assert.match(volumes, /images-alpha\/boot\.vmdk +\[datastore1\] images-alpha\/boot\.vmdk/);
    const volume = await virsh('vol-dumpxml', '--pool', 'datastore1', 'images-alpha/boot.vmdk');
    assert.match(volume, /<capacity unit='bytes'>67108864<\/capacity>/);
  });

  it('starts, suspends, resumes, shuts down and destroys the guest', async () => {
    await virsh('start', 'alpha');
    assert.match(await virsh('list'), /alpha\s+running/);
    const [engine, ...others] = await daemon.engines();
    assert.ok(engine !== undefined && others.length === 0, 'one engine runs');
    const console = await GuestConsole.connect(serialSocketOf(engine));
    assert.equal(await console.ready(), virshFields(await virsh('dominfo', 'alpha')).UUID);
    await console.run('echo kept >/tmp/note');
    console.close();
    await assert.rejects(virsh('start', 'alpha'), /already active/);

    await virsh('suspend', 'alpha');
    assert.match(await virsh('domstate', 'alpha'), /paused/);
    assert.deepEqual(await daemon.engines(), []);
    await virsh('resume', 'alpha');
    const [resumed] = await daemon.engines();
    assert.ok(resumed);
    const again = await GuestConsole.connect(serialSocketOf(resumed));
    assert.equal(await again.run('cat /tmp/note'), 'kept');

    await virsh('shutdown', 'alpha');
    await eventually(async () => (await powerState()) === 'poweredOff', 'the guest shuts down');
    again.close();
    assert.deepEqual(await daemon.engines(), []);

    await virsh('start', 'alpha');
    await virsh('destroy', 'alpha');
    assert.equal(await powerState(), 'poweredOff');
    assert.deepEqual(await daemon.engines(), []);
  });

  it('defines a machine and undefines it, its files kept', async () => {
    // libvirt puts the .vmx beside the first disk, whose folder is there.
    await placeGuestDisk(daemon, 'beta', false);
    const file = join(daemon.home, 'beta.xml');
    await writeFile(
      file,
      `<domain type='vmware'><name>beta</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
  <os><type arch='x86_64'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'><source file='[datastore1] beta/boot.vmdk'/><target dev='sda' bus='scsi'/></disk>
    <controller type='scsi' index='0' model='lsilogic'/>
    <interface type='bridge'><source bridge='VM Network'/><model type='e1000'/></interface>
  </devices></domain>`,
    );
    await virsh('define', file);
    const beta = (await center.machines()).get('beta');
    assert.ok(beta, 'the center has it');
    assert.equal(await center.property(beta, 'config.hardware.memoryMB'), 64);
    assert.match(await readFile(join(daemon.datastore, 'beta', 'beta.vmx'), 'utf8'), /^displayName = "beta"$/m);
    await virsh('start', 'beta');
    const [engine] = await daemon.engines();
    assert.ok(engine);
    assert.equal(memoryMiBOf(engine), 64);
    await virsh('destroy', 'beta');
    await virsh('undefine', 'beta');
    assert.equal((await center.machines()).get('beta'), undefined);
    assert.match(await readFile(join(daemon.datastore, 'beta', 'beta.vmx'), 'utf8'), /displayName/);
  });
});
