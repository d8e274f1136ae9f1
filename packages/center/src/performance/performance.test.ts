import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Computer, type Daemon, SteppedClock, smallMachine, vmFolder } from '@hypostyle/host/testing';
import {
  counterKey,
  type ManagedObjectReference,
  MemoryPersistence,
  type PerfEntityMetric,
  type PerfMetricIntSeries,
} from '@hypostyle/vim';
import { HostNetwork, TestCenter } from '../testing/center-fixture.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;

/** A host whose time the test makes, with one machine that runs. */
async function addHost(network: HostNetwork, name: string, machine: string) {
  const computer = await Computer.make({ name });
  const clock = new SteppedClock();
  computer.clock = clock;
  network.computers.set(name, computer);
  const daemon = await network.add(name);
  const ref = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine(machine))) as Machine;
  await daemon.task(ref, 'PowerOnVM_Task');
  return { computer, clock, daemon, ref };
}

/** Five minutes in which the machine uses so many milliseconds of a processor every 20 seconds. */
async function fiveMinutes(host: { computer: Computer; clock: SteppedClock }, milliseconds: number): Promise<void> {
  for (let tick = 0; tick < 15; tick += 1) {
    for (const engine of host.computer.engines.engines.values())
      engine.usage = {
        ...engine.usage,
        cpuMilliseconds: engine.usage.cpuMilliseconds + milliseconds,
        residentBytes: 2 ** 24,
      };
    await host.clock.step();
  }
}

const perfManager = { type: 'PerformanceManager', value: 'PerfMgr' } as const;

async function valuesOf(center: TestCenter, entity: ManagedObjectReference, counter: string, intervalId: number) {
  const metricId = [{ counterId: counterKey(counter), instance: '' }];
  const [metric] = (await center.call(perfManager, 'QueryPerf', {
    querySpec: [{ entity, intervalId, metricId }],
  })) as PerfEntityMetric[];
  const [series] = (metric?.value ?? []) as PerfMetricIntSeries[];
  return (series?.value ?? []).map(Number);
}

const own = (daemon: Daemon, ref: Machine) => daemon.read(ref, 'summary')?.quickStats.overallCpuUsage ?? 0;

test('a center keeps what its hosts measured, adds it up, and makes up for an absence', {
  timeout: 120_000,
}, async (t) => {
  const network = new HostNetwork();
  let center: TestCenter | undefined;
  t.after(async () => {
    await center?.close().catch(() => {});
    await network.remove();
  });
  const local = await addHost(network, 'local', 'one');
  const far = await addHost(network, 'far', 'two');
  const disk = new MemoryPersistence();
  const clock = new SteppedClock();
  center = await TestCenter.open(network, disk, 'local', clock);
  await center.addHost('far');
  await fiveMinutes(local, 5_000);
  await fiveMinutes(far, 10_000);
  const [one, two] = [center.named('VirtualMachine', 'one'), center.named('VirtualMachine', 'two')];

  // The last hour is the host's.
  const now = await valuesOf(center, one, 'cpu.usagemhz.average', 20);
  assert.equal(now.length, 15);
  assert.equal(now.at(-1), own(local.daemon, local.ref));

  await clock.step();
  const kept = async (entity: ManagedObjectReference, counter = 'cpu.usagemhz.average') =>
    (await valuesOf(center, entity, counter, 300)).at(-1) ?? 0;
  const [ofOne, ofTwo] = [await kept(one), await kept(two)];
  assert.ok(ofOne > 0 && ofTwo > ofOne);
  const pool = center.read(one, 'resourcePool');
  assert.equal(await kept(pool as ManagedObjectReference), ofOne);
  const hosts = [center.named('HostSystem', 'local'), center.named('HostSystem', 'far')] as const;
  const megahertz = (await kept(hosts[0])) + (await kept(hosts[1]));
  const [datacenter] = center.all('Datacenter');
  assert.equal(await kept(datacenter as ManagedObjectReference), megahertz);
  const compute = center.read(hosts[0], 'parent') as ManagedObjectReference;
  assert.equal((await kept(compute, 'cpu.usage.average')) > 0, (await kept(hosts[0])) > 0);
  assert.ok((await kept(compute, 'mem.totalmb.average')) > 0);
  assert.ok((await kept(center.named('Datastore', 'datastore1'), 'disk.capacity.latest')) > 0);

  const intervals = center.read(perfManager, 'historicalInterval') ?? [];
  await center.call(perfManager, 'UpdatePerfInterval', { interval: { ...intervals[0], level: 2 } });
  await clock.step();
  const there = { type: 'PerformanceManager', value: 'ha-perfmgr' } as const;
  assert.equal(far.daemon.host.registry.read(there, 'historicalInterval')?.[0]?.level, 2);

  network.cut('far');
  await center.until(() => center.state(hosts[1]) === 'notResponding');
  assert.deepEqual(await valuesOf(center, two, 'cpu.usagemhz.average', 20), [], 'nobody to ask');
  await fiveMinutes(far, 20_000);
  await clock.step();
  assert.equal((await valuesOf(center, two, 'cpu.usagemhz.average', 300)).length, 1);
  network.heal('far');
  await center.until(() => center.state(hosts[1]) === 'connected');
  await clock.step();
  assert.equal((await valuesOf(center, two, 'cpu.usagemhz.average', 300)).length, 2);
  assert.ok((await kept(two)) > ofTwo);
  assert.ok((await kept(two, 'mem.granted.average')) > 0, 'a counter of level 2');
  assert.deepEqual(center.defects, []);
  await center.close();

  const again = await TestCenter.open(network, disk, 'local', clock);
  assert.equal((await valuesOf(again, two, 'cpu.usagemhz.average', 300)).length, 2);
  await again.close();
});
