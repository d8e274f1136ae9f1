import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { DataTypes } from '../../generated/types.ts';
import type { Authorizer } from '../../runtime/authorizer.ts';
import type { ManagedObjectClass } from '../../runtime/managed-object.ts';
import { Registry } from '../../runtime/registry.ts';
import { loadSchema } from '../../schema/schema.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import { allowEverything, faultNamed, sessionOf, TestClient } from '../testing/calls.ts';
import { KillablePersistence } from '../testing/killable-persistence.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { EventService } from './event-service.ts';

type VimEvent = DataTypes['Event'];
const schema = loadSchema();

async function build(
  persistence = new KillablePersistence(),
  historyLimit = 50_000,
  authorizer: Authorizer = allowEverything,
) {
  const registry = new Registry(schema);
  const refs = registry.commit((draft) => {
    const add = (type: string, value: string, properties: object) =>
      draft.add({ type: type as 'Folder', methods: {} }, value, properties);
    const root = add('Folder', 'root', { name: 'Datacenters' });
    const datacenter = add('Datacenter', 'dc', { name: 'dc1', parent: root });
    const cluster = add('ClusterComputeResource', 'cl', { name: 'c1', parent: datacenter });
    const host = add('HostSystem', 'host', { name: 'h1', parent: cluster });
    const vm = add('VirtualMachine', 'vm', { name: 'web', parent: datacenter, runtime: { host } });
    return { root, datacenter, cluster, host, vm };
  });
  const clock = new ManualClock();
  const events = await EventService.open({ registry, persistence, clock, authorizer, historyLimit });
  const client = new TestClient({ registry });
  const enders: (() => void)[] = [];
  client.session = {
    ...sessionOf('ann'),
    onEnd: (dispose) => {
      enders.push(dispose);
      return () => {};
    },
  };
  return { registry, refs, clock, events, client, persistence, endSession: () => enders.forEach((end) => void end()) };
}

test('an event says where it happened, in words and by reference', async () => {
  const { registry, refs, events } = await build();
  const key = events.post(undefined, { type: 'VmPoweredOnEvent', entity: refs.vm, userName: 'ann' });
  const event = registry.read(events.ref, 'latestEvent') as DataTypes['VmPoweredOnEvent'];
  assert.equal(event.key, key);
  assert.equal(event.chainId, key);
  assert.equal(event.fullFormattedMessage, 'web on h1 in dc1 is powered on');
  assert.deepEqual(event.host?.host, refs.host);
  assert.deepEqual(event.computeResource?.computeResource, refs.cluster);
  assert.equal(event.template, false);
});

test('an event of no host does not speak of one', async () => {
  const { registry, refs, events } = await build();
  const told = (entity?: ManagedObjectReference) => {
    const members = { account: 'bob', group: false };
    events.post(undefined, { type: 'AccountRemovedEvent', userName: 'ann', members, ...(entity ? { entity } : {}) });
    return registry.read(events.ref, 'latestEvent')?.fullFormattedMessage;
  };
  assert.equal(told(), 'Account bob was removed');
  assert.equal(told(refs.host), 'Account bob was removed on host h1');
});

test('an event is about what its commit makes, and does not happen when the commit does not', async () => {
  const { registry, events, persistence, client } = await build();
  const collector = (await client.call(events.ref, 'CreateCollectorForEvents', {
    filter: {},
  })) as ManagedObjectReference<'EventHistoryCollector'>;
  registry.commit((draft) => {
    const vm = draft.add<'VirtualMachine'>({ type: 'VirtualMachine', methods: {} }, 'vm-2', { name: 'new' });
    events.post(draft, { type: 'VmCreatedEvent', entity: vm });
  });
  assert.match(registry.read(events.ref, 'latestEvent')?.fullFormattedMessage ?? '', /new/);
  assert.throws(() =>
    registry.commit((draft) => {
      events.post(draft, { type: 'VmRemovedEvent' });
      throw new Error('no');
    }),
  );
  events.post(undefined, { type: 'VmSuspendedEvent' });
  await events.flush();
  assert.equal((await persistence.disk.list('events')).length, 2);
  const page = registry.read(collector, 'latestPage') as unknown as { _typeName: string }[];
  assert.deepEqual(
    page.map((event) => event._typeName),
    ['VmSuspendedEvent', 'VmCreatedEvent'],
  );
});

test('listeners are told of every event of a commit, and of none that was thrown away', async () => {
  const { registry, refs, events } = await build();
  const told: (string | undefined)[] = [];
  const stop = events.onPosted((event) => told.push(event._typeName));
  registry.commit((draft) => {
    events.post(draft, { type: 'VmStartingEvent', entity: refs.vm });
    events.post(draft, { type: 'VmPoweredOnEvent', entity: refs.vm });
    assert.deepEqual(told, []);
  });
  const broken = () =>
    registry.commit((draft) => {
      events.post(draft, { type: 'VmPoweredOffEvent', entity: refs.vm });
      throw new Error('no');
    });
  assert.throws(broken);
  stop();
  events.post(undefined, { type: 'VmPoweredOffEvent', entity: refs.vm });
  assert.deepEqual(told, ['VmStartingEvent', 'VmPoweredOnEvent']);
});

test('keys go up over restarts, even of a process that was killed before it could write', async () => {
  const persistence = new KillablePersistence();
  const first = await build(persistence);
  const kept = first.events.post(undefined, { type: 'GeneralUserEvent', members: { message: 'a' } });
  await first.events.flush();
  persistence.kill();
  const lost = first.events.post(undefined, { type: 'GeneralUserEvent', members: { message: 'b' } });
  const second = await build(new KillablePersistence(persistence.disk));
  assert.equal(second.registry.read(second.events.ref, 'latestEvent')?.key, kept);
  assert.ok(second.events.post(undefined, { type: 'GeneralUserEvent' }) > lost);
});

test('an event of another server keeps its time and arguments, and what is written alongside is there exactly with it', async () => {
  for (let life = 0; life < 4; life += 1) {
    // Dies at each of the writes.
    const persistence = new KillablePersistence(undefined, life + 1);
    const { registry, refs, events, client } = await Promise.race([
      build(persistence),
      persistence.died.then(() => build()),
    ]);
    const vm = { _typeName: 'VmEventArgument', name: 'as it was called there', vm: refs.vm };
    const createdTime = '2025-06-01T10:00:00Z';
    for (const taken of [41, 42]) {
      const put = { collection: 'taken', key: 'host', value: taken };
      const request = { type: 'VmPoweredOnEvent', entity: refs.vm, members: { vm }, createdTime } as const;
      events.post(undefined, { ...request, userName: `${taken}`, alongside: [{ put }] });
      await Promise.race([events.flush(), persistence.died]);
    }
    const latest = registry.read(events.ref, 'latestEvent') as DataTypes['VmPoweredOnEvent'];
    assert.deepEqual([latest.vm, latest.createdTime, latest.host?.name], [vm, createdTime, 'h1']);
    assert.match(latest.fullFormattedMessage ?? '', /^as it was called there on h1/);
    if (!persistence.dead) {
      const filter = { time: { beginTime: '2025-06-01T09:00:00Z', endTime: '2025-06-01T11:00:00Z' } };
      assert.equal(((await client.call(events.ref, 'QueryEvents', { filter })) as unknown[]).length, 2);
    }
    const kept = (await persistence.disk.list<{ event: VimEvent }>('events')).map(({ value }) => value.event.userName);
    assert.deepEqual(kept.at(-1) ?? 'undefined', String(await persistence.disk.get('taken', 'host')));
  }
});

test('while the store takes nothing, the oldest events are given up, but none with writes alongside', async () => {
  const { events, persistence } = await build();
  const { transact } = persistence;
  persistence.transact = () => Promise.reject(new Error('the disk is full'));
  const post = (message: string, alongside?: { put: { collection: string; key: string; value: unknown } }[]) =>
    events.post(undefined, { type: 'GeneralUserEvent', members: { message }, alongside });
  post('kept', [{ put: { collection: 'taken', key: 'host', value: 1 } }]);
  for (let i = 0; i < 10_500; i += 1) post(`${i}`);
  await assert.rejects(events.flush());
  persistence.transact = transact;
  post('last');
  await events.flush();
  const kept = await persistence.disk.list<{ event: DataTypes['GeneralUserEvent'] }>('events');
  assert.ok(kept.length < 10_200, `${kept.length}`);
  assert.deepEqual([kept[0]?.value.event.message, kept.at(-1)?.value.event.message], ['kept', 'last']);
  assert.equal(await persistence.disk.get('taken', 'host'), 1);
});

test('everybody who waits for events hears of them when they are durable, and of what was written alongside', async () => {
  const { events, persistence } = await build();
  const { transact } = persistence;
  const batches: { readonly count: number; readonly done: () => void }[] = [];
  persistence.transact = async (writes) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    batches.push({ count: writes.length, done: resolve });
    await promise;
    await transact.call(persistence, writes);
  };
  const next = async () => {
    await new Promise((resolve) => setImmediate(resolve));
    return batches.shift();
  };
  events.post(undefined, { type: 'GeneralUserEvent', members: { message: 'first' } });
  const underWay = await next();
  const told: string[] = [];
  const put = { collection: 'taken', key: 'host', value: 1 };
  events.post(undefined, { type: 'GeneralUserEvent', members: { message: 'second' } });
  const waiting = [
    events.flush().then(() => told.push('one')),
    events.flush([{ put }]).then(() => told.push('alongside')),
    events.flush().then(() => told.push('another')),
  ];
  underWay?.done();
  const last = await next();
  assert.equal(last?.count, 2, 'the event, and what goes with it');
  assert.deepEqual(told, []);
  last?.done();
  await Promise.all(waiting);
  assert.equal(await persistence.disk.get('taken', 'host'), 1);
  assert.equal((await persistence.disk.list('events')).length, 2);
});

test('the history is bounded', async () => {
  const { events, persistence } = await build(undefined, 100);
  for (let i = 0; i < 2_500; i += 1) events.post(undefined, { type: 'GeneralUserEvent', members: { message: `${i}` } });
  await events.flush();
  assert.ok((await persistence.disk.list('events')).length < 1_300);
});

const kinds = ['VmPoweredOnEvent', 'VmFailedToPowerOnEvent', 'UserLoginSessionEvent', 'GeneralUserEvent'] as const;
const posted = fc.record({
  type: fc.constantFrom(...kinds),
  entity: fc.constantFrom('vm', 'host', 'datacenter', undefined),
  userName: fc.constantFrom('ann', 'bob', ''),
  wait: fc.nat(3),
});
const filters = fc.record(
  {
    eventTypeId: fc.subarray([...kinds, 'vim.event.VmPoweredOnEvent']),
    category: fc.subarray(['info', 'error', 'user']),
    userName: fc.record({ systemUser: fc.boolean(), userList: fc.subarray(['ann', 'bob']) }),
    entity: fc.record({
      entity: fc.constantFrom('vm', 'host', 'cluster', 'datacenter', 'root'),
      recursion: fc.constantFrom('self', 'children', 'all'),
    }),
    begin: fc.nat(20),
  },
  { requiredKeys: [] },
);

test('a collector answers what a plain filter answers, forward, backward, and on its page', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(posted, { maxLength: 40 }),
      filters,
      fc.integer({ min: 1, max: 7 }),
      async (list, wanted, size) => {
        const { registry, refs, clock, events, client } = await build();
        const start = clock.now();
        const filter = {
          ...wanted,
          ...(wanted.entity && { entity: { ...wanted.entity, entity: refs[wanted.entity.entity] } }),
          ...(wanted.begin === undefined ? {} : { time: { beginTime: new Date(start + wanted.begin).toISOString() } }),
        };
        const half = Math.floor(list.length / 2);
        const post = (entry: (typeof list)[number]) => {
          clock.advance(entry.wait);
          const entity = entry.entity && refs[entry.entity];
          events.post(undefined, { type: entry.type, userName: entry.userName, entity });
        };
        list.slice(0, half).forEach(post);
        const collector = (await client.call(events.ref, 'CreateCollectorForEvents', {
          filter,
        })) as ManagedObjectReference<'EventHistoryCollector'>;
        list.slice(half).forEach(post);

        let time = start;
        const inside: Record<string, string[]> = {
          vm: ['vm', 'host', 'cluster', 'datacenter', 'root'],
          host: ['host', 'cluster', 'datacenter', 'root'],
          datacenter: ['datacenter', 'root'],
        };
        const category = {
          VmPoweredOnEvent: 'info',
          VmFailedToPowerOnEvent: 'error',
          UserLoginSessionEvent: 'info',
          GeneralUserEvent: 'user',
        };
        const expected = list.filter((entry) => {
          time += entry.wait;
          if (wanted.begin !== undefined && time < start + wanted.begin) return false;
          const ids = wanted.eventTypeId?.map((id) => id.replace('vim.event.', ''));
          if (ids?.length && !ids.includes(entry.type)) return false;
          if (wanted.category?.length && !wanted.category.includes(category[entry.type])) return false;
          if (wanted.userName) {
            const { systemUser, userList } = wanted.userName;
            if (entry.userName === '' ? !systemUser : !userList.includes(entry.userName as 'ann')) return false;
          }
          if (wanted.entity === undefined) return true;
          const { entity, recursion } = wanted.entity;
          const self = entry.entity === entity;
          const within = entry.entity !== undefined && inside[entry.entity]!.includes(entity);
          return recursion === 'self' ? self : recursion === 'children' ? within && !self : within;
        });
        const signature = (event: VimEvent) => `${event._typeName}/${event.userName}`;
        const plain = expected.map((entry) => `${entry.type}/${entry.userName}`);
        const readAll = async (method: string) => {
          const all: string[] = [];
          for (;;) {
            const page = (await client.call(collector, method, { maxCount: size })) as VimEvent[];
            if (page.length === 0) return all;
            assert.ok(page.length <= size);
            all.push(...page.map(signature));
          }
        };
        assert.deepEqual(await readAll('ReadNextEvents'), plain);
        assert.deepEqual(await readAll('ReadPreviousEvents'), plain.toReversed());
        await client.call(collector, 'RewindCollector');
        assert.deepEqual(await readAll('ReadNextEvents'), plain);
        await client.call(collector, 'ResetCollector');
        assert.deepEqual(await readAll('ReadPreviousEvents'), plain.toReversed());
        const page = () => (registry.read(collector, 'latestPage') ?? []).map(signature);
        assert.deepEqual(page(), plain.toReversed().slice(0, 10));
        await client.call(collector, 'SetCollectorPageSize', { maxCount: 25 });
        assert.deepEqual(page(), plain.toReversed().slice(0, 25));
        const queried = (await client.call(events.ref, 'QueryEvents', { filter })) as VimEvent[];
        assert.deepEqual(queried.map(signature), plain);
      },
    ),
    { numRuns: 60 },
  );
});

test('collectors are bounded, checked, and go with their session', async () => {
  const { registry, events, client, endSession } = await build();
  const create = () => client.call(events.ref, 'CreateCollectorForEvents', { filter: {} });
  const refs = [];
  for (let i = 0; i < 32; i += 1) refs.push((await create()) as ManagedObjectReference);
  await assert.rejects(create(), faultNamed('InvalidState'));
  await assert.rejects(
    client.call(refs[0]!, 'SetCollectorPageSize', { maxCount: 1_001 }),
    faultNamed('InvalidArgument'),
  );
  await client.call(refs[0]!, 'DestroyCollector');
  await create();
  endSession();
  assert.equal([...registry.all('EventHistoryCollector')].length, 0);
});

test('clients log and post events, of event types only', async () => {
  const { registry, refs, events, client } = await build();
  const latest = () => registry.read(events.ref, 'latestEvent') as DataTypes['EventEx'] & { _typeName: string };
  await client.call(events.ref, 'LogUserEvent', { entity: refs.vm, msg: 'hello' });
  assert.equal(latest().fullFormattedMessage, 'User logged event: hello');
  assert.equal(latest().userName, 'ann');
  const eventToPost = {
    _typeName: 'EventEx',
    key: 999,
    userName: 'forged',
    createdTime: '1999-01-01T00:00:00Z',
    eventTypeId: 'com.example.done',
    message: 'done',
    severity: 'error',
  };
  await client.call(events.ref, 'PostEvent', { eventToPost });
  assert.deepEqual(
    [latest().eventTypeId, latest().userName, latest().fullFormattedMessage],
    ['com.example.done', 'ann', 'done'],
  );
  assert.notEqual(latest().key, 999);
  const found = (await client.call(events.ref, 'QueryEvents', {
    filter: { eventTypeId: ['com.example.done'], category: ['error'] },
  })) as unknown[];
  assert.equal(found.length, 1);
  await assert.rejects(
    client.call(events.ref, 'PostEvent', { eventToPost: { _typeName: 'VirtualDisk' } }),
    faultNamed('InvalidEvent'),
  );
  const description = registry.read(events.ref, 'description') as DataTypes['EventDescription'];
  assert.ok(description.eventInfo.length > 300);
  assert.deepEqual(
    description.eventInfo.filter(({ key }) => key.includes('SpecificationChanged')),
    [],
    'pyVmomi reads the list: it fails on a key that it has no type for',
  );
  const on = description.eventInfo.find(({ key }) => key === 'VmPoweredOnEvent');
  assert.deepEqual(
    [on?.fullFormat, on?.formatOnDatacenter, on?.formatOnHost, on?.formatOnVm, on?.category],
    [
      '{vm.name} on {host.name} in {datacenter.name} is powered on',
      '{vm.name} on {host.name} is powered on',
      '{vm.name} is powered on',
      'This virtual machine is powered on',
      'info',
    ],
  );
  const categories = description.category.map(({ key }) => key);
  for (const { key, description: label, category, ...formats } of description.eventInfo) {
    assert.ok(label && categories.includes(category) && Object.values(formats).every((text) => text !== ''), key);
  }
  const named = (await client.call(events.ref, 'RetrieveArgumentDescription', {
    eventTypeId: 'vim.event.VmRenamedEvent',
  })) as { name: string; type: string }[];
  assert.deepEqual(named.slice(-2), [
    { name: 'oldName', type: 'string' },
    { name: 'newName', type: 'string' },
  ]);
  const plain = { eventTypeId: ['com.example.done'], disableFullMessage: true };
  const collector = (await client.call(events.ref, 'CreateCollectorForEvents', {
    filter: plain,
  })) as ManagedObjectReference<'EventHistoryCollector'>;
  const read = (await client.call(collector, 'ReadNextEvents', { maxCount: 5 })) as VimEvent[];
  for (const [event] of [read, registry.read(collector, 'latestPage') ?? []]) {
    assert.deepEqual([event?.fullFormattedMessage, event?.userName], [undefined, 'ann']);
  }
});

test('the latest event is shown to whoever may read what it is about, and to nobody else', async () => {
  const { registry, refs, events } = await build(new KillablePersistence(), 50_000, {
    holds: (session, object) => session.userName === object.value,
  });
  events.post(undefined, { type: 'VmPoweredOnEvent', entity: refs.vm });
  const manager = registry.get(events.ref);
  assert.ok(manager !== undefined);
  const { perSession } = manager.class as ManagedObjectClass<'EventManager'>;
  const latest = (userName: string) => perSession?.latestEvent?.(manager, sessionOf(userName))?.key;
  assert.deepEqual([latest(refs.vm.value), latest('eve')], [1, undefined]);
});
