import type { DataTypes } from '../../generated/types.ts';
import type { Schema } from '../../schema/schema.ts';
import type { AlarmDefinition } from './alarm-definition.ts';
import type { AlarmEntry } from './alarm-states.ts';
import { isTriggered } from './status.ts';

/** True for a triggered alarm that the filter names. */
export function matchesFilter(
  schema: Schema,
  { status = [], typeEntity = 'entityTypeAll', typeTrigger = 'triggerTypeAll' }: DataTypes['AlarmFilterSpec'],
  entry: AlarmEntry,
  { expression }: AlarmDefinition,
): boolean {
  if (!isTriggered(entry.status) || (status.length > 0 && !status.includes(entry.status))) return false;
  if (typeEntity === 'entityTypeHost' && !schema.isSubtype(entry.entity.type, 'HostSystem')) return false;
  if (typeEntity === 'entityTypeVm' && !schema.isSubtype(entry.entity.type, 'VirtualMachine')) return false;
  if (typeTrigger === 'triggerTypeEvent') return expression.events.length > 0;
  return typeTrigger !== 'triggerTypeMetric' || expression.metrics.length > 0;
}
