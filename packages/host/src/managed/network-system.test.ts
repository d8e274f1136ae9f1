import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { VimFault } from '@hypostyle/vim';
import { references } from '../inventory/references.ts';
import { Computer } from '../testing/host-fixture.ts';

const { host, networkSystem } = references;

test("a host's networks are port groups of its switch, wherever a client looks", async () => {
  const computer = await Computer.make();
  try {
    const daemon = await computer.start();
    const { registry } = daemon.host;
    const network = registry.read(host, 'config')?.network;
    const [own] = network?.vswitch ?? [];
    assert.equal(own?.name, 'vSwitch0');
    assert.deepEqual(
      own?.portgroup,
      network?.portgroup?.map(({ key }) => key),
    );
    const networks = registry.read(host, 'network')?.map((ref) => registry.read(ref, 'name'));
    assert.deepEqual(
      network?.portgroup?.map(({ spec }) => spec.name),
      networks,
    );
    assert.deepEqual(registry.read(networkSystem, 'networkInfo'), network);
    assert.deepEqual(registry.read(host, 'configManager')?.networkSystem?.value, networkSystem.value);
    assert.equal(registry.read(host, 'summary')?.hardware?.numNics, network?.pnic?.length);
    const config = registry.read(networkSystem, 'networkConfig');
    assert.deepEqual(
      config?.pnic?.map(({ device }) => device),
      network?.pnic?.map(({ device }) => device),
    );
    await daemon.call(networkSystem, 'RefreshNetworkSystem');
    assert.deepEqual(registry.read(host, 'config')?.network, network);
    const spec = { _typeName: 'HostVirtualSwitchSpec', numPorts: 8 };
    await assert.rejects(
      daemon.call(networkSystem, 'AddVirtualSwitch', { vswitchName: 'vSwitch1', spec }),
      (error) => (error as VimFault).type === 'NotSupported',
    );
    await daemon.host.close();
    assert.deepEqual(computer.defects, []);
  } finally {
    await computer.remove();
  }
});
