/**
 * Followers of many changes: how soon they wake, and what it costs.
 *
 * `node bench/collector.ts [objects] [followers] [changes a second] [seconds]`
 */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  ChangeFeed,
  createPropertyCollector,
  createViewManager,
  Dispatcher,
  loadSchema,
  type ManagedObjectReference,
  Registry,
  type Session,
  type UpdateSet,
} from '@hypostyle/vim';

const [objects = 10_000, followers = 50, rate = 1000, seconds = 10] = process.argv.slice(2).map(Number);

const schema = loadSchema();
const registry = new Registry(schema);
const feed = new ChangeFeed(registry);
const authorizer = { holds: () => true };
const dispatcher = new Dispatcher({ registry, authorizer });
const machineClass = { type: 'VirtualMachine', methods: {} } as const;
const { root, machines } = registry.commit((draft) => {
  const folder = draft.add({ type: 'Folder', methods: {} }, 'group-d1', { name: 'Datacenters' });
  const all = Array.from({ length: objects }, (_, i) =>
    draft.add(machineClass, `vm-${i}`, { name: `vm ${i}`, overallStatus: 'green' }),
  );
  draft.set(folder, { childEntity: all as unknown as ManagedObjectReference<'ManagedEntity'>[] });
  return { root: folder, machines: all };
});
const collector = createPropertyCollector({ registry, authorizer, feed });
const viewManager = createViewManager({ registry, authorizer, feed, rootFolder: root });

/** When each value of `name` was committed. */
const committed = new Map<string, number>();
const delays: number[] = [];
let told = 0;
let running = true;
const closing = new AbortController();

function session(key: string): Session {
  const text = { userName: key, fullName: '', loginTime: '', locale: 'en', clientAddress: '', userAgent: '' };
  return { key, ...text, ended: false, onEnd: () => () => {} };
}

async function follow(caller: Session): Promise<void> {
  const call = async (self: ManagedObjectReference, name: string, args: Record<string, unknown>) => {
    const method = schema.method(name);
    if (method === undefined) throw new Error(name);
    const connection = { clientAddress: '', userAgent: '', establish: () => {}, release: () => {} };
    const { signal } = closing;
    const outcome = dispatcher.invoke({ self, method, args, session: caller, version: '8.0', signal, connection });
    return (await outcome).value;
  };
  const view = await call(viewManager, 'CreateContainerView', {
    container: root,
    type: ['VirtualMachine'],
    recursive: true,
  });
  const traversal = { _typeName: 'TraversalSpec', type: 'ContainerView', path: 'view' };
  const spec = {
    objectSet: [{ obj: view, skip: true, selectSet: [traversal] }],
    propSet: [{ type: 'VirtualMachine', pathSet: ['name', 'overallStatus', 'runtime.powerState'] }],
  };
  await call(collector, 'CreateFilter', { spec, partialUpdates: false });
  let version = '';
  for (let known = 0; known < objects; ) {
    const set = (await call(collector, 'WaitForUpdatesEx', { version })) as UpdateSet;
    version = set.version;
    known += set.filterSet?.[0]?.objectSet?.length ?? 0;
  }
  ready += 1;
  while (running) {
    const set = (await call(collector, 'WaitForUpdatesEx', { version }).catch(() => undefined)) as
      | UpdateSet
      | undefined;
    if (set === undefined) return;
    const now = performance.now();
    version = set.version;
    for (const { changeSet } of set.filterSet?.[0]?.objectSet ?? []) {
      const at = committed.get(String(changeSet?.[0]?.val));
      if (at !== undefined) delays.push(now - at);
      told += 1;
    }
  }
}

let ready = 0;
const began = performance.now();
const all = Array.from({ length: followers }, (_, i) => follow(session(`session ${i}`)));
while (ready < followers) await sleep(20);
const entered = performance.now() - began;
const memory = process.memoryUsage().heapUsed / 2 ** 20;

const cpu = process.cpuUsage();
const start = performance.now();
for (let sent = 0; sent < rate * seconds; ) {
  const due = Math.floor(((performance.now() - start) / 1000) * rate);
  for (; sent < Math.min(due, rate * seconds); sent += 1) {
    const name = `change ${sent}`;
    committed.set(name, performance.now());
    const machine = machines[(sent * 7919) % objects] as (typeof machines)[number];
    registry.commit((draft) => draft.set(machine, { name }));
  }
  await sleep(1);
}
await sleep(100);
const { user, system } = process.cpuUsage(cpu);
const elapsed = performance.now() - start;
running = false;
closing.abort();
await Promise.all(all);
feed.close();

delays.sort((a, b) => a - b);
const percentile = (share: number) => `${(delays[Math.floor(delays.length * share)] ?? Number.NaN).toFixed(1)} ms`;
console.log(`${objects} objects, ${followers} followers, ${rate} changes/s for ${seconds} s`);
console.log(`all entered after ${(entered / 1000).toFixed(2)} s, heap ${memory.toFixed(0)} MB`);
console.log(`told ${told} of ${rate * seconds * followers}`);
console.log(`wake-up p50 ${percentile(0.5)}, p99 ${percentile(0.99)}, longest ${percentile(0.999999)}`);
console.log(`CPU ${(((user + system) / 1000 / elapsed) * 100).toFixed(1)} % of one core`);
