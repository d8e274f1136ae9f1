import type { DataTypes } from '../../generated/types.ts';
import type { Schema } from '../../schema/schema.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import { invalidSpec } from './errors.ts';
import type { Status } from './status.ts';

export type PostedEvent = DataTypes['Event'] & { readonly _typeName?: string };
type Comparison = DataTypes['EventAlarmExpressionComparison'];

/** Types to whose objects an event alarm is handed down from where it is defined. */
const inherited = [
  'Datacenter',
  'ClusterComputeResource',
  'HostSystem',
  'ResourcePool',
  'VirtualMachine',
  'Datastore',
  'Network',
  'DistributedVirtualSwitch',
];

const operators: Readonly<Record<string, (actual: string, value: string) => boolean>> = {
  equals: (actual, value) => actual === value,
  notEqualTo: (actual, value) => actual !== value,
  startsWith: (actual, value) => actual.startsWith(value),
  doesNotStartWith: (actual, value) => !actual.startsWith(value),
  endsWith: (actual, value) => actual.endsWith(value),
  doesNotEndWith: (actual, value) => !actual.endsWith(value),
};

const mostComparisons = 32;
const longestAttribute = 200;

/** An EventAlarmExpression, ready to be held against events. */
export interface EventCondition {
  /** Type of the objects that it is for; undefined for the alarm's own entity alone. */
  readonly objectType: string | undefined;
  /** What a match makes of the alarm; undefined to run its actions and leave its status alone. */
  readonly status: Status | undefined;
  /** Whether events of that type can match at all. */
  concerns(eventType: string, eventTypeId: string): boolean;
  /** Whether the attributes of an event that it concerns are as they must be. */
  matches(event: PostedEvent): boolean;
}

/** Reads the expression. Fails with InvalidArgument. */
export function compileEventCondition(schema: Schema, expression: DataTypes['EventAlarmExpression']): EventCondition {
  const { eventTypeId, comparisons = [], status } = expression;
  const type = plainTypeName(expression.eventType);
  const id = eventTypeId ? plainTypeName(eventTypeId) : undefined;
  if (!schema.isSubtype(type, 'Event')) throw invalidSpec('expression.eventType', `${type} is no event.`);
  // An alarm that its own events set off would never come to rest.
  if (schema.isSubtype(type, 'AlarmEvent') || (id !== undefined && schema.isSubtype(id, 'AlarmEvent'))) {
    throw invalidSpec('expression.eventType', 'Events of alarms trigger no alarm.');
  }
  if (comparisons.length > mostComparisons) {
    throw invalidSpec('expression.comparisons', `There are at most ${mostComparisons} comparisons.`);
  }
  for (const { attributeName, operator } of comparisons) {
    if (!Object.hasOwn(operators, operator) || attributeName === '' || attributeName.length > longestAttribute) {
      throw invalidSpec('expression.comparisons', `${attributeName} ${operator} cannot be compared.`);
    }
  }
  const objectType = expression.objectType === undefined ? '' : plainTypeName(expression.objectType);
  return {
    objectType: inherited.find((base) => schema.isSubtype(objectType, base)) === undefined ? undefined : objectType,
    status,
    concerns: (eventType, typeId) =>
      !schema.isSubtype(eventType, 'AlarmEvent') &&
      (id === undefined ? schema.isSubtype(eventType, type) : id === typeId),
    matches: (event) => comparisons.every((comparison) => holds(comparison, event)),
  };
}

/** The id by which an event is known: that of an extension's event, else its type. */
export function eventTypeIdOf(event: PostedEvent): string {
  const named = event as Partial<DataTypes['EventEx']>;
  return plainTypeName(named.eventTypeId ?? event._typeName ?? 'Event');
}

/** What the event is about: what an extension's event names, then its arguments, the most exact first. */
export function eventObjects(schema: Schema, event: PostedEvent): ManagedObjectReference[] {
  const named = event as Partial<DataTypes['EventEx']> & Partial<DataTypes['ExtendedEvent']>;
  const found: (ManagedObjectReference | undefined)[] = [];
  if (named.objectId !== undefined && named.objectType !== undefined) {
    found.push({ type: plainTypeName(named.objectType), value: named.objectId });
  }
  found.push(named.managedObject);
  found.push(event.vm?.vm, event.host?.host, event.ds?.datastore, event.net?.network, event.dvs?.dvs);
  found.push(...ownArguments(schema, event));
  found.push(event.computeResource?.computeResource, event.datacenter?.datacenter);
  return found.filter((ref) => ref !== undefined);
}

/** Arguments of the event's own type, such as the pool of a ResourcePoolEvent. */
function ownArguments(schema: Schema, event: PostedEvent): ManagedObjectReference[] {
  const general = schema.data('Event');
  const refs: ManagedObjectReference[] = [];
  for (const { name, type } of schema.data(event._typeName ?? 'Event')?.properties ?? []) {
    if (type.array || general?.property(name) !== undefined || !schema.isSubtype(type.name, 'EntityEventArgument')) {
      continue;
    }
    const argument = (event as unknown as Record<string, object | undefined>)[name] ?? {};
    for (const value of Object.values(argument)) {
      if (typeof value === 'object' && value !== null && 'type' in value && 'value' in value) refs.push(value);
    }
  }
  return refs;
}

function holds({ attributeName, operator, value }: Comparison, event: PostedEvent): boolean {
  return operators[operator]?.(attribute(event, attributeName), value) === true;
}

/** A member by its path, or an argument of an extension's event by its key; empty where there is none. */
function attribute(event: PostedEvent, path: string): string {
  const { arguments: pairs, data } = event as Partial<DataTypes['EventEx']> & Partial<DataTypes['ExtendedEvent']>;
  const named = pairs?.find(({ key }) => key === path) ?? data?.find(({ key }) => key === path);
  let value: unknown = named?.value ?? event;
  if (named === undefined) {
    for (const name of path.split('.')) {
      value = isRecord(value) && Object.hasOwn(value, name) ? value[name] : undefined;
    }
  }
  if (isRecord(value)) value = value.value ?? value._value;
  return value === undefined || value === null || isRecord(value) ? '' : String(value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** `vim.event.VmPoweredOnEvent` and `vim.VirtualMachine` are VmPoweredOnEvent and VirtualMachine. */
function plainTypeName(name: string): string {
  return name.replace(/^vim\.(event\.)?(?=[A-Z])/, '');
}
