import type { PerformanceManagerUnit, PerfStatsType, PerfSummaryType } from '../../generated/types.ts';

/** One counter that is measured here. */
export interface Counter {
  readonly key: number;
  /** Such as `cpu.usage.average`. */
  readonly id: string;
  readonly group: string;
  readonly name: string;
  readonly rollup: PerfSummaryType;
  readonly stats: PerfStatsType;
  readonly unit: PerformanceManagerUnit;
  /** Lowest collection level at which history keeps the whole, and each device's part. */
  readonly level: number;
  readonly perDeviceLevel: number;
  readonly label: string;
  readonly summary: string;
}

/** Groups of counters as people read them. */
export const counterGroups: Readonly<Record<string, string>> = {
  cpu: 'CPU',
  mem: 'Memory',
  disk: 'Disk',
  net: 'Network',
  sys: 'System',
  power: 'Power',
  virtualDisk: 'Virtual disk',
  datastore: 'Datastore',
  clusterServices: 'Cluster services',
};

/** Units as people read them: short, and in full. */
export const counterUnits: Readonly<Partial<Record<PerformanceManagerUnit, readonly [string, string]>>> = {
  percent: ['%', 'Percentage'],
  kiloBytes: ['KB', 'Kilobyte'],
  megaBytes: ['MB', 'Megabyte'],
  megaHertz: ['MHz', 'Megahertz'],
  number: ['num', 'Number'],
  millisecond: ['ms', 'Millisecond'],
  second: ['s', 'Second'],
  kiloBytesPerSecond: ['KBps', 'Kilobytes per second'],
  watt: ['W', 'Watt'],
  joule: ['J', 'Joule'],
};

/**
 * Key, name, statistics type, unit, levels (whole, device), label, summary. Keys, types and levels are those that
 * scripts know from vCenter Server; a counter is here only if something measures it.
 */
const table: readonly (readonly [number, string, PerfStatsType, PerformanceManagerUnit, string, string, string])[] = [
  [2, 'cpu.usage.average', 'rate', 'percent', '1/3', 'Usage', 'Share of the processors that was in use'],
  [3, 'cpu.usage.minimum', 'rate', 'percent', '4/4', 'Usage', 'Smallest share of the processors that was in use'],
  [4, 'cpu.usage.maximum', 'rate', 'percent', '4/4', 'Usage', 'Largest share of the processors that was in use'],
  [6, 'cpu.usagemhz.average', 'rate', 'megaHertz', '1/3', 'Usage in MHz', 'Processor cycles in use'],
  [7, 'cpu.usagemhz.minimum', 'rate', 'megaHertz', '4/4', 'Usage in MHz', 'Fewest processor cycles in use'],
  [8, 'cpu.usagemhz.maximum', 'rate', 'megaHertz', '4/4', 'Usage in MHz', 'Most processor cycles in use'],
  [
    9,
    'cpu.reservedCapacity.average',
    'absolute',
    'megaHertz',
    '2/3',
    'Reserved capacity',
    'CPU that running machines reserve',
  ],
  [
    11,
    'cpu.wait.summation',
    'delta',
    'millisecond',
    '3/3',
    'Wait',
    'Time in which the virtual CPUs neither ran nor wanted to',
  ],
  [
    12,
    'cpu.ready.summation',
    'delta',
    'millisecond',
    '1/3',
    'Ready',
    'Time in which virtual CPUs could have run and no processor was free for them',
  ],
  [13, 'cpu.idle.summation', 'delta', 'millisecond', '2/3', 'Idle', 'Time without work'],
  [14, 'cpu.used.summation', 'delta', 'millisecond', '3/3', 'Used', 'Processor time used'],
  [
    24,
    'mem.usage.average',
    'absolute',
    'percent',
    '1/3',
    'Usage',
    'Share of the configured or the physical memory that is in use',
  ],
  [25, 'mem.usage.minimum', 'absolute', 'percent', '4/4', 'Usage', 'Smallest share of the memory that was in use'],
  [26, 'mem.usage.maximum', 'absolute', 'percent', '4/4', 'Usage', 'Largest share of the memory that was in use'],
  [
    27,
    'mem.reservedCapacity.average',
    'absolute',
    'megaBytes',
    '2/3',
    'Reserved capacity',
    'Memory that running machines reserve',
  ],
  [29, 'mem.granted.average', 'absolute', 'kiloBytes', '2/3', 'Granted', 'Guest memory that host memory stands behind'],
  [33, 'mem.active.average', 'absolute', 'kiloBytes', '2/3', 'Active', 'Guest memory in use, at most'],
  [49, 'mem.swapused.average', 'absolute', 'kiloBytes', '2/3', 'Swap consumed', 'Swap space of the host in use'],
  [
    70,
    'mem.swapped.average',
    'absolute',
    'kiloBytes',
    '2/3',
    'Swapped',
    'Memory of the machine that the host has swapped out',
  ],
  [85, 'mem.swapinRate.average', 'rate', 'kiloBytesPerSecond', '1/3', 'Swap in rate', 'Memory read from swap space'],
  [86, 'mem.swapoutRate.average', 'rate', 'kiloBytesPerSecond', '1/3', 'Swap out rate', 'Memory written to swap space'],
  [
    90,
    'mem.vmmemctl.average',
    'absolute',
    'kiloBytes',
    '1/3',
    'Ballooned memory',
    'Guest memory taken back by the balloon',
  ],
  [98, 'mem.consumed.average', 'absolute', 'kiloBytes', '1/3', 'Consumed', 'Host memory in use'],
  [
    102,
    'mem.overhead.average',
    'absolute',
    'kiloBytes',
    '1/1',
    'Overhead consumed',
    'Host memory that engines use beyond the memory of their guests',
  ],
  [125, 'disk.usage.average', 'rate', 'kiloBytesPerSecond', '1/3', 'Usage', 'Data read and written'],
  [126, 'disk.usage.minimum', 'rate', 'kiloBytesPerSecond', '4/4', 'Usage', 'Least data read and written'],
  [127, 'disk.usage.maximum', 'rate', 'kiloBytesPerSecond', '4/4', 'Usage', 'Most data read and written'],
  [128, 'disk.numberRead.summation', 'delta', 'number', '3/3', 'Read requests', 'Reads'],
  [129, 'disk.numberWrite.summation', 'delta', 'number', '3/3', 'Write requests', 'Writes'],
  [130, 'disk.read.average', 'rate', 'kiloBytesPerSecond', '2/3', 'Read rate', 'Data read'],
  [131, 'disk.write.average', 'rate', 'kiloBytesPerSecond', '2/3', 'Write rate', 'Data written'],
  [
    133,
    'disk.maxTotalLatency.latest',
    'absolute',
    'millisecond',
    '1/3',
    'Highest latency',
    'Longest mean time of a request among the disks',
  ],
  [
    136,
    'disk.numberReadAveraged.average',
    'rate',
    'number',
    '1/3',
    'Average read requests per second',
    'Reads a second',
  ],
  [
    137,
    'disk.numberWriteAveraged.average',
    'rate',
    'number',
    '1/3',
    'Average write requests per second',
    'Writes a second',
  ],
  [143, 'net.usage.average', 'rate', 'kiloBytesPerSecond', '1/3', 'Usage', 'Data received and transmitted'],
  [144, 'net.usage.minimum', 'rate', 'kiloBytesPerSecond', '4/4', 'Usage', 'Least data received and transmitted'],
  [145, 'net.usage.maximum', 'rate', 'kiloBytesPerSecond', '4/4', 'Usage', 'Most data received and transmitted'],
  [146, 'net.packetsRx.summation', 'delta', 'number', '2/3', 'Packets received', 'Packets received'],
  [147, 'net.packetsTx.summation', 'delta', 'number', '2/3', 'Packets transmitted', 'Packets transmitted'],
  [148, 'net.received.average', 'rate', 'kiloBytesPerSecond', '2/3', 'Data receive rate', 'Data received'],
  [149, 'net.transmitted.average', 'rate', 'kiloBytesPerSecond', '2/3', 'Data transmit rate', 'Data transmitted'],
  [155, 'sys.uptime.latest', 'absolute', 'second', '1/3', 'Uptime', 'Time since the start'],
  [156, 'sys.heartbeat.summation', 'delta', 'number', '1/3', 'Heartbeat', 'Answers of the guest agent'],
  [157, 'power.power.average', 'rate', 'watt', '2/3', 'Usage', 'Power that the processors draw'],
  [159, 'power.energy.summation', 'delta', 'joule', '3/3', 'Energy usage', 'Energy that the processors used'],
  [
    171,
    'virtualDisk.numberReadAveraged.average',
    'rate',
    'number',
    '1/3',
    'Average read requests per second',
    'Reads a second of the virtual disk',
  ],
  [
    172,
    'virtualDisk.numberWriteAveraged.average',
    'rate',
    'number',
    '1/3',
    'Average write requests per second',
    'Writes a second of the virtual disk',
  ],
  [
    173,
    'virtualDisk.read.average',
    'rate',
    'kiloBytesPerSecond',
    '2/2',
    'Read rate',
    'Data read from the virtual disk',
  ],
  [
    174,
    'virtualDisk.write.average',
    'rate',
    'kiloBytesPerSecond',
    '2/2',
    'Write rate',
    'Data written to the virtual disk',
  ],
  [
    175,
    'virtualDisk.totalReadLatency.average',
    'absolute',
    'millisecond',
    '1/3',
    'Read latency',
    'Mean time of a read of the virtual disk',
  ],
  [
    176,
    'virtualDisk.totalWriteLatency.average',
    'absolute',
    'millisecond',
    '1/3',
    'Write latency',
    'Mean time of a write to the virtual disk',
  ],
  [
    178,
    'datastore.numberReadAveraged.average',
    'rate',
    'number',
    '1/3',
    'Average read requests per second',
    'Reads a second of the datastore',
  ],
  [
    179,
    'datastore.numberWriteAveraged.average',
    'rate',
    'number',
    '1/3',
    'Average write requests per second',
    'Writes a second of the datastore',
  ],
  [180, 'datastore.read.average', 'rate', 'kiloBytesPerSecond', '2/2', 'Read rate', 'Data read from the datastore'],
  [181, 'datastore.write.average', 'rate', 'kiloBytesPerSecond', '2/2', 'Write rate', 'Data written to the datastore'],
  [
    182,
    'datastore.totalReadLatency.average',
    'absolute',
    'millisecond',
    '1/3',
    'Read latency',
    'Mean time of a read of the datastore',
  ],
  [
    183,
    'datastore.totalWriteLatency.average',
    'absolute',
    'millisecond',
    '1/3',
    'Write latency',
    'Mean time of a write to the datastore',
  ],
  [
    276,
    'clusterServices.effectivecpu.average',
    'rate',
    'megaHertz',
    '1/3',
    'Effective CPU resources',
    'CPU of the hosts that take machines',
  ],
  [
    277,
    'clusterServices.effectivemem.average',
    'absolute',
    'megaBytes',
    '1/3',
    'Effective memory resources',
    'Memory of the hosts that take machines',
  ],
  [278, 'cpu.totalmhz.average', 'rate', 'megaHertz', '1/3', 'Total', 'CPU of all hosts'],
  [279, 'mem.totalmb.average', 'absolute', 'megaBytes', '1/3', 'Total', 'Memory of all hosts'],
  [281, 'disk.used.latest', 'absolute', 'kiloBytes', '1/1', 'Space actually used', 'Space in use'],
  [
    282,
    'disk.provisioned.latest',
    'absolute',
    'kiloBytes',
    '1/1',
    'Space potentially used',
    'Space in use, and what thin disks may still grow',
  ],
  [283, 'disk.capacity.latest', 'absolute', 'kiloBytes', '1/3', 'Capacity', 'Size of the datastore'],
  [
    284,
    'disk.unshared.latest',
    'absolute',
    'kiloBytes',
    '1/1',
    'Space not shared',
    'Space that this machine alone uses',
  ],
];

/** Every counter, in the order of keys. */
export const counters: readonly Counter[] = table.map(([key, id, stats, unit, levels, label, summary]) => {
  const [group = '', name = '', rollup = ''] = id.split('.');
  const [level, perDeviceLevel] = levels.split('/').map(Number) as [number, number];
  return {
    key,
    id,
    group,
    name,
    rollup: rollup as PerfSummaryType,
    stats,
    unit,
    level,
    perDeviceLevel,
    label,
    summary,
  };
});

const keys = new Map(counters.map(({ id, key }) => [id, key]));

/** Key of a counter by its name, such as `cpu.usage.average`. */
export function counterKey(id: string): number {
  const key = keys.get(id);
  if (key === undefined) throw new Error(`there is no counter ${id}`);
  return key;
}

/** Least and greatest values are of the samples of their counter of averages. */
export const extremes: ReadonlyMap<number, number> = new Map(
  counters.flatMap(({ key, group, name, rollup }) =>
    rollup === 'minimum' || rollup === 'maximum' ? [[key, counterKey(`${group}.${name}.average`)] as const] : [],
  ),
);
