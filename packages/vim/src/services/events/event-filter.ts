import type { DataTypes } from '../../generated/types.ts';
import type { Schema } from '../../schema/schema.ts';
import { eventFormat } from './event-formats.ts';
import type { EventRecord } from './event-record.ts';

export type EventFilterSpec = DataTypes['EventFilterSpec'];

/** The filter as a test of records. */
export function eventMatcher(schema: Schema, filter: EventFilterSpec): (record: EventRecord) => boolean {
  const begin = instant(filter.time?.beginTime, Number.NEGATIVE_INFINITY);
  const end = instant(filter.time?.endTime, Number.POSITIVE_INFINITY);
  const { entity, userName, category, alarm, scheduledTask, tag } = filter;
  const types = filter.type?.length ? filter.type.map(typeName) : undefined;
  const typeIds = filter.eventTypeId?.length ? new Set(filter.eventTypeId.map(typeName)) : undefined;
  return (record) => {
    const { event } = record;
    if (entity !== undefined && !concerns(record, entity.entity.value, entity.recursion)) return false;
    if (filter.time !== undefined) {
      const time = Date.parse(event.createdTime);
      if (time < begin || time > end) return false;
    }
    if (userName !== undefined && !byUser(event.userName, userName)) return false;
    if (filter.eventChainId !== undefined && event.chainId !== filter.eventChainId) return false;
    if (types !== undefined && !types.some((type) => schema.isSubtype(event._typeName, type))) return false;
    if (typeIds !== undefined && !typeIds.has(event._typeName) && !typeIds.has(eventTypeId(record))) return false;
    if (category?.length && !category.includes(eventCategory(record))) return false;
    if (tag?.length && !tag.includes(event.changeTag ?? '')) return false;
    if (alarm !== undefined && argument(event, 'alarm') !== alarm.value) return false;
    return scheduledTask === undefined || argument(event, 'scheduledTask') === scheduledTask.value;
  };
}

export function eventCategory({ event }: EventRecord): string {
  const severity = (event as Partial<DataTypes['EventEx']>).severity;
  return severity ?? eventFormat(event._typeName).category;
}

/** True when a history item about `within` passes a filter by entity; the first of `within` is the subject. */
export function concerns(
  { entity, within }: { readonly entity: { readonly value: string } | undefined; readonly within: readonly string[] },
  value: string,
  recursion: 'self' | 'children' | 'all',
): boolean {
  const self = entity?.value === value;
  if (recursion === 'self') return self;
  return recursion === 'children' ? !self && within.includes(value) : within.includes(value);
}

export function byUser(userName: string, filter: DataTypes['EventFilterSpecByUsername']): boolean {
  if (userName === '') return filter.systemUser;
  // With no list it is for all users.
  return filter.userList === undefined ? !filter.systemUser : filter.userList.includes(userName);
}

export function instant(time: string | undefined, otherwise: number): number {
  return time === undefined ? otherwise : Date.parse(time);
}

function eventTypeId({ event }: EventRecord): string {
  const named = event as Partial<DataTypes['EventEx']> & Partial<DataTypes['ExtendedEvent']>;
  return named.eventTypeId ?? event._typeName;
}

/** `vim.event.VmPoweredOnEvent` is VmPoweredOnEvent; the ids of extensions stay as they are. */
function typeName(id: string): string {
  return id.startsWith('vim.event.') ? id.slice('vim.event.'.length) : id;
}

function argument(event: object, name: string): string | undefined {
  const entry = (event as Record<string, Record<string, { readonly value?: string }> | undefined>)[name];
  return entry?.[name]?.value;
}
