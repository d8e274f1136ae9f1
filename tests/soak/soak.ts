/**
 * Many clients at once against a center, which is killed in the middle:
 *
 *     node tests/soak/soak.ts [--clients 100] [--minutes 10] [--machines 60] [--json]
 *
 * Reads, writes, waits and uploads; every answer is checked. Exit code 1 when one was wrong, a task was lost or an aim was
 * missed. With `--json` times are told, not judged: they depend on the machine.
 */
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createClient, data, type ManagedObjectReference } from '@hypostyle/vim';
import { CenterProcess } from './center-process.ts';
import { Latencies } from './latencies.ts';
import { follower, maker, reader, run, type Soak, uploader, writer } from './roles.ts';

const { values: options } = parseArgs({
  options: {
    clients: { type: 'string', default: '100' },
    minutes: { type: 'string', default: '10' },
    machines: { type: 'string', default: '60' },
    json: { type: 'boolean', default: false },
  },
});
const clients = Number(options.clients);
const seconds = Number(options.minutes) * 60;
const say = (line: string) => {
  if (!options.json) console.log(line);
};

const center = await CenterProcess.make({ center: await freePort(), host: await freePort() });
try {
  await center.start();
  await soak();
} finally {
  await center.remove();
}
process.exit();

async function soak(): Promise<void> {
  const { machines, places, datastore } = await populate(Number(options.machines));
  say(`${machines.length} machines; ${clients} clients for ${seconds} s, with a kill -9 at half time`);
  // What the start and the making of machines took is not measured.
  await center.measure();
  let broken = false;
  let lives = 1;
  const stop = new AbortController();
  const shared: Soak = {
    center,
    reads: new Latencies(),
    writes: new Latencies(),
    uploads: new Latencies(),
    wrong: [],
    broken: () => broken,
    lives: () => lives,
    stop: stop.signal,
    machines,
    places,
    datastore,
  };
  const writers = Math.min(machines.length, Math.ceil(clients * 0.15));
  const works: Promise<void>[] = [];
  for (let number = 0; number < clients; number += 1) {
    const share = number / clients;
    if (number < writers) {
      const write = writer(shared, machines[number] as (typeof machines)[number]);
      works.push(run(shared, `writer ${number}`, write));
    } else if (share < 0.2) works.push(run(shared, `maker ${number}`, maker(shared, number)));
    else if (share < 0.3) works.push(run(shared, `uploader ${number}`, uploader(shared, number)));
    else if (share < 0.45) works.push(run(shared, `follower ${number}`, (client) => follower(shared, client)));
    else works.push(run(shared, `reader ${number}`, (client) => reader(shared, client)));
  }
  await sleep((seconds * 1_000) / 2);
  const before = await center.measure();
  broken = true;
  await center.kill();
  lives += 1;
  await center.start();
  broken = false;
  say('killed and started again');
  // As it is once everybody has signed in again and worked for a while.
  await sleep(Math.min(30_000, (seconds * 1_000) / 8));
  const early = await center.measure();
  await sleep((seconds * 1_000) / 2 - Math.min(30_000, (seconds * 1_000) / 8));
  const after = await center.measure();
  stop.abort();
  // What a client waits for after this, it waits for in vain.
  const patience = sleep(60_000, 'late', { ref: false });
  const late = await Promise.race([patience, Promise.all(works)]);
  if (late === 'late') shared.wrong.push('a client waits for what does not come');
  await sleep(2_000);
  const idle = await center.measure();
  const { reads, writes, uploads, wrong } = shared;
  const figures = {
    reads: figure(reads),
    writes: figure(writes),
    uploads: figure(uploads),
    inDaemon: { before: before.read, after: after.read },
    stalls: { before: before.stalls, after: after.stalls },
    memory: {
      early: early.heapUsed,
      after: after.heapUsed,
      idle: idle.heapUsed,
      growth: idle.heapUsed / early.heapUsed,
      rss: idle.rss,
    },
    wrong: wrong.length,
  };
  if (options.json) console.log(JSON.stringify(figures, undefined, 2));
  else {
    report(figures);
    const aims = [
      ['p99 of a read, ms', figures.reads.p99, 100],
      ['p99 of a read in the daemon, ms of processor time', after.read.p99, 100],
      ['longest stall before the kill, ms of processor time', before.stalls.work, 50],
      ['longest stall after it, ms of processor time', after.stalls.work, 50],
      ['memory at the end, of what it was', figures.memory.growth, 1.1],
    ] as const;
    for (const [name, value, aim] of aims) {
      say(`${value <= aim ? 'met   ' : 'missed'} ${name}: ${value.toFixed(2)}, aim ${aim}`);
      if (value > aim) process.exitCode = 1;
    }
  }
  for (const line of new Set(wrong)) console.error(`wrong: ${line}`);
  if (wrong.length > 0) process.exitCode = 1;
}

function figure(latencies: Latencies) {
  return { count: latencies.count, median: latencies.quantile(0.5), p99: latencies.quantile(0.99) };
}

function report(figures: object): void {
  console.log(
    JSON.stringify(figures, (_, value) => (typeof value === 'number' ? Math.round(value * 10) / 10 : value), 2),
  );
}

/** Machines without engines, for reading and for writing to. */
async function populate(count: number) {
  const { url, username, password } = center.ready;
  await using client = createClient({ url: `${url}/sdk`, tls: { insecure: true } });
  await client.signIn(username, password);
  const { rootFolder } = await client.content();
  const [root] = await client.retrieve([rootFolder as ManagedObjectReference<'Folder'>], ['childEntity']);
  const datacenter = root?.values.childEntity?.[0] as ManagedObjectReference<'Datacenter'>;
  const [folders] = await client.retrieve([datacenter], ['vmFolder', 'hostFolder', 'datastore']);
  const folder = folders?.values.vmFolder as ManagedObjectReference<'Folder'>;
  const [hosts] = await client.retrieve([folders?.values.hostFolder as typeof folder], ['childEntity']);
  const compute = hosts?.values.childEntity?.[0] as ManagedObjectReference<'ComputeResource'>;
  const [parts] = await client.retrieve([compute], ['resourcePool']);
  const pool = parts?.values.resourcePool as ManagedObjectReference<'ResourcePool'>;
  const made = Array.from({ length: count }, async (_, number) => {
    const config = data('VirtualMachineConfigSpec', {
      name: `soak-${number}`,
      annotation: '0',
      guestId: 'otherLinux64Guest',
      numCPUs: 1,
      memoryMB: 32,
      files: data('VirtualMachineFileInfo', { vmPathName: '[datastore1]' }),
    });
    const task = await client.call(folder, 'CreateVM_Task', { config, pool });
    return (await client.waitForTask(task)) as ManagedObjectReference<'VirtualMachine'>;
  });
  const datastore = folders?.values.datastore?.[0] as ManagedObjectReference<'Datastore'>;
  return { machines: await Promise.all(made), places: { folder, pool }, datastore };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
