import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readPhysicalPorts } from './physical-ports.ts';

test('ports that are devices, with their bus, driver and link, as the kernel lists them', async () => {
  const root = await mkdtemp(join(tmpdir(), 'hypostyle-ports-'));
  try {
    const net = join(root, 'class/net');
    const device = join(root, 'devices/pci0000:00/0000:00:03.0/virtio0');
    const driver = join(root, 'bus/drivers/virtio_net');
    for (const folder of [device, driver, join(net, 'lo'), join(net, 'br0'), join(net, 'ens3')])
      await mkdir(folder, { recursive: true });
    await symlink(device, join(net, 'ens3/device'));
    await symlink(driver, join(device, 'driver'));
    for (const [file, text] of Object.entries({ address: '52:54:00:12:34:56', speed: '10000', duplex: 'full' }))
      await writeFile(join(net, 'ens3', file), `${text}\n`);
    assert.deepEqual(await readPhysicalPorts(net), [
      {
        device: 'ens3',
        mac: '52:54:00:12:34:56',
        pci: '0000:00:03.0',
        driver: 'virtio_net',
        link: { speedMb: 10_000, duplex: true },
      },
    ]);
    // As the kernel has it where the link is down.
    await writeFile(join(net, 'ens3/speed'), '-1\n');
    assert.equal((await readPhysicalPorts(net))[0]?.link, undefined);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});

test('a machine that lists no ports has none', async () => {
  assert.deepEqual(await readPhysicalPorts('/nonexistent'), []);
});
