import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { parseThreadTimes } from '../process/process-status.ts';
import { parseBlockStats, parseCpuThreads } from './usage.ts';

it('reads the statistics of disks, with the time that requests took', () => {
  const stats = {
    rd_bytes: 1,
    wr_bytes: 2,
    rd_operations: 3,
    wr_operations: 4,
    rd_total_time_ns: 5_000_000,
    wr_total_time_ns: 6_000_000,
  };
  assert.deepEqual(
    parseBlockStats([
      { qdev: '/machine/peripheral/disk-scsi0u0', stats },
      { qdev: 'cdrom-ide0u0', stats },
    ]),
    [{ id: 'scsi0u0', readBytes: 1, writtenBytes: 2, reads: 3, writes: 4, readMilliseconds: 5, writeMilliseconds: 6 }],
  );
});

it('reads the threads of virtual CPUs in their order, and how long each ran and waited', () => {
  const cpus = [
    { 'cpu-index': 1, 'thread-id': 11 },
    { 'cpu-index': 0, 'thread-id': 10 },
  ];
  assert.deepEqual(parseCpuThreads(cpus), [10, 11]);
  assert.deepEqual(parseThreadTimes('5000000 2000000 7\n'), { runMilliseconds: 5, readyMilliseconds: 2 });
  assert.equal(parseThreadTimes(undefined), undefined);
});

it('reads anything without failing', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.string(), (value, text) => {
      parseBlockStats(value);
      parseCpuThreads([value]);
      parseThreadTimes(text);
    }),
    { numRuns: 50 },
  );
});
