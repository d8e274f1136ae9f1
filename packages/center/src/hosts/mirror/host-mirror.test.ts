import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { smallMachine, vmFolder } from '@hypostyle/host/testing';
import { ClientError, type UpdateSet } from '@hypostyle/vim';
import { HostNetwork, TestCenter } from '../../testing/center-fixture.ts';
import type { HostConnection } from '../connection/host-connection.ts';
import type { ObjectChange } from '../following/object-updates.ts';

test('a machine that leaves in the same update in which another comes is gone', { timeout: 60_000 }, async () => {
  const network = new HostNetwork();
  const daemon = await network.add('local');
  await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('old'));
  const center = await TestCenter.open(network, undefined, 'local');
  const link = center.center.core.hosts.link(center.named('HostSystem', 'local').value);
  const [old] = daemon.machines();
  const config = { _typeName: 'VirtualMachineConfigInfo', instanceUuid: '502e9d11-44f0-a1c3-91b2-5d7700000001' };
  const changes: ObjectChange[] = [
    { kind: 'leave', ref: old!, values: {} },
    { kind: 'enter', ref: { type: 'VirtualMachine', value: 'next' }, values: { name: 'new', config } },
  ];
  await link?.mirror.enter(changes);
  await link?.mirror.leave(changes);
  assert.deepEqual(
    center.all('VirtualMachine').map((ref) => center.read(ref, 'name')),
    ['new'],
  );
  await center.close();
  await network.remove();
});

/** A network whose lines break once hosts have told of something, and before they have told all. */
class BreakingNetwork extends HostNetwork {
  breaks = false;
  broken = 0;

  override async connect(address: Parameters<HostNetwork['connect']>[0]): Promise<HostConnection> {
    const connection = await super.connect(address);
    if (!this.breaks) return connection;
    const call = async (...[self, method, args, options]: Parameters<HostConnection['call']>) => {
      if (method !== 'WaitForUpdatesEx') return connection.call(self, method, args, options);
      if ((args as { version: string }).version !== '') {
        this.broken += 1;
        throw new ClientError('connection', 'cut off');
      }
      return { ...((await connection.call(self, method, args, options)) as UpdateSet), truncated: true };
    };
    return { ...connection, call: call as HostConnection['call'] };
  }
}

test('machines of a host that breaks off while it tells of itself are not connected', { timeout: 60_000 }, async () => {
  const network = new BreakingNetwork();
  const daemon = await network.add('local');
  await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('one'));
  const center = await TestCenter.open(network, undefined, 'local');
  const host = center.named('HostSystem', 'local');
  const one = center.named('VirtualMachine', 'one');
  const states = () => [
    center.read(host, 'runtime')?.connectionState,
    center.read(one, 'runtime')?.connectionState,
    center.read(one, 'summary')?.runtime.connectionState,
  ];
  const until = async (state: string) => {
    while (center.read(host, 'runtime')?.connectionState !== state) await setTimeout(10);
  };
  await until('connected');
  network.cut('local');
  await until('notResponding');
  network.breaks = true;
  network.heal('local');
  while (network.broken === 0) await setTimeout(10);
  // A line that breaks is noticed a moment later, and the next one begins soon.
  while (states().join() !== 'notResponding,disconnected,disconnected') await setTimeout(1);
  network.breaks = false;
  await until('connected');
  assert.deepEqual(states(), ['connected', 'connected', 'connected']);
  await center.close();
  await network.remove();
});

test('what a host has is written down again only where it changed while the host was away', {
  timeout: 60_000,
}, async () => {
  const network = new HostNetwork();
  const daemon = await network.add('local');
  for (const name of ['one', 'two']) await daemon.task(vmFolder, 'CreateVM_Task', smallMachine(name));
  const center = await TestCenter.open(network, undefined, 'local');
  const host = center.named('HostSystem', 'local');
  const until = async (state: string) => {
    while (center.read(host, 'runtime')?.connectionState !== state) await setTimeout(10);
  };
  await until('connected');
  const one = daemon.machines().find((machine) => daemon.read(machine, 'name') === 'one');
  network.cut('local');
  await until('notResponding');
  const spec = { _typeName: 'VirtualMachineConfigSpec', annotation: 'changed' };
  await daemon.task(one!, 'ReconfigVM_Task', { spec });
  const { lastKnown } = center.center.core;
  const kept = new Set<string>();
  const keep = lastKnown.keep.bind(lastKnown);
  lastKnown.keep = (value, properties) => {
    kept.add(value);
    keep(value, properties);
  };
  network.heal('local');
  await until('connected');
  const named = (name: string) => center.named('VirtualMachine', name);
  assert.equal(center.read(named('two'), 'runtime')?.connectionState, 'connected');
  assert.deepEqual([kept.has(named('one').value), kept.has(named('two').value)], [true, false]);
  await center.close();
  await network.remove();
});
