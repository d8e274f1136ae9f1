import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MachineUsage } from '@hypostyle/contracts';
import {
  counterKey,
  type HostListSummary,
  type ManagedObjectReference,
  type PerfEntityMetric,
  type PerfMetricIntSeries,
  type ServiceContent,
} from '@hypostyle/vim';
import { Computer, type Daemon, rootPool, smallMachine, vmFolder } from '../testing/host-fixture.ts';
import { SteppedClock } from '../testing/stepped-clock.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;
const host = { type: 'HostSystem', value: 'ha-host' } as const;

function used(computer: Computer, usage: Partial<MachineUsage>): void {
  for (const engine of computer.engines.engines.values()) engine.usage = { ...engine.usage, ...usage };
}

async function values(
  daemon: Daemon,
  entity: ManagedObjectReference,
  counter: string,
  { intervalId = 20, instance = '' } = {},
): Promise<readonly number[]> {
  const content = daemon.host.registry.read({ type: 'ServiceInstance', value: 'ServiceInstance' }, 'content');
  const { perfManager } = content as ServiceContent;
  assert.ok(perfManager);
  const metricId = [{ counterId: counterKey(counter), instance }];
  const [metric] = (await daemon.call(perfManager, 'QueryPerf', {
    querySpec: [{ entity, intervalId, metricId }],
  })) as PerfEntityMetric[];
  const [series] = (metric?.value ?? []) as PerfMetricIntSeries[];
  return (series?.value ?? []).map(Number);
}

test('what a machine uses is seen of it, of its host, its pool and its datastore, and is history after a kill', async () => {
  const computer = await Computer.make();
  const clock = new SteppedClock();
  computer.clock = clock;
  try {
    const daemon = await computer.start();
    const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
    await daemon.task(web, 'PowerOnVM_Task');
    await clock.step();
    const disk = { id: 'scsi0u0', readBytes: 0, writtenBytes: 20_480_000, reads: 0, writes: 200 };
    used(computer, { cpuMilliseconds: 10_001, residentBytes: 2 ** 24, disks: [disk] });
    await clock.step();
    const last = async (entity: ManagedObjectReference, counter: string, instance = '') =>
      (await values(daemon, entity, counter, { instance })).at(-1);
    assert.equal(await last(web, 'cpu.usage.average'), 5_000);
    assert.equal(await last(web, 'mem.consumed.average'), 16_384);
    assert.equal(await last(web, 'virtualDisk.write.average', 'scsi0:0'), 1_000);
    const [datastore] = daemon.read(web, 'datastore') ?? [];
    assert.equal(await last(host, 'datastore.write.average', datastore?.value), 1_000);
    const mhz = daemon.read(web, 'summary')?.quickStats.overallCpuUsage ?? 0;
    assert.ok(mhz > 0);
    assert.equal(await last(web, 'cpu.usagemhz.average'), mhz);
    assert.equal(await last(rootPool, 'cpu.usagemhz.average'), mhz);
    assert.equal(daemon.host.registry.read(rootPool, 'runtime')?.cpu.overallUsage, mhz);
    assert.ok(((await last(host, 'mem.consumed.average')) ?? 0) > 0);
    assert.ok(((await last(host, 'sys.uptime.latest')) ?? 0) > 0);
    const summary = daemon.host.registry.read(host, 'summary') as HostListSummary;
    assert.ok((summary.quickStats.overallMemoryUsage ?? 0) > 0);
    for (let index = 0; index < 16; index += 1) await clock.step();
    daemon.die();
    const again = await computer.start();
    const [kept] = await values(again, web, 'cpu.usage.average', { intervalId: 300 });
    assert.ok(kept !== undefined && kept > 0);
    const capacity = await values(again, datastore as ManagedObjectReference, 'disk.capacity.latest', {
      intervalId: 300,
    });
    assert.ok((capacity[0] ?? 0) > 0);
    await again.host.close();
    assert.deepEqual(computer.defects, []);
  } finally {
    await computer.remove();
  }
});

test('a machine that is off has no samples, and one whose engine does not tell has none either', async () => {
  const computer = await Computer.make();
  const clock = new SteppedClock();
  computer.clock = clock;
  try {
    const daemon = await computer.start();
    const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
    await clock.step();
    assert.deepEqual(await values(daemon, web, 'cpu.usage.average'), []);
    await daemon.task(web, 'PowerOnVM_Task');
    await clock.step();
    const once = (await values(daemon, web, 'cpu.usage.average')).length;
    await daemon.task(web, 'PowerOffVM_Task');
    await clock.step();
    assert.equal((await values(daemon, web, 'cpu.usage.average')).length, once);
    await daemon.host.close();
  } finally {
    await computer.remove();
  }
});
