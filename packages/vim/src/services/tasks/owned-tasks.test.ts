import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fault } from '../../runtime/fault.ts';
import { Registry } from '../../runtime/registry.ts';
import { loadSchema } from '../../schema/schema.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import { allowEverything, faultNamed, sessionOf, TestClient } from '../testing/calls.ts';
import { KillablePersistence } from '../testing/killable-persistence.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedEvents } from '../testing/recorded-events.ts';
import type { TaskInfo } from './task-record.ts';
import { TaskService } from './task-service.ts';

const schema = loadSchema();

async function build(persistence = new KillablePersistence(), clock = new ManualClock(), historyLimit = 10_000) {
  const registry = new Registry(schema);
  const vm = registry.commit((draft) =>
    draft.add<'VirtualMachine'>({ type: 'VirtualMachine', methods: {} }, 'vm-1', { name: 'web' }),
  );
  const events = new RecordedEvents(persistence);
  const defects: unknown[] = [];
  const onDefect = (_where: string, error: unknown) => defects.push(error);
  const base = { registry, persistence, events, clock, authorizer: allowEverything, historyLimit, onDefect };
  const tasks = await TaskService.open(base);
  await tasks.recover();
  const client = new TestClient({ registry });
  client.session = { ...sessionOf('ann'), onEnd: () => () => {} };
  const info = (ref: ManagedObjectReference<'Task'>) => registry.read(ref, 'info') as TaskInfo;
  return { registry, vm, events, clock, tasks, persistence, client, info, defects };
}

const queueTime = '2025-12-31T23:00:00.000Z';
const startTime = '2025-12-31T23:00:01.000Z';
const completeTime = '2025-12-31T23:00:02.000Z';

test('an owned task says what its owner says, with the times that it gives', async () => {
  const { registry, vm, tasks, events, clock, info } = await build();
  const task = await tasks.owned.start({
    owner: 'center',
    entity: vm,
    userName: 'root',
    announced: false,
    chainId: 77,
    info: { descriptionId: 'VirtualMachine.powerOn', name: 'PowerOnVM_Task', queueTime, activationId: 'a-1' },
    note: { host: 'h1', task: 'haTask-3' },
  });
  const { ref } = task;
  assert.deepEqual(registry.read(vm, 'recentTask'), [ref]);
  const { state, eventChainId, entityName, reason } = info(ref);
  assert.deepEqual(
    [state, eventChainId, entityName, reason, info(ref).queueTime],
    ['queued', 77, 'web', { _typeName: 'TaskReasonUser', userName: 'root' }, queueTime],
  );
  assert.deepEqual(events.types, [], 'its events are brought in by who owns it');
  await task.update({ state: 'running', startTime, progress: 10, cancelable: true });
  assert.deepEqual([info(ref).state, info(ref).startTime, info(ref).progress], ['running', startTime, 10]);
  await task.update({ progress: 20, description: { key: 'k', message: 'Copying' } });
  clock.advance(500);
  assert.deepEqual([info(ref).progress, info(ref).description?.message], [20, 'Copying']);
  const seen: unknown[] = [];
  const unfollow = registry.onCommit(() => seen.push([info(ref).state, info(ref).result, info(ref).completeTime]));
  assert.equal(await task.update({ state: 'success', result: 'fine', completeTime }), true);
  unfollow();
  assert.deepEqual(seen, [['success', 'fine', completeTime]], 'the end is seen whole');
  assert.equal(task.over, true);
  assert.equal(await task.update({ state: 'error' }), false, 'what is over stays as it is');
  assert.equal(info(ref).state, 'success');
  assert.deepEqual(tasks.owned.byActivation('center', 'a-1')?.note, { host: 'h1', task: 'haTask-3' });
});

test('clients do not say how an owned task goes', async () => {
  const { tasks, client } = await build();
  const { ref } = await tasks.owned.start({ owner: 'center', state: 'running', info: { descriptionId: 'x.y' } });
  await assert.rejects(client.call(ref, 'SetTaskState', { state: 'success' }), faultNamed('InvalidState'));
  await assert.rejects(client.call(ref, 'UpdateProgress', { percentDone: 3 }), faultNamed('InvalidState'));
});

test('a cancel is passed on; a fault of it is the answer, and leaves the task uncancelled', async () => {
  const { tasks, client, info } = await build();
  let refuses = true;
  let passed = 0;
  const task = await tasks.owned.start({
    owner: 'center',
    state: 'running',
    info: { descriptionId: 'x.y', cancelable: true },
    onCancel: () => {
      if (refuses) throw fault('HostNotConnected', {}, 'The host is away.');
      passed += 1;
    },
  });
  await assert.rejects(client.call(task.ref, 'CancelTask'), faultNamed('HostNotConnected'));
  assert.equal(info(task.ref).cancelled, false);
  refuses = false;
  await client.call(task.ref, 'CancelTask');
  assert.deepEqual([passed, info(task.ref).cancelled, info(task.ref).state], [1, true, 'running']);
  await task.lose('The host forgot the task.');
  assert.match(info(task.ref).error?.localizedMessage ?? '', /forgot/);
  await assert.rejects(client.call(task.ref, 'CancelTask'), faultNamed('InvalidState'));
  const other = await tasks.owned.start({ owner: 'center', info: { descriptionId: 'x.y' } });
  await assert.rejects(client.call(other.ref, 'CancelTask'), faultNamed('NotSupported'));
});

test('a task may be over before its cancel was passed on', async () => {
  const { tasks, client, info, persistence } = await build();
  const task = await tasks.owned.start({
    owner: 'center',
    state: 'running',
    info: { descriptionId: 'x.y', cancelable: true },
  });
  task.onCancel(async () => {
    await task.update({ state: 'success', cancelled: false });
  });
  await client.call(task.ref, 'CancelTask');
  assert.deepEqual([info(task.ref).state, info(task.ref).cancelled], ['success', false]);
  const [kept] = await persistence.disk.list<{ info: TaskInfo }>('tasks');
  assert.deepEqual([kept?.value.info.state, kept?.value.info.cancelled], ['success', false]);
  const other = await tasks.owned.start({ owner: 'center', state: 'running', info: { descriptionId: 'x.y' } });
  await other.update({ cancelled: true, cancelable: true });
  assert.deepEqual([info(other.ref).cancelled, info(other.ref).cancelable], [true, true]);
});

test('owned tasks outlive the process; their owner finds them and is told of cancels that it missed', async () => {
  const persistence = new KillablePersistence();
  const clock = new ManualClock();
  const before = await build(persistence, clock);
  const start = (owner: string, activationId: string) =>
    before.tasks.owned.start({ owner, info: { descriptionId: 'x.y', cancelable: true, queueTime, activationId } });
  const running = await start('center', 'a-1');
  await running.update({ state: 'running', startTime });
  await running.keep({ step: 2 });
  const done = await start('center', 'a-2');
  await done.update({ state: 'success', result: 5n });
  const waiting = await start('center', 'a-3');
  await start('else', 'a-1');
  persistence.kill();

  const between = await build(new KillablePersistence(persistence.disk), clock);
  assert.deepEqual(
    between.tasks.owned.of('center').map(({ ref }) => ref.value),
    [running.ref.value, waiting.ref.value],
  );
  const again = between.tasks.owned.byActivation('center', 'a-1');
  assert.deepEqual([again?.ref.value, again?.note, again?.info.startTime], [running.ref.value, { step: 2 }, startTime]);
  assert.equal(between.info(running.ref).state, 'running', 'until its owner says otherwise');
  assert.equal(between.tasks.owned.byActivation('center', 'a-2')?.over, true);
  assert.equal(between.tasks.owned.byActivation('center', 'none'), undefined);
  await between.client.call(running.ref, 'CancelTask');
  await again?.update({ progress: 50 });
  between.persistence.kill();

  const after = await build(new KillablePersistence(persistence.disk), clock);
  let told = 0;
  for (const task of after.tasks.owned.of('center')) {
    task.onCancel(() => {
      told += 1;
      if (told > 1) throw new Error('told of a task that nobody cancelled');
    });
  }
  assert.equal(told, 1);
  const [first] = after.tasks.owned.of('center');
  await first?.update({ state: 'error', error: after.info(done.ref).error });
  assert.equal(after.info(running.ref).state, 'error');
  assert.deepEqual(
    after.tasks.byActivation('a-1').map(({ value }) => value),
    [running.ref.value, 'task-4'],
  );
  assert.deepEqual(after.defects, []);
});

test('a task is found by its token through collectors, after a restart too, without reading the history', async () => {
  const persistence = new KillablePersistence();
  const first = await build(persistence);
  const quick = (built: typeof first) => built.tasks.define<null>('Test.quick', { run: async () => 'done' });
  const start = quick(first);
  for (let i = 0; i < 30; i += 1) {
    const ref = await start({}, { input: null, ...(i % 10 === 4 ? { activationId: `act-${i}` } : {}) });
    await first.tasks.finished(ref);
  }
  const second = await build(new KillablePersistence(persistence.disk));
  let listed = 0;
  const { list } = second.persistence;
  second.persistence.list = (collection, range) => {
    if (collection === 'tasks') listed += 1;
    return list.call(second.persistence, collection, range) as never;
  };
  const collect = async (filter: object) =>
    (await second.client.call(second.tasks.ref, 'CreateCollectorForTasks', {
      filter,
    })) as ManagedObjectReference<'TaskHistoryCollector'>;
  const collector = await collect({ activationId: ['act-14', 'act-24', 'unfinished', 'none'] });
  const page = () => (second.registry.read(collector, 'latestPage') as TaskInfo[]).map((info) => info.activationId);
  assert.deepEqual(page(), ['act-24', 'act-14']);
  const read = async (method: string) =>
    ((await second.client.call(collector, method, { maxCount: 10 })) as TaskInfo[]).map((info) => info.activationId);
  assert.deepEqual(await read('ReadNextTasks'), ['act-14', 'act-24']);
  assert.equal(listed, 0);
  const unfinished = await second.tasks.owned.start({
    owner: 'o',
    state: 'running',
    info: { descriptionId: 'x.y', activationId: 'unfinished' },
  });
  await unfinished.update({ progress: 5 });
  assert.deepEqual(page(), ['unfinished', 'act-24', 'act-14']);
  assert.deepEqual(await read('ReadNextTasks'), ['unfinished']);
  const [narrow] = [await collect({ activationId: ['unfinished'], state: ['success'] })];
  assert.deepEqual(second.registry.read(narrow, 'latestPage'), []);
  await unfinished.update({ state: 'success' });
  assert.equal(second.registry.read(narrow, 'latestPage')?.length, 1);
});

test('a collector leaves out the results that its client does not want', async () => {
  const { registry, tasks, client } = await build();
  for (const kind of ['Test.a', 'Test.b']) {
    const start = tasks.define<null>(kind, { run: async () => kind });
    await tasks.finished(await start({}, { input: null }));
  }
  const results = async (filterTaskResults: object) => {
    const ref = (await client.call(tasks.ref, 'CreateCollectorWithInfoFilterForTasks', {
      filter: {},
      infoFilter: { filterTaskResults },
    })) as ManagedObjectReference<'TaskHistoryCollector'>;
    const read = (await client.call(ref, 'ReadNextTasks', { maxCount: 5 })) as TaskInfo[];
    const page = registry.read(ref, 'latestPage') as TaskInfo[];
    assert.deepEqual(read.toReversed(), page);
    return read.map(({ result }) => result);
  };
  assert.deepEqual(await results({}), ['Test.a', 'Test.b']);
  assert.deepEqual(await results({ removeAll: true }), [undefined, undefined]);
  assert.deepEqual(await results({ descriptionIds: ['Test.a'] }), [undefined, 'Test.b']);
  assert.deepEqual(await results({ descriptionIds: ['Test.a'], filterIn: true }), ['Test.a', undefined]);
});

test('every kind of task is described, those of others too', async () => {
  const { registry, clock } = await build();
  const tasks = await TaskService.open({
    registry,
    persistence: new KillablePersistence(),
    events: new RecordedEvents(),
    clock,
    authorizer: allowEverything,
    referenceValue: 'OtherTaskManager',
    foreignKinds: ['VirtualMachine.powerOn', 'Datastore.refresh'],
  });
  tasks.define('VirtualMachine.powerOn', { run: async () => {} });
  await tasks.recover();
  const description = registry.read(tasks.ref, 'description');
  assert.deepEqual(description?.methodInfo, [
    { key: 'Datastore.refresh', label: 'Refresh', summary: 'Refresh: datastore' },
    { key: 'VirtualMachine.powerOn', label: 'Power on', summary: 'Power on: virtual machine' },
  ]);
});

test('tokens of tasks that leave the history leave with them', async () => {
  const { tasks, persistence } = await build(undefined, undefined, 100);
  const start = tasks.define<null>('Test.quick', { run: async () => {} });
  for (let i = 1; i <= 256; i += 1) {
    const ref = await start({}, { input: null, activationId: `act-${i % 128}` });
    await tasks.finished(ref);
  }
  assert.equal(tasks.byActivation('act-1').length, 0, 'tasks 1 and 129 are trimmed');
  assert.deepEqual(
    tasks.byActivation('act-100').map(({ value }) => value),
    ['task-228'],
  );
  assert.equal((await persistence.disk.list('task-activations')).length, 101);
});
