import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Authorizer } from '../../runtime/authorizer.ts';
import { fault } from '../../runtime/fault.ts';
import { Registry } from '../../runtime/registry.ts';
import { loadSchema } from '../../schema/schema.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import { numberKey } from '../persistence.ts';
import { allowEverything, faultNamed, sessionOf, TestClient } from '../testing/calls.ts';
import { KillablePersistence } from '../testing/killable-persistence.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedEvents } from '../testing/recorded-events.ts';
import type { RunningTask } from './task-kind.ts';
import type { TaskInfo } from './task-record.ts';
import { TaskService } from './task-service.ts';

const schema = loadSchema();
const settle = () => new Promise((resolve) => setImmediate(resolve));

async function build(persistence = new KillablePersistence(), clock = new ManualClock(), authorizer?: Authorizer) {
  const registry = new Registry(schema);
  const vm = registry.commit((draft) =>
    draft.add<'VirtualMachine'>({ type: 'VirtualMachine', methods: {} }, 'vm-1', { name: 'web' }),
  );
  const events = new RecordedEvents(persistence);
  const defects: unknown[] = [];
  const tasks = await TaskService.open({
    registry,
    persistence,
    events,
    clock,
    authorizer: authorizer ?? allowEverything,
    heavyLimit: 2,
    onDefect: (_where, error) => defects.push(error),
  });
  const client = (userName: string) => {
    const one = new TestClient({ registry, authorizer: authorizer ?? allowEverything });
    one.session = sessionOf(userName);
    return one;
  };
  const info = (ref: ManagedObjectReference<'Task'>) => registry.read(ref, 'info') as TaskInfo;
  return { registry, vm, events, clock, tasks, persistence, client, info, defects };
}

function gate() {
  let open: (value?: unknown) => void = () => {};
  const opened = new Promise((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

test('a task runs: it is durable first, shows its progress, and its result comes with its state', async () => {
  const { registry, vm, tasks, persistence, clock, info, events } = await build();
  const { open, opened } = gate();
  let running: RunningTask | undefined;
  const powerOn = tasks.define<{ host: string }>('VirtualMachine.powerOn', {
    method: 'PowerOnVM_Task',
    run: async (task, { host }) => {
      running = task;
      task.progress(10);
      task.progress(20);
      await opened;
      return host;
    },
  });
  const ref = await powerOn(
    { userName: 'ann', reason: { _typeName: 'TaskReasonSystem' } },
    { entity: vm, input: { host: 'a' } },
  );
  assert.equal((await persistence.disk.list('tasks')).length, 1);
  await settle();
  assert.equal(info(ref).state, 'running');
  assert.equal(info(ref).progress, 10, 'the second progress waits for the interval');
  clock.advance(500);
  assert.equal(info(ref).progress, 20);
  assert.deepEqual(registry.read(vm, 'recentTask'), [ref]);
  assert.deepEqual(registry.read(tasks.ref, 'recentTask'), [ref]);
  const states: [string, unknown][] = [];
  const unfollow = registry.onCommit(() => states.push([info(ref).state, info(ref).result]));
  open();
  const final = await tasks.finished(ref);
  unfollow();
  assert.deepEqual(states, [['success', 'a']]);
  assert.equal(final.name, 'PowerOnVM_Task');
  assert.equal(final.entityName, 'web');
  assert.deepEqual(events.types, ['TaskEvent']);
  assert.equal(running?.userName, 'ann');
  clock.advance(599_000);
  assert.notEqual(registry.get(ref), undefined);
  clock.advance(2_000);
  assert.equal(registry.get(ref), undefined);
  assert.deepEqual(registry.read(vm, 'recentTask'), []);
  assert.deepEqual(registry.read(tasks.ref, 'recentTask'), []);
  assert.equal((await persistence.disk.list('tasks')).length, 1, 'history keeps it');
});

test('a task whose turn it is at once is written down once, as begun and with its plan; one behind it is not planned', async () => {
  const { tasks, persistence, info } = await build();
  const { open, opened } = gate();
  const planned: string[] = [];
  const found: unknown[] = [];
  const work = async (task: RunningTask) => {
    found.push(task.journaled);
    await opened;
  };
  const begin = tasks.define<string>('Test.planned', {
    plan: async (name) => {
      planned.push(name);
      if (name === 'refused') throw new Error('no');
      return { made: name };
    },
    run: work,
    resume: work,
  });
  const writes: unknown[] = [];
  const { transact } = persistence;
  persistence.transact = async (batch) => {
    writes.push(batch);
    await transact.call(persistence, batch);
  };
  const first = await begin({}, { input: 'first', queueKey: 'a' });
  await settle();
  assert.equal(info(first).state, 'running');
  assert.equal(writes.length, 1);
  const stored = await persistence.disk.get<{ info: TaskInfo; journal: unknown }>('tasks', numberKey(1));
  assert.deepEqual([stored?.info.state, stored?.journal], ['running', { made: 'first' }]);
  const second = await begin({}, { input: 'second', queueKey: 'a' });
  const refused = await begin({}, { input: 'refused', queueKey: 'b' });
  assert.equal(info(second).state, 'queued');
  open();
  await Promise.all([first, second, refused].map((ref) => tasks.finished(ref)));
  assert.deepEqual(planned, ['first', 'refused']);
  assert.deepEqual(found, [{ made: 'first' }, undefined, undefined]);
});

test('a task that was killed when it had only been written down goes on as one that had begun', async () => {
  const persistence = new KillablePersistence(undefined, 1);
  const before = await build(persistence);
  const dead = async () => {
    await new Promise(() => {});
  };
  const begin = before.tasks.define<string>('Test.planned', { plan: async (name) => name, run: dead, resume: dead });
  void begin({}, { input: 'disk', queueKey: 'a' });
  await persistence.died;
  const after = await build(new KillablePersistence(persistence.disk));
  const gone: unknown[] = [];
  const run = () => assert.fail('it had begun');
  after.tasks.define<string>('Test.planned', { run, resume: async (task) => void gone.push(task.journaled) });
  await after.tasks.recover();
  const [object] = after.registry.all('Task');
  const end = await after.tasks.finished(object?.ref as ManagedObjectReference<'Task'>);
  assert.deepEqual([end.state, gone], ['success', ['disk']]);
});

test('faults become the error of the task; anything else is SystemError and told as a defect', async () => {
  const { tasks, info, defects } = await build();
  const fail = tasks.define<{ typed: boolean }>('Test.fail', {
    run: async (_task, { typed }) => {
      if (typed)
        throw fault('DuplicateName', { name: 'a', object: { type: 'Folder', value: 'f' } }, 'The name is taken.');
      throw new Error('disk on fire');
    },
  });
  const typed = await fail({}, { input: { typed: true } });
  const other = await fail({}, { input: { typed: false } });
  await Promise.all([tasks.finished(typed), tasks.finished(other)]);
  assert.equal(info(typed).error?.fault._typeName, 'DuplicateName');
  assert.equal(info(typed).error?.localizedMessage, 'The name is taken.');
  assert.equal(info(other).error?.fault._typeName, 'SystemError');
  assert.equal(defects.length, 1);
});

test('tasks of one key go one at a time; heavy ones are bounded over all keys', async () => {
  const { tasks, info } = await build();
  const order: string[] = [];
  let now = 0;
  let most = 0;
  const work = tasks.define<string>('Test.work', {
    heavy: true,
    run: async (_task, name) => {
      order.push(name);
      now += 1;
      most = Math.max(most, now);
      await settle();
      now -= 1;
    },
  });
  const refs = [];
  for (const [name, queueKey] of [
    ['a1', 'a'],
    ['a2', 'a'],
    ['b1', 'b'],
    ['c1', 'c'],
    ['a3', 'a'],
  ] as const) {
    refs.push(await work({}, { input: name, queueKey }));
  }
  assert.equal(info(refs[4]!).state, 'queued');
  await Promise.all(refs.map((ref) => tasks.finished(ref)));
  assert.equal(most, 2);
  assert.deepEqual(
    order.filter((name) => name.startsWith('a')),
    ['a1', 'a2', 'a3'],
  );
});

test('cancelling: by who began it or with the privilege, queued at once, running by signal', async () => {
  const authorizer: Authorizer = {
    holds: (session, _object, privilege) => privilege !== 'Global.CancelTask' || session.userName === 'admin',
  };
  const { tasks, info, client } = await build(undefined, undefined, authorizer);
  const wait = tasks.define<null>('Test.wait', {
    cancelable: true,
    run: async (task) => {
      await new Promise((_, reject) => task.signal.addEventListener('abort', () => reject(task.signal.reason)));
    },
  });
  const first = await wait({ userName: 'ann' }, { input: null, queueKey: 'k' });
  const second = await wait({ userName: 'ann' }, { input: null, queueKey: 'k' });
  const third = await wait({ userName: 'ann' }, { input: null, cancelable: false });
  await settle();
  await assert.rejects(client('bob').call(second, 'CancelTask'), faultNamed('NoPermission'));
  await client('ann').call(second, 'CancelTask');
  assert.equal(info(second).state, 'error');
  assert.equal(info(second).error?.fault._typeName, 'RequestCanceled');
  assert.equal(info(second).startTime, undefined);
  assert.equal(info(first).state, 'running');
  await client('admin').call(first, 'CancelTask');
  const final = await tasks.finished(first);
  assert.deepEqual([final.state, final.cancelled, final.error?.fault._typeName], ['error', true, 'RequestCanceled']);
  await assert.rejects(client('ann').call(first, 'CancelTask'), faultNamed('InvalidState'));
  await assert.rejects(client('ann').call(third, 'CancelTask'), faultNamed('NotSupported'));
});

test('after a restart queued tasks run, begun ones resume or fail truthfully, finished ones stay', async () => {
  const persistence = new KillablePersistence();
  const clock = new ManualClock();
  const before = await build(persistence, clock);
  const never = new Promise<void>(() => {});
  before.tasks.define('Test.resumable', {
    run: async (task) => {
      await task.journal({ step: 2 });
      await never;
    },
  });
  before.tasks.define('Test.fragile', { run: () => never });
  before.tasks.define('Test.quick', { run: async () => 5n });
  before.tasks.define('Test.unknown', { run: () => never });
  const done = await before.tasks.start({}, { kind: 'Test.quick', input: null });
  await before.tasks.finished(done);
  const resumable = await before.tasks.start({ userName: 'ann' }, { kind: 'Test.resumable', input: { size: 3n } });
  const fragile = await before.tasks.start({}, { kind: 'Test.fragile', input: null, queueKey: 'k' });
  const queued = await before.tasks.start({}, { kind: 'Test.quick', input: null, queueKey: 'k' });
  const unknown = await before.tasks.start({}, { kind: 'Test.unknown', input: null, queueKey: 'k' });
  await settle();
  await settle();
  persistence.kill();

  const after = await build(new KillablePersistence(persistence.disk), clock);
  assert.equal(after.info(queued).state, 'queued', 'there before recovery, too');
  const seen: unknown[] = [];
  after.tasks.define<{ size: bigint }>('Test.resumable', {
    run: () => assert.fail('it had begun'),
    resume: async (task, input) => {
      seen.push(task.journaled, input, task.userName);
    },
  });
  after.tasks.define('Test.fragile', { run: () => assert.fail('it had begun') });
  after.tasks.define('Test.quick', { run: async () => 'again' });
  await after.tasks.recover();
  await Promise.all([queued, resumable, fragile, unknown].map((ref) => after.tasks.finished(ref)));
  assert.deepEqual(seen, [{ step: 2 }, { size: 3n }, 'ann']);
  assert.equal(after.info(done).result, 5n);
  assert.equal(after.info(resumable).state, 'success');
  assert.equal(after.info(queued).result, 'again');
  assert.match(after.info(fragile).error?.localizedMessage ?? '', /restarted while the task ran/);
  assert.match(after.info(unknown).error?.localizedMessage ?? '', /restarted before the task began/);
  const next = await after.tasks.start({}, { kind: 'Test.quick', input: null });
  assert.notEqual(
    [done, queued, unknown].some((ref) => ref.value === next.value),
    true,
    'references are never reused',
  );
});

test('a task carries the token of the call that started it, and whom a trusted session acted for', async () => {
  const { registry, vm, tasks, info, client } = await build(undefined, undefined, {
    holds: (_session, _object, privilege) => privilege !== 'Global.CancelTask',
  });
  const never = tasks.define<null>('VirtualMachine.powerOn', { cancelable: true, run: () => new Promise(() => {}) });
  const machine = registry.commit((draft) =>
    draft.add<'VirtualMachine'>(
      { type: 'VirtualMachine', methods: { PowerOnVM_Task: (call) => never(call, { input: null }) } },
      'vm-2',
      {},
    ),
  );
  const context = { activationId: 'center-7', realUser: 'CORP\\ann' };
  const center = client('vpxuser');
  center.session = { ...sessionOf('vpxuser'), mayActForOthers: true };
  const start = async (by: TestClient) =>
    info((await by.call(machine, 'PowerOnVM_Task', {}, context)) as ManagedObjectReference<'Task'>);
  const trusted = await start(center);
  assert.deepEqual(
    [trusted.activationId, trusted.reason],
    ['center-7', { _typeName: 'TaskReasonUser', userName: 'vpxuser:CORP\\ann' }],
  );
  const plain = await start(client('bob'));
  assert.deepEqual([plain.activationId, plain.reason], ['center-7', { _typeName: 'TaskReasonUser', userName: 'bob' }]);
  await assert.rejects(center.call(plain.task, 'CancelTask', {}, context), faultNamed('NoPermission'));
  await center.call(trusted.task, 'CancelTask', {}, context);
  const created = await center.call(
    tasks.ref,
    'CreateTask',
    { obj: vm, taskTypeId: 'com.example.scan', cancelable: false, activationId: 'own' },
    context,
  );
  const { activationId, reason } = created as { activationId: string; reason: { userName: string } };
  assert.deepEqual([activationId, reason.userName], ['own', 'vpxuser:CORP\\ann']);
});

test('a client that works on a task of its own says its state', async () => {
  const { registry, vm, tasks, client, info } = await build();
  const ann = client('ann');
  const created = (await ann.call(tasks.ref, 'CreateTask', {
    obj: vm,
    taskTypeId: 'com.example.scan',
    cancelable: false,
  })) as TaskInfo;
  const ref = created.task;
  await assert.rejects(ann.call(ref, 'UpdateProgress', { percentDone: 5 }), faultNamed('InvalidState'));
  await ann.call(ref, 'SetTaskState', { state: 'running' });
  await ann.call(ref, 'UpdateProgress', { percentDone: 5 });
  await assert.rejects(ann.call(ref, 'UpdateProgress', { percentDone: 101 }), faultNamed('OutOfBounds'));
  await ann.call(ref, 'SetTaskState', { state: 'success', result: 'fine' });
  assert.deepEqual([info(ref).state, info(ref).result], ['success', 'fine']);
  await assert.rejects(ann.call(ref, 'SetTaskState', { state: 'running' }), faultNamed('InvalidState'));
  assert.equal(registry.read(vm, 'recentTask')?.length, 1);
});

test('every task that is not over is a recent one, however many there are; of those that are over only so many', async () => {
  const { registry, vm, tasks } = await build();
  const { open, opened } = gate();
  const start = tasks.define<object>('VirtualMachine.clone', { method: 'CloneVM_Task', run: () => opened });
  const begun: ManagedObjectReference<'Task'>[] = [];
  for (let number = 0; number < 230; number += 1) begun.push(await start({}, { entity: vm, input: {} }));
  const recent = () => registry.read(tasks.ref, 'recentTask')?.map(({ value }) => value);
  assert.deepEqual(
    recent(),
    begun.map(({ value }) => value),
  );
  open();
  for (const task of begun) await tasks.finished(task);
  const next = await start({}, { entity: vm, input: {} });
  assert.deepEqual(
    recent(),
    [...begun.slice(-199), next].map(({ value }) => value),
  );
  assert.equal(registry.read(vm, 'recentTask')?.length, 200);
});
