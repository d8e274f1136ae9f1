import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { MachineUsage } from '@hypostyle/contracts';
import { counterKey, RealtimeSamples, tickOf } from '@hypostyle/vim';
import type { MachineConfiguration } from '../configuration/machine-configuration.ts';
import { MachineMeter, writeMachine } from './machine-meter.ts';

const configuration = {
  cpus: 2,
  memoryMiB: 1_024,
  nics: [{ number: 0, key: 4_000 }],
} as unknown as MachineConfiguration;

function usageOf(change: Partial<MachineUsage> = {}): MachineUsage {
  return { cpuMilliseconds: 0, residentBytes: 2 ** 29, balloonBytes: 0, disks: [], nics: [], ...change };
}

/** What the counters of a machine say of two looks, ten seconds apart. */
function sampled(first: MachineUsage, second: MachineUsage, between: (meter: MachineMeter) => void = () => {}) {
  const meter = new MachineMeter(0);
  const at = (now: number) => ({ now, hostMHz: 2_000, memoryMiB: 1_024 });
  meter.measure(first, at(10_000));
  between(meter);
  const sample = meter.measure(second, at(20_000));
  const samples = new RealtimeSamples(['VirtualMachine']);
  const tick = tickOf(20_000);
  writeMachine(samples.at('1', tick), sample, { configuration, datastore: 'd1', hostMHz: 2_000 });
  return (counter: string, instance = '') => samples.latest('1', counterKey(counter), instance, 20_000);
}

it('says what share of its processors a machine used, and what each of them did', () => {
  const cpu = (runMilliseconds: number, readyMilliseconds: number) => ({ runMilliseconds, readyMilliseconds });
  const of = sampled(
    usageOf({ cpuMilliseconds: 1_000, cpus: [cpu(500, 0), cpu(500, 0)] }),
    usageOf({ cpuMilliseconds: 11_000, cpus: [cpu(8_000, 1_000), cpu(3_000, 0)] }),
  );
  assert.equal(of('cpu.usage.average'), 5_000);
  assert.equal(of('cpu.usagemhz.average'), 2_000);
  assert.equal(of('cpu.used.summation'), 10_000);
  assert.equal(of('cpu.usage.average', '0'), 7_500);
  assert.equal(of('cpu.ready.summation', '0'), 1_000);
  assert.equal(of('cpu.ready.summation'), 1_000);
  assert.equal(of('cpu.wait.summation', '1'), 7_500);
  assert.equal(of('mem.usage.average'), 5_000);
  assert.equal(of('mem.consumed.average'), 2 ** 19);
});

it('says what its disks did, each and together', () => {
  const disk = (id: string, writtenBytes: number, writes: number, writeMilliseconds: number) => ({
    id,
    readBytes: 0,
    writtenBytes,
    reads: 0,
    writes,
    readMilliseconds: 0,
    writeMilliseconds,
  });
  const of = sampled(
    usageOf({ disks: [disk('scsi0u0', 0, 0, 0)] }),
    usageOf({ disks: [disk('scsi0u0', 10_240_000, 100, 400), disk('scsi0u1', 1_024_000, 10, 10)] }),
  );
  assert.equal(of('disk.write.average'), 1_100);
  assert.equal(of('disk.numberWrite.summation'), 110);
  assert.equal(of('virtualDisk.write.average', 'scsi0:0'), 1_000);
  assert.equal(of('virtualDisk.totalWriteLatency.average', 'scsi0:0'), 4);
  assert.equal(of('virtualDisk.numberWriteAveraged.average', 'scsi0:1'), 1);
  assert.equal(of('disk.maxTotalLatency.latest'), 4);
  assert.equal(of('datastore.write.average', 'd1'), 1_100);
});

it('says what went through its adapters, by when the guest told', () => {
  const nic = (receivedBytes: number) => ({
    id: 'ethernet0',
    receivedBytes,
    sentBytes: 0,
    receivedPackets: receivedBytes / 1_000,
    sentPackets: 0,
  });
  const of = sampled(usageOf(), usageOf(), (meter) => {
    meter.heard({ nics: [nic(0)], at: 10_000 });
    meter.measure(usageOf(), { now: 10_000, hostMHz: 2_000, memoryMiB: 1_024 });
    meter.heard({ nics: [nic(51_200)], at: 15_000 });
  });
  assert.equal(of('net.received.average', '4000'), 10);
  assert.equal(of('net.usage.average'), 10);
  assert.equal(of('net.packetsRx.summation'), 102);
  assert.equal(of('sys.heartbeat.summation'), 1);
});

it('leaves out what nobody measured', () => {
  const of = sampled(usageOf(), usageOf({ cpuMilliseconds: 5 }));
  assert.equal(of('cpu.ready.summation'), undefined);
  assert.equal(of('net.usage.average'), undefined);
  assert.equal(of('mem.swapped.average'), undefined);
});
