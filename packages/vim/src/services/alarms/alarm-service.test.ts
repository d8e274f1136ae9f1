import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DataTypes } from '../../generated/types.ts';
import type { Authorizer } from '../../runtime/authorizer.ts';
import type { Properties } from '../../runtime/managed-object.ts';
import { data } from '../../schema/data.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import { allowEverything, faultNamed } from '../testing/calls.ts';
import { alarmWorld, eventAlarm, machineOff, spec } from './testing/alarm-world.ts';

type Triggering = DataTypes['AlarmTriggeringAction'];

const call = (name: string, transitionSpecs: Triggering['transitionSpecs']) =>
  data('AlarmTriggeringAction', {
    action: data('MethodAction', { name, argument: [{}] }),
    transitionSpecs,
    green2yellow: false,
    yellow2red: false,
    red2yellow: false,
    yellow2green: false,
  });

test('a state alarm is triggered, shown on everything above, and cleared, with an event each time', async () => {
  const world = await alarmWorld();
  const alarm = await world.create(world.root, spec('off', machineOff));
  assert.equal(alarm.value, 'alarm-1');
  await world.power(world.vm, 'poweredOff');
  for (const entity of [world.vm, world.host, world.cluster, world.datacenter, world.root]) {
    assert.deepEqual(world.triggered(entity), [`alarm-1.vm-1 red`], entity.value);
  }
  assert.deepEqual(world.triggered(world.otherVm), []);
  assert.equal(world.service.worstStatus(world.vm), 'red');
  assert.equal(world.service.worstStatus(world.host), 'green');
  const [event] = world.events.posted.slice(-1);
  assert.equal(event?.type, 'AlarmStatusChangedEvent');
  assert.equal(event?.message, "Alarm 'off' on one changed from Green to Red");
  await world.power(world.vm, 'poweredOn');
  assert.deepEqual(world.triggered(world.root), []);
  assert.deepEqual(world.events.types, ['AlarmCreatedEvent', 'AlarmStatusChangedEvent', 'AlarmStatusChangedEvent']);
  assert.deepEqual(world.raised, ['vm-1 red', 'vm-1 green']);
});

test('an alarm is declared on what it can be triggered by, and on what holds such', async () => {
  const world = await alarmWorld();
  await world.create(world.cluster, spec('off', machineOff));
  assert.deepEqual(world.declared(world.vm), ['alarm-1.vm-1 green']);
  assert.deepEqual(world.declared(world.host), ['alarm-1.host-1 gray']);
  assert.deepEqual(world.declared(world.root), []);
  assert.deepEqual(world.declared(world.otherVm), []);
});

test('an alarm goes with the machine that moves out from under it', async () => {
  const world = await alarmWorld();
  await world.create(world.cluster, spec('off', machineOff));
  await world.power(world.vm, 'poweredOff');
  assert.equal(world.triggered(world.cluster).length, 1);
  await world.change(world.vm, { runtime: { powerState: 'poweredOff' } as never });
  assert.deepEqual([world.triggered(world.cluster), world.declared(world.vm)], [[], []]);
  await world.change(world.vm, { runtime: { powerState: 'poweredOff', host: world.host } as never });
  assert.deepEqual(world.triggered(world.cluster), ['alarm-1.vm-1 red']);
  world.registry.commit((draft) => draft.remove(world.vm));
  await world.service.settled();
  assert.deepEqual(world.triggered(world.cluster), []);
  assert.deepEqual(await world.persistence.list('alarm-states'), []);
});

test('the last event of alternatives decides; comparisons and types of events and objects hold', async () => {
  const world = await alarmWorld();
  await world.create(world.root, spec('lost', eventAlarm));
  await world.post({ type: 'HostConnectionLostEvent', entity: world.host });
  assert.deepEqual(world.triggered(world.root), ['alarm-1.host-1 red']);
  await world.post({ type: 'VmPoweredOffEvent', entity: world.vm });
  assert.deepEqual(world.triggered(world.root), ['alarm-1.host-1 red']);
  await world.post({ type: 'HostConnectedEvent', entity: world.host });
  assert.deepEqual(world.declared(world.host), ['alarm-1.host-1 green']);
  const named = data('EventAlarmExpression', {
    eventType: 'EventEx',
    eventTypeId: 'com.example.fan',
    objectType: 'HostSystem',
    status: 'yellow',
    comparisons: [
      { attributeName: 'fan', operator: 'startsWith', value: 'cpu' },
      { attributeName: 'host.name', operator: 'notEqualTo', value: 'h2' },
    ],
  });
  await world.create(world.root, spec('fan', named));
  const fan = (value: string) => ({
    type: 'EventEx' as const,
    entity: world.host,
    members: { eventTypeId: 'com.example.fan', arguments: [{ key: 'fan', value }] },
  });
  await world.post(fan('case0'));
  assert.deepEqual(world.triggered(world.root), []);
  await world.post(fan('cpu0'));
  assert.deepEqual(world.triggered(world.root), ['alarm-2.host-1 yellow']);
});

test('what must hold together is red when all are; gray ones do not count', async () => {
  const world = await alarmWorld();
  const lost = data('StateAlarmExpression', {
    operator: 'isEqual',
    type: 'HostSystem',
    statePath: 'runtime.connectionState',
    red: 'notResponding',
  });
  const awake = { ...lost, operator: 'isUnequal' as const, statePath: 'runtime.powerState', red: 'standBy' };
  await world.create(world.root, spec('both', data('AndAlarmExpression', { expression: [lost, awake] })));
  await world.change(world.host, { runtime: { connectionState: 'notResponding', powerState: 'standBy' } as never });
  assert.deepEqual(world.triggered(world.root), []);
  await world.change(world.host, { runtime: { connectionState: 'notResponding', powerState: 'poweredOn' } as never });
  assert.deepEqual(world.triggered(world.root), ['alarm-1.host-1 red']);
  await world.change(world.host, { runtime: { connectionState: 'notResponding' } as never });
  assert.deepEqual(world.triggered(world.root), ['alarm-1.host-1 red']);
});

test('counters: gray without a value, with tolerance, for a while, not more often than wanted', async () => {
  const values = new Map<string, number>();
  const world = await alarmWorld({ readMetric: ({ value }) => values.get(value) });
  const metric = data('MetricAlarmExpression', {
    operator: 'isAbove',
    type: 'HostSystem',
    metric: { counterId: 2, instance: '' },
    yellow: 7_000,
    red: 9_000,
    redInterval: 60,
  });
  const setting = { toleranceRange: 1_000, reportingFrequency: 300 };
  await world.create(world.root, { ...spec('cpu', metric), setting });
  assert.deepEqual(world.declared(world.host), ['alarm-1.host-1 gray']);
  const measure = async (value: number, seconds: number) => {
    values.set('host-1', value);
    world.clock.advance(seconds * 1_000);
    world.service.metricsChanged([world.host]);
    await world.service.settled();
    return world.declared(world.host)[0]?.split(' ')[1];
  };
  assert.equal(await measure(7_500, 0), 'green');
  assert.equal(await measure(7_800, 0), 'yellow');
  assert.equal(await measure(9_990, 0), 'yellow');
  assert.equal(await measure(9_990, 70), 'yellow');
  world.clock.advance(300_000);
  await world.service.settled();
  assert.equal(world.declared(world.host)[0], 'alarm-1.host-1 red');
  await world.change(world.host, { runtime: { connectionState: 'disconnected' } as never });
  assert.equal(world.declared(world.host)[0], 'alarm-1.host-1 gray');
});

test('acknowledged alarms do nothing until they have been green, and stay so over a restart', async () => {
  const world = await alarmWorld();
  const action = call('PowerOnVM_Task', [{ startState: 'green', finalState: 'red', repeats: true }]);
  const alarm = await world.create(world.root, { ...spec('off', machineOff), action, actionFrequency: 60 });
  await world.power(world.vm, 'poweredOff');
  assert.deepEqual(world.performed, ['vm-1 PowerOnVM_Task']);
  world.clock.advance(60_000);
  await world.service.settled();
  assert.equal(world.performed.length, 2);
  assert.equal(world.events.types.filter((type) => type === 'AlarmActionTriggeredEvent').length, 2);
  await world.client.call(world.service.ref, 'AcknowledgeAlarm', { alarm, entity: world.vm });
  world.clock.advance(600_000);
  await world.service.settled();
  assert.equal(world.performed.length, 2);
  const posted = world.events.posted.length;
  const again = await world.restart();
  const [state] = again.states(again.vm);
  assert.equal(state?.acknowledgedByUser, 'ann');
  assert.equal(state?.overallStatus, 'red');
  assert.equal(again.events.posted.length, 0, `${posted} before`);
  await again.power(again.vm, 'poweredOn');
  await again.power(again.vm, 'poweredOff');
  assert.equal(again.states(again.vm)[0]?.acknowledged, false);
  assert.deepEqual(again.performed, ['vm-1 PowerOnVM_Task']);
  const next = (await again.client.call(again.service.ref, 'CreateAlarm', {
    entity: again.root,
    spec: spec('next', machineOff),
  })) as ManagedObjectReference;
  assert.equal(next.value, 'alarm-2');
});

test('a change while nobody looked is told after the restart', async () => {
  const world = await alarmWorld();
  await world.create(world.root, spec('off', machineOff));
  await world.power(world.vm, 'poweredOff');
  const again = await world.restart({ powerState: 'poweredOn' });
  assert.deepEqual(again.events.types, ['AlarmStatusChangedEvent']);
  assert.deepEqual(again.triggered(again.root), []);
});

test('actions are not run where they are disabled; clearing turns alarms of events green', async () => {
  const world = await alarmWorld();
  await world.create(world.root, spec('lost', eventAlarm));
  await world.create(world.root, {
    ...spec('off', machineOff),
    action: call('PowerOnVM_Task', [{ startState: 'yellow', finalState: 'red', repeats: false }]),
  });
  await world.client.call(world.service.ref, 'EnableAlarmActions', { entity: world.vm, enabled: false });
  assert.equal(world.registry.read(world.vm, 'alarmActionsEnabled'), false);
  await world.power(world.vm, 'poweredOff');
  assert.deepEqual(world.performed, []);
  await world.post({ type: 'HostConnectionLostEvent', entity: world.host });
  const filter = { status: ['red'], typeEntity: 'entityTypeHost', typeTrigger: 'triggerTypeEvent' };
  await world.client.call(world.service.ref, 'ClearTriggeredAlarms', { filter });
  assert.deepEqual(world.triggered(world.root), ['alarm-2.vm-1 red']);
  assert.equal(world.events.types.at(-1), 'AlarmClearedEvent');
  assert.deepEqual(await world.client.call(world.service.ref, 'AreAlarmActionsEnabled', { entity: world.vm }), false);
});

test('an alarm that is disabled, on one entity or whole, is gray there', async () => {
  const world = await alarmWorld();
  const alarm = await world.create(world.root, spec('off', machineOff));
  await world.power(world.vm, 'poweredOff');
  await world.power(world.otherVm, 'poweredOff');
  await world.client.call(world.service.ref, 'DisableAlarm', { alarm, entity: world.vm });
  assert.deepEqual(world.triggered(world.root), ['alarm-1.vm-2 red']);
  assert.equal(world.states(world.vm)[0]?.disabled, true);
  await world.client.call(world.service.ref, 'EnableAlarm', { alarm, entity: world.vm });
  assert.equal(world.triggered(world.root).length, 2);
  await world.client.call(alarm, 'ReconfigureAlarm', { spec: { ...spec('off', machineOff), enabled: false } });
  await world.service.settled();
  assert.deepEqual(world.triggered(world.root), []);
  assert.equal(world.events.posted.find(({ type }) => type === 'AlarmReconfiguredEvent')?.userName, 'ann');
  await world.client.call(alarm, 'RemoveAlarm');
  assert.deepEqual(world.declared(world.vm), []);
  assert.equal(world.registry.get(alarm), undefined);
  assert.deepEqual(await world.client.call(world.service.ref, 'GetAlarm', {}), []);
  assert.deepEqual(await world.persistence.list('alarms'), []);
});

test('what cannot be is refused', async () => {
  const world = await alarmWorld();
  const create = (each: object) =>
    world.client.call(world.service.ref, 'CreateAlarm', { entity: world.root, spec: each });
  await world.create(world.root, spec('off', machineOff));
  await assert.rejects(create(spec('off', machineOff)), faultNamed('DuplicateName'));
  await assert.rejects(create(spec('', machineOff)), faultNamed('InvalidName'));
  await assert.rejects(create(spec('x'.repeat(81), machineOff)), faultNamed('InvalidName'));
  const bad: DataTypes['AlarmExpression'][] = [
    { ...machineOff, statePath: 'runtime.nothing' } as never,
    { ...machineOff, statePath: 'overallStatus' } as never,
    { ...machineOff, type: 'Task' } as never,
    { ...machineOff, red: undefined } as never,
    data('OrAlarmExpression', { expression: [] }),
    data('EventAlarmExpression', { eventType: 'Nothing' }),
    data('EventAlarmExpression', { eventType: 'AlarmStatusChangedEvent', status: 'red' }),
    data('AlarmExpression', {}),
  ];
  for (const expression of bad) await assert.rejects(create(spec('bad', expression)), faultNamed('InvalidArgument'));
  const red = [{ startState: 'green' as const, finalState: 'red' as const, repeats: false }];
  const acting = (action: DataTypes['Action']) => ({
    ...spec('bad', machineOff),
    action: { ...call('', red), action },
  });
  await assert.rejects(create(acting(data('RunScriptAction', { script: 'rm' }))), faultNamed('NotSupported'));
  await assert.rejects(create(acting(data('SendSNMPAction', {}))), faultNamed('NotSupported'));
  await assert.rejects(create(acting(data('MethodAction', { name: 'Nothing' }))), faultNamed('InvalidArgument'));
  // Its privileges depend on what it is called with: the system must not lend its own.
  await assert.rejects(create(acting(data('MethodAction', { name: 'Destroy_Task' }))), faultNamed('NotSupported'));
  assert.equal(world.events.posted.length, 1);
});

test('rights count on the alarm’s entity, and for what an action calls', async () => {
  const denied = new Set<string>();
  const authorizer: Authorizer = { holds: (_session, { value }, privilege) => !denied.has(`${privilege} ${value}`) };
  const world = await alarmWorld({ authorizer });
  const alarm = await world.create(world.cluster, spec('off', machineOff));
  denied.add(`Alarm.Edit ${world.cluster.value}`).add(`Alarm.Delete ${world.cluster.value}`);
  denied.add(`VirtualMachine.Interact.PowerOn ${world.root.value}`).add(`Alarm.SetStatus ${world.vm.value}`);
  await assert.rejects(
    world.client.call(alarm, 'ReconfigureAlarm', { spec: spec('a', machineOff) }),
    faultNamed('NoPermission'),
  );
  await assert.rejects(world.client.call(alarm, 'RemoveAlarm'), faultNamed('NoPermission'));
  const action = call('PowerOnVM_Task', [{ startState: 'green', finalState: 'red', repeats: false }]);
  const acting = world.client.call(world.service.ref, 'CreateAlarm', {
    entity: world.root,
    spec: { ...spec('act', machineOff), action },
  });
  await assert.rejects(acting, faultNamed('NoPermission'));
  await world.power(world.vm, 'poweredOff');
  await world.client.call(world.service.ref, 'ClearTriggeredAlarms', { filter: {} });
  assert.equal(world.triggered(world.vm).length, 1);
});

test('a new center has its alarms once, and they run what others add to them', async () => {
  const world = await alarmWorld({ defaults: true, authorizer: allowEverything });
  const infos = [...world.registry.all('Alarm')].map((alarm) => alarm.value('info') as Properties<'Alarm'>['info']);
  assert.deepEqual(
    infos.map(({ name, systemName }) => `${name}: ${systemName}`),
    [
      'Host connection and power state: alarm.HostConnectionStateAlarm',
      'Host connection failure: alarm.HostConnectivityAlarm',
      'Host error: alarm.HostErrorAlarm',
      'Virtual machine error: alarm.VmErrorAlarm',
      'Datastore usage on disk: alarm.DatastoreDiskUsageAlarm',
    ],
  );
  const failure = infos[1]!;
  await assert.rejects(
    world.client.call(failure.alarm, 'ReconfigureAlarm', { spec: { ...failure, name: 'mine' } }),
    faultNamed('InvalidArgument'),
  );
  await world.change(world.host, { runtime: { connectionState: 'notResponding', powerState: 'unknown' } as never });
  await world.post({ type: 'HostConnectionLostEvent', entity: world.host });
  assert.deepEqual(world.triggered(world.root), ['alarm-1.host-1 red']);
  await world.client.call(failure.alarm, 'RemoveAlarm');
  const again = await world.restart();
  assert.equal([...again.registry.all('Alarm')].length, 4);
});

test('the room on a datastore turns its alarm yellow at 75 % and red at 85 %, with an event each, and green again', async () => {
  const world = await alarmWorld({ defaults: true, authorizer: allowEverything });
  const datastore = world.registry.commit((draft) =>
    draft.add(world.define('Datastore'), 'ds-1', {
      name: 'small',
      parent: world.datacenter,
      summary: { ...space(500), name: 'small' },
    } as never),
  );
  const statuses: string[] = [];
  for (const free of [500, 240, 100, 151, 251, undefined, 100]) {
    await world.change(datastore, { summary: space(free) } as never);
    const [state] = world.triggered(world.root);
    statuses.push(state?.split(' ')[1] ?? 'none');
  }
  assert.deepEqual(statuses, ['none', 'yellow', 'red', 'yellow', 'none', 'none', 'red']);
  const messages = world.events.posted.flatMap(({ type, message }) =>
    type === 'AlarmStatusChangedEvent' ? [/changed from (.*)$/.exec(message ?? '')?.[1]] : [],
  );
  assert.deepEqual(messages, [
    'Green to Yellow',
    'Yellow to Red',
    'Red to Yellow',
    'Yellow to Green',
    'Green to Gray',
    'Gray to Red',
  ]);
});

/** Summary of a datastore of 1,000 bytes; without room it is out of reach. */
function space(free: number | undefined) {
  return {
    _typeName: 'DatastoreSummary',
    capacity: 1_000,
    freeSpace: free ?? 0,
    accessible: free !== undefined,
    type: 'OTHER',
    url: '',
  };
}
