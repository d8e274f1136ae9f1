import type { DataTypes } from '../../../generated/types.ts';
import type { ManagedObjectClass, ManagedTypeName, Properties } from '../../../runtime/managed-object.ts';
import { Registry } from '../../../runtime/registry.ts';
import { data } from '../../../schema/data.ts';
import { loadSchema } from '../../../schema/schema.ts';
import type { ManagedObjectReference } from '../../../schema/values.ts';
import { eventArguments } from '../../events/event-arguments.ts';
import type { EventRequest } from '../../events/event-poster.ts';
import { inventoryReader } from '../../inventory.ts';
import { MemoryPersistence } from '../../memory-persistence.ts';
import { allowEverything, sessionOf, TestClient } from '../../testing/calls.ts';
import { ManualClock } from '../../testing/manual-clock.ts';
import { RecordedEvents } from '../../testing/recorded-events.ts';
import type { AlarmSpec } from '../alarm-definition.ts';
import { AlarmService, type AlarmServiceOptions } from '../alarm-service.ts';
import { alarmProperties } from '../entity-alarms.ts';
import type { PostedEvent } from '../event-condition.ts';

const schema = loadSchema();

export const machineOff = data('StateAlarmExpression', {
  operator: 'isEqual',
  type: 'VirtualMachine',
  statePath: 'runtime.powerState',
  red: 'poweredOff',
});

const hostEvent = (eventType: string, status: 'red' | 'green') =>
  data('EventAlarmExpression', { eventType, objectType: 'HostSystem', status });

export const eventAlarm = data('OrAlarmExpression', {
  expression: [hostEvent('HostConnectionLostEvent', 'red'), hostEvent('HostConnectedEvent', 'green')],
});

export function spec(name: string, expression: DataTypes['AlarmExpression']): AlarmSpec {
  return { name, description: '', enabled: true, expression };
}

/** Events that tell the alarms of themselves. */
export class TestEvents extends RecordedEvents {
  readonly ref: ManagedObjectReference<'EventManager'> = { type: 'EventManager', value: 'EventManager' };
  listener: (event: PostedEvent) => void = () => {};

  onPosted(listener: (event: PostedEvent) => void): () => void {
    this.listener = listener;
    return () => {};
  }
}

type WorldOptions = Partial<AlarmServiceOptions> & { readonly powerState?: string };

/** A small inventory with alarms: a host in a cluster with a machine on it, and a machine elsewhere. */
export async function alarmWorld({ powerState = 'poweredOn', ...options }: WorldOptions = {}) {
  const registry = new Registry(schema);
  const clock = (options.clock as ManualClock | undefined) ?? new ManualClock();
  const persistence = (options.persistence as MemoryPersistence | undefined) ?? new MemoryPersistence();
  const events = new TestEvents();
  let service: AlarmService | undefined;
  const derived = alarmProperties(() => service);
  const define = <T extends ManagedTypeName>(type: T) => ({ type, methods: {}, derived }) as ManagedObjectClass<T>;
  const refs = registry.commit((draft) => {
    const root = draft.add(define('Folder'), 'group-d1', { name: 'Datacenters' });
    const datacenter = draft.add(define('Datacenter'), 'datacenter-1', { name: 'dc', parent: root });
    const cluster = draft.add(define('ClusterComputeResource'), 'domain-c1', { name: 'c', parent: datacenter });
    const runtime = { connectionState: 'connected', powerState: 'poweredOn' } as never;
    const host = draft.add(define('HostSystem'), 'host-1', { name: 'h1', parent: cluster, runtime });
    const machine = (value: string, name: string, now: object) =>
      draft.add(define('VirtualMachine'), value, { name, parent: datacenter, runtime: now as never });
    return {
      root,
      datacenter,
      cluster,
      host,
      vm: machine('vm-1', 'one', { powerState, host }),
      otherVm: machine('vm-2', 'two', { powerState: 'poweredOn' }),
    };
  });
  const performed: string[] = [];
  const raised: string[] = [];
  const authorizer = options.authorizer ?? allowEverything;
  const open = async (): Promise<AlarmService> =>
    await AlarmService.open({
      perform: async ({ value }, method) => void performed.push(`${value} ${method}`),
      raiseStatus: (_draft, { value }, worst) => void raised.push(`${value} ${worst}`),
      onDefect: (where, error) => {
        throw new Error(where, { cause: error });
      },
      ...options,
      registry,
      persistence,
      events,
      authorizer,
      rootFolder: refs.root,
      clock,
    });
  let alarms = await open();
  service = alarms;
  const client = new TestClient({ registry, authorizer });
  client.session = sessionOf('ann');
  const list = (entity: ManagedObjectReference, property: string) =>
    ((registry.get(entity)?.value(property) ?? []) as DataTypes['AlarmState'][]).map(
      ({ key, overallStatus }) => `${key} ${overallStatus}`,
    );
  const change = async <T extends ManagedTypeName>(
    entity: ManagedObjectReference<T>,
    properties: Partial<Properties<T>>,
  ) => {
    registry.commit((draft) => draft.set(entity, properties));
    await alarms.settled();
  };
  return {
    ...refs,
    registry,
    clock,
    persistence,
    events,
    get service() {
      return alarms;
    },
    client,
    performed,
    raised,
    define,
    change,
    triggered: (entity: ManagedObjectReference) => list(entity, 'triggeredAlarmState'),
    declared: (entity: ManagedObjectReference) => list(entity, 'declaredAlarmState'),
    states: (entity: ManagedObjectReference) =>
      (registry.get(entity)?.value('declaredAlarmState') ?? []) as DataTypes['AlarmState'][],
    create: async (entity: ManagedObjectReference, each: AlarmSpec) => {
      const ref = await client.call(alarms.ref, 'CreateAlarm', { entity, spec: each });
      await alarms.settled();
      return ref as ManagedObjectReference<'Alarm'>;
    },
    power: async (vm: ManagedObjectReference<'VirtualMachine'>, to: string) =>
      await change(vm, { runtime: { ...(registry.read(vm, 'runtime') as object), powerState: to } as never }),
    post: async ({ type, entity, members }: EventRequest) => {
      const { members: around } = eventArguments(schema, inventoryReader(registry), entity!);
      events.listener({ _typeName: type, key: 1, ...around, ...members } as PostedEvent);
      await alarms.settled();
    },
    /** The same alarms in another process, over machines that are in `powerState` then. */
    restart: async (again: WorldOptions = {}) => {
      alarms.close();
      const { powerState: now } = registry.read(refs.vm, 'runtime') as { powerState: string };
      return await alarmWorld({ ...options, powerState: now, ...again, clock, persistence });
    },
    /** The same alarms in another process, over the same inventory. */
    reopen: async () => {
      await alarms.settled();
      alarms.close();
      registry.commit((draft) => {
        for (const { ref } of [...registry.all('Alarm'), ...registry.all('AlarmManager')]) draft.remove(ref);
      });
      alarms = await open();
      service = alarms;
    },
  };
}
