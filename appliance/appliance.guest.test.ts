import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { promisify } from 'node:util';
import { parseEnvelope, virtualSystems } from '@hypostyle/ovf';
import { type Appliance, buildAppliance } from './build.ts';
import { TestMachine } from './test-machine.ts';

const run = promisify(execFile);

const disks = {
  ide: ['-device', 'ide-hd,drive=disk'],
  ahci: ['-device', 'ahci,id=bus', '-device', 'ide-hd,bus=bus.0,drive=disk'],
  'lsi parallel': ['-device', 'lsi53c895a,id=bus', '-device', 'scsi-hd,bus=bus.0,drive=disk'],
  // Linux finds no disk without a WWN there: QEMU gives the port no SAS address of its own.
  'lsi sas': ['-device', 'mptsas1068,id=bus', '-device', 'scsi-hd,bus=bus.0,drive=disk,wwn=0x5000c50000000001'],
  pvscsi: ['-device', 'pvscsi,id=bus', '-device', 'scsi-hd,bus=bus.0,drive=disk'],
  nvme: ['-device', 'nvme,serial=1,drive=disk'],
} as const;

const environment = `<?xml version="1.0" encoding="UTF-8"?>
<Environment xmlns="http://schemas.dmtf.org/ovf/environment/1" xmlns:oe="http://schemas.dmtf.org/ovf/environment/1"
    oe:id="first">
  <PropertySection>
    <Property oe:key="title" oe:value="Fish &amp; chips &lt;b&gt;"/>
    <Property oe:value='kelp' oe:key='hostname'/>
  </PropertySection>
  <Entity oe:id="second"><PropertySection><Property oe:key="title" oe:value="of another machine"/></PropertySection></Entity>
</Environment>
`;

let appliance: Appliance;
before(async () => {
  appliance = await buildAppliance();
});

test('the OVA holds a descriptor, a manifest that is right, and a disk that is whole, in that order', async () => {
  const { stdout } = await run('tar', ['-tf', appliance.ova]);
  assert.deepEqual(stdout.trim().split('\n'), ['hypostyle-demo.ovf', 'hypostyle-demo.mf', 'hypostyle-demo-disk1.vmdk']);
  const script =
    'tar -xf "$0" && sed -E "s/^SHA256\\((.*)\\)= (.*)/\\2  \\1/" hypostyle-demo.mf | sha256sum -c --strict';
  const folder = await mkdtemp(join(tmpdir(), 'appliance-'));
  await run('sh', ['-c', script, appliance.ova], { cwd: folder }).finally(() => rm(folder, { recursive: true }));
  const [machine] = virtualSystems(parseEnvelope(await readFile(appliance.ovf)));
  assert.equal(machine?.id, 'hypostyle-demo');
  await run('qemu-img', ['check', '-f', 'vmdk', appliance.vmdk]);
  await run('xmllint', ['--noout', appliance.ovf]);
});

test('it boots, shows its page with the OVF environment, answers as a guest, and obeys the power button', async () => {
  await using machine = await TestMachine.start({
    vmdk: appliance.vmdk,
    disk: disks.pvscsi,
    card: 'vmxnet3',
    environment,
    more: ['-fw_cfg', 'name=opt/org.hypostyle/guestinfo.colour,string=blue & green'],
  });
  const page = await machine.page(/Property title/);
  assert.match(page, /<h1>Fish &amp; chips &lt;b&gt;<\/h1>/);
  assert.match(page, /Host name<\/th><td>kelp</);
  assert.match(page, /eth0: 10\.0\.2\.15\/24 \(52:54:00:12:34:56, vmxnet3\)/);
  assert.match(page, /with an OVF environment on the disc sr0/);
  assert.match(page, /guestinfo\.colour<\/th><td>blue &amp; green</);
  assert.match(page, /sda: 64 MiB/);
  assert.doesNotMatch(page, /of another machine/);
  assert.deepEqual(await machine.agent('guest-get-host-name'), { 'host-name': 'kelp' });
  const interfaces = JSON.stringify(await machine.agent('guest-network-get-interfaces'));
  assert.match(interfaces, /10\.0\.2\.15/);
  assert.match(await machine.console(), /Hypostyle demo appliance[\s\S]*:\/# /);
  await machine.monitor('system_powerdown');
  await machine.off();
});

test('it reboots and shuts down when the guest agent says so', async () => {
  // Firmware reads this disk in a moment, and an IDE disk in many seconds where processors are emulated.
  await using machine = await TestMachine.start({ vmdk: appliance.vmdk, disk: disks.nvme, card: 'e1000' });
  const first = await machine.page(/<h1>Hypostyle demo appliance<\/h1>/);
  assert.match(first, /without properties/);
  const boots = async () => (await machine.console()).split('A page about this machine').length - 1;
  assert.equal(await boots(), 1);
  await machine.agent('guest-shutdown', { answers: false, arguments: { mode: 'reboot' } });
  const deadline = Date.now() + 40_000;
  while ((await boots()) < 2 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(await boots(), 2, 'it came up again');
  await machine.page(/<h1>/);
  await machine.agent('guest-shutdown', { answers: false });
  await machine.off();
});

// Every model of disk and network card once; two machines at a time would only slow each other down.
const pairs = [
  ['ahci', 'e1000e'],
  ['lsi sas', 'pcnet'],
  ['lsi parallel', 'virtio-net-pci'],
  ['nvme', 'vmxnet3'],
] as const;
for (const [disk, card] of pairs) {
  test(`it boots from ${disk} with ${card}`, async (context) => {
    const whole = process.env.HYPOSTYLE_WHOLE !== undefined;
    if (!whole && (disk === 'ahci' || disk === 'lsi parallel'))
      return context.skip('two of four models, each a boot, are tried: npm run test:clients tries all');
    if (appliance.missingDrivers.length > 0)
      return context.skip(
        `the appliance has Debian's cloud kernel, without ${appliance.missingDrivers.join(', ')}: it is built with linux-image-amd64 where that can be downloaded`,
      );
    await using machine = await TestMachine.start({ vmdk: appliance.vmdk, disk: disks[disk], card });
    // Some controllers take a moment to find their disk; the guest runs without it.
    const page = await machine.page(/(sda|nvme0n1): 64 MiB/);
    assert.match(page, /eth0: 10\.0\.2\.15/);
    await machine.monitor('system_powerdown');
    await machine.off();
  });
}
