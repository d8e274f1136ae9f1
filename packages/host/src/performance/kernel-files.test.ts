import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { parseCpus, parseDisks, parseMemory, parseNics, readKernelTotals } from './kernel-files.ts';

it('reads what the kernel writes', () => {
  assert.deepEqual(
    parseCpus('cpu  30 0 0 60 0 0 0 0 0 0\ncpu0 10 1 2 30 4 5 6 7 0 0\ncpu1 1 0 0 9 0 0 0 0 0 0\nintr 5\n'),
    new Map([
      ['0', { busy: 310, idle: 340 }],
      ['1', { busy: 10, idle: 90 }],
    ]),
  );
  assert.deepEqual(parseMemory('MemTotal:  8 kB\nMemAvailable:    2 kB\nSwapTotal: 4 kB\nSwapFree: 1 kB\n'), {
    totalBytes: 8_192,
    availableBytes: 2_048,
    swapUsedBytes: 3_072,
  });
  assert.deepEqual(
    parseDisks(
      '   8       0 sda 10 1 200 30 40 2 500 60 0 70 80 0 0 0 0\n   8       1 sda1 1 1 2 3 4 2 5 6 0 7 8\n',
      new Set(['sda']),
    ),
    new Map([
      [
        'sda',
        {
          reads: 10,
          writes: 40,
          readMilliseconds: 30,
          writeMilliseconds: 60,
          readBytes: 102_400,
          writtenBytes: 256_000,
        },
      ],
    ]),
  );
  const netdev =
    'Inter-|   Receive\n face |bytes packets\n  eth0: 1000 10 0 0 0 0 0 0 2000 20 0 0 0 0 0 0\n    lo:5 1 0 0 0 0 0 0 5 1 0 0 0 0 0 0\n';
  assert.deepEqual(parseNics(netdev).get('eth0'), {
    receivedBytes: 1_000,
    receivedPackets: 10,
    sentBytes: 2_000,
    sentPackets: 20,
  });
});

it('reads anything without failing', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), (text) => {
      for (const parse of [parseCpus, parseMemory, parseNics]) parse(text);
      parseDisks(text, new Set(['sda']));
    }),
    { numRuns: 50 },
  );
});

it('reads this machine', async () => {
  const { cpus, memory } = await readKernelTotals();
  assert.ok(cpus.size > 0 && memory.totalBytes > memory.availableBytes);
});
