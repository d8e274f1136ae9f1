import type { DataTypes } from '../../generated/types.ts';
import { actingUser } from '../../runtime/call-context.ts';
import { fault } from '../../runtime/fault.ts';
import type { Call, ManagedObjectClass } from '../../runtime/managed-object.ts';
import type { Registry } from '../../runtime/registry.ts';
import type { Session } from '../../runtime/session.ts';
import type { Schema } from '../../schema/schema.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import type { CollectorReader } from '../history/history-collectors.ts';
import { entityName } from '../inventory.ts';
import type { EventFilterSpec } from './event-filter.ts';
import { eventFormat } from './event-formats.ts';
import type { EventPoster } from './event-poster.ts';
import type { VimEvent } from './event-record.ts';

/** Longest message that a client may log, in characters. */
const messageLimit = 8_192;

/** What the EventManager needs of the service behind it. */
interface EventOperations extends EventPoster {
  readonly registry: Registry;
  latestFor(session: Session | undefined): VimEvent | undefined;
  query(session: Session, filter: EventFilterSpec): Promise<VimEvent[]>;
  collect(session: Session, filter: EventFilterSpec): Promise<ManagedObjectReference<'EventHistoryCollector'>>;
}

/** The EventManager itself. */
export function eventManagerClass(events: EventOperations): ManagedObjectClass<'EventManager'> {
  const { schema } = events.registry;
  return {
    type: 'EventManager',
    derived: { description: { from: [], compute: () => eventDescription(schema) } },
    perSession: { latestEvent: (_self, session) => events.latestFor(session) },
    methods: {
      QueryEvents: (call, { filter }) => events.query(sessionOf(call), filter),
      CreateCollectorForEvents: (call, { filter }) => events.collect(sessionOf(call), filter),
      LogUserEvent: async (call, { entity, msg }) => {
        const argument = { entity, name: entityName(events.registry.get(entity)) };
        events.post(undefined, {
          type: 'GeneralUserEvent',
          entity,
          userName: actingUser(call),
          members: { message: msg.slice(0, messageLimit), entity: argument },
        });
        await events.flush();
      },
      PostEvent: async (call, { eventToPost, taskInfo }) => {
        const { _typeName: type = 'Event', key: _key, createdTime: _time, ...members } = eventToPost;
        // Event itself and its like say nothing.
        if (!schema.isSubtype(type, 'Event') || type === 'Event') {
          throw fault('InvalidEvent', {}, `${type} cannot be posted.`);
        }
        const message = eventToPost.fullFormattedMessage ?? (eventToPost as Partial<DataTypes['EventEx']>).message;
        events.post(undefined, {
          type: type as keyof DataTypes,
          entity: subject(eventToPost),
          userName: actingUser(call),
          chainId: taskInfo?.eventChainId,
          members,
          message: message?.slice(0, messageLimit),
        });
        await events.flush();
      },
      RetrieveArgumentDescription: (_call, { eventTypeId }) => {
        const type = schema.data(eventTypeId.replace(/^vim\.event\./, ''));
        if (type === undefined || !schema.isSubtype(type.name, 'Event')) {
          throw fault('InvalidArgument', { invalidProperty: 'eventTypeId' }, `${eventTypeId} is no event type.`);
        }
        return type.properties
          .filter(({ name }) => !name.startsWith('dynamic'))
          .map(({ name, type: { name: declared, array } }) => ({ name, type: array ? `${declared}[]` : declared }));
      },
    },
  };
}

/** A collector of events of one session. */
export function eventCollectorClass(
  reader: CollectorReader<VimEvent>,
  shared: ManagedObjectClass<'HistoryCollector'>['methods'],
): ManagedObjectClass<'EventHistoryCollector'> {
  return {
    type: 'EventHistoryCollector',
    methods: {
      ...shared,
      ReadNextEvents: (_call, { maxCount }) => reader.next(maxCount),
      ReadPreviousEvents: (_call, { maxCount }) => reader.previous(maxCount),
    },
    derived: { initialized: { from: [], compute: () => true } },
  };
}

function sessionOf(call: Call): Session {
  if (call.session === undefined) throw fault('NotAuthenticated', { object: call.self.ref }, 'There is no session.');
  return call.session;
}

/** What a client's event is about: its most exact argument. */
function subject(event: VimEvent): ManagedObjectReference | undefined {
  return (
    event.vm?.vm ??
    event.host?.host ??
    event.computeResource?.computeResource ??
    event.ds?.datastore ??
    event.net?.network ??
    event.dvs?.dvs ??
    event.datacenter?.datacenter
  );
}

/** What goes without saying where an event is shown beside the object that it is of. */
const inDatacenter = / in \{datacenter\.name\}/g;
const onItsHost = / on (host )?\{host\.name\}/g;
const machineName = /\{vm\.name\}/g;

/** Events that pyVmomi has no type for: it takes each key as a type that it knows, and fails on others. None occurs here. */
const unknownToClients = /^Host(Sub)?Specification/;

function eventDescription(schema: Schema): DataTypes['EventDescription'] {
  const described = schema.subtypes('Event').filter((type) => !unknownToClients.test(type));
  return {
    category: ['info', 'warning', 'error', 'user'].map((key) => ({
      key,
      label: key === 'info' ? 'Information' : key.charAt(0).toUpperCase() + key.slice(1),
      summary: key,
    })),
    eventInfo: described.map((key) => {
      const { category, format } = eventFormat(key);
      const onDatacenter = format.replace(inDatacenter, '');
      const onHost = onDatacenter.replace(onItsHost, '');
      return {
        key,
        description: key.replace(/Event$/, '').replace(/([a-z])([A-Z])/g, '$1 $2'),
        category,
        formatOnDatacenter: onDatacenter,
        formatOnComputeResource: onDatacenter,
        formatOnHost: onHost,
        formatOnVm: onHost.replace(machineName, 'this virtual machine').replace(/^this/, 'This'),
        fullFormat: format,
      };
    }),
  };
}
