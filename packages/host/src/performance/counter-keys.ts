import { counterKey } from '@hypostyle/vim';

/** Counters of reads and writes, of a disk or of what holds disks. */
export interface TrafficKeys {
  readonly read: number;
  readonly write: number;
  readonly reads: number;
  readonly writes: number;
  readonly readLatency?: number;
  readonly writeLatency?: number;
}

/** Keys of the counters that a host measures. */
export const keys = {
  cpu: {
    usage: counterKey('cpu.usage.average'),
    megahertz: counterKey('cpu.usagemhz.average'),
    used: counterKey('cpu.used.summation'),
    ready: counterKey('cpu.ready.summation'),
    wait: counterKey('cpu.wait.summation'),
    idle: counterKey('cpu.idle.summation'),
    reserved: counterKey('cpu.reservedCapacity.average'),
  },
  memory: {
    usage: counterKey('mem.usage.average'),
    consumed: counterKey('mem.consumed.average'),
    granted: counterKey('mem.granted.average'),
    active: counterKey('mem.active.average'),
    overhead: counterKey('mem.overhead.average'),
    ballooned: counterKey('mem.vmmemctl.average'),
    swapped: counterKey('mem.swapped.average'),
    swapUsed: counterKey('mem.swapused.average'),
    swapIn: counterKey('mem.swapinRate.average'),
    swapOut: counterKey('mem.swapoutRate.average'),
    reserved: counterKey('mem.reservedCapacity.average'),
  },
  disk: {
    usage: counterKey('disk.usage.average'),
    numberRead: counterKey('disk.numberRead.summation'),
    numberWrite: counterKey('disk.numberWrite.summation'),
    latency: counterKey('disk.maxTotalLatency.latest'),
    traffic: {
      read: counterKey('disk.read.average'),
      write: counterKey('disk.write.average'),
      reads: counterKey('disk.numberReadAveraged.average'),
      writes: counterKey('disk.numberWriteAveraged.average'),
    } satisfies TrafficKeys,
    used: counterKey('disk.used.latest'),
    provisioned: counterKey('disk.provisioned.latest'),
    capacity: counterKey('disk.capacity.latest'),
    unshared: counterKey('disk.unshared.latest'),
  },
  virtualDisk: trafficOf('virtualDisk'),
  datastore: trafficOf('datastore'),
  network: {
    usage: counterKey('net.usage.average'),
    received: counterKey('net.received.average'),
    transmitted: counterKey('net.transmitted.average'),
    packetsReceived: counterKey('net.packetsRx.summation'),
    packetsTransmitted: counterKey('net.packetsTx.summation'),
  },
  uptime: counterKey('sys.uptime.latest'),
  heartbeat: counterKey('sys.heartbeat.summation'),
  power: counterKey('power.power.average'),
  energy: counterKey('power.energy.summation'),
} as const;

function trafficOf(group: 'virtualDisk' | 'datastore'): Required<TrafficKeys> {
  return {
    read: counterKey(`${group}.read.average`),
    write: counterKey(`${group}.write.average`),
    reads: counterKey(`${group}.numberReadAveraged.average`),
    writes: counterKey(`${group}.numberWriteAveraged.average`),
    readLatency: counterKey(`${group}.totalReadLatency.average`),
    writeLatency: counterKey(`${group}.totalWriteLatency.average`),
  };
}
