/**
 * What it costs to look at many machines that run, every 20 seconds:
 *
 *     node --expose-gc bench/performance.ts [--machines 1000] [--looks 31]
 *
 * The machines are a host's, with engines that answer at once: what is measured is the host's own work. Every 15th
 * look ends an interval of 5 minutes, which is rolled up and kept.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Computer, SteppedClock } from '@hypostyle/host/testing';
import { LongestWork } from './api/longest-work.ts';

const { values: options } = parseArgs({
  options: { machines: { type: 'string', default: '1000' }, looks: { type: 'string', default: '31' } },
});
const count = Number(options.machines);
const looks = Number(options.looks);
if (!(Number.isInteger(count) && count > 0)) throw new Error('--machines takes a number above 0');
if (!(Number.isInteger(looks) && looks > 0)) throw new Error('--looks takes a number above 0');

const computer = await Computer.make();
const clock = new SteppedClock();
computer.clock = clock;
await computer.fill(count);
const daemon = await computer.start();
const machines = daemon.machines().values();
const powerOn = async () => {
  for (const machine of machines) await daemon.task(machine, 'PowerOnVM_Task');
};
await Promise.all(Array.from({ length: 16 }, powerOn));

const before = memory();
const work = new LongestWork();
const usual: number[] = [];
const keeping: number[] = [];
let longest = 0;
for (let look = 1; look <= looks; look += 1) {
  use(look * 1_000_000);
  await sleep(50);
  work.begin();
  const begun = process.threadCpuUsage();
  await clock.step();
  const { user, system } = process.threadCpuUsage(begun);
  longest = Math.max(longest, work.end());
  (look % 15 === 0 ? keeping : usual).push((user + system) / 1000);
}
const after = memory();
console.log(`${count} machines that run, ${looks} looks`);
console.log(`a look:              ${middle(usual)} ms of the event loop`);
console.log(`one that is kept:    ${middle(keeping)} ms of the event loop`);
console.log(`longest stall:       ${longest.toFixed(1)} ms, as processor time`);
console.log(`memory of a machine: ${((after - before) / count / 1024).toFixed(1)} KiB`);
await daemon.host.close();
await computer.remove();

/** What every engine tells from now on. */
function use(total: number): void {
  const disk = { readBytes: total, writtenBytes: total, reads: total, writes: total };
  for (const engine of computer.engines.engines.values())
    engine.usage = {
      cpuMilliseconds: total / 1000,
      cpus: [{ runMilliseconds: total / 1000, readyMilliseconds: 10 }],
      residentBytes: 2 ** 28,
      swappedBytes: 0,
      balloonBytes: 0,
      disks: [{ id: 'scsi0u0', ...disk, readMilliseconds: total, writeMilliseconds: total }],
      nics: [{ id: 'ethernet0', receivedBytes: total, sentBytes: total, receivedPackets: total, sentPackets: total }],
    };
}

function memory(): number {
  (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function middle(values: readonly number[]): string {
  return (values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0).toFixed(1);
}
