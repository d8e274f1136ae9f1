import type { DataTypes } from '../../generated/types.ts';
import type { Registry } from '../../runtime/registry.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import { type Clock, dateTime } from '../clock.ts';
import type { EventPoster } from '../events/event-poster.ts';
import { entityName, inventoryReader, isEntity, withAncestors } from '../inventory.ts';
import type { TaskInfo, TaskRecord } from './task-record.ts';

/** What is said of a task that is about to be made. */
export type NewTask = Pick<TaskRecord, 'kind' | 'input' | 'queueKey' | 'userName'> &
  Partial<Pick<TaskRecord, 'owner' | 'journal' | 'queueShared'>> & { readonly info: Partial<TaskInfo> };

export const systemReason: DataTypes['TaskReason'] = { _typeName: 'TaskReasonSystem' };

export function userReason(userName: string): DataTypes['TaskReasonUser'] {
  return { _typeName: 'TaskReasonUser', userName };
}

/** The record of a new task on an entity, or on nothing that is one; queued unless its info says otherwise. */
export function newTaskRecord(
  { registry, events, clock }: { readonly registry: Registry; readonly events: EventPoster; readonly clock: Clock },
  { number, key }: { readonly number: number; readonly key: string },
  entity: ManagedObjectReference | undefined,
  task: NewTask,
): TaskRecord {
  const onEntity = entity !== undefined && isEntity(registry, entity);
  const { descriptionId = '', reason = systemReason, cancelable = false, ...rest } = task.info;
  const info: TaskInfo = {
    _typeName: 'TaskInfo',
    key,
    task: { _typeName: 'ManagedObjectReference', type: 'Task', value: key },
    state: 'queued',
    cancelled: false,
    queueTime: dateTime(clock),
    eventChainId: rest.eventChainId ?? events.newChain(),
    ...rest,
    descriptionId,
    entity: onEntity ? (entity as ManagedObjectReference<'ManagedEntity'>) : undefined,
    entityName: onEntity ? (rest.entityName ?? entityName(registry.get(entity))) : rest.entityName,
    cancelable,
    reason,
  };
  const within = onEntity ? withAncestors(inventoryReader(registry), entity).map((ref) => ref.value) : [];
  const { kind, owner, input, queueKey, queueShared, userName, journal } = task;
  return { number, kind, owner, input, queueKey, queueShared, userName, within, journal, info };
}
