import { entityPerSession } from '@hypostyle/services';
import { alarmProperties, type DerivedProperty, type ManagedObjectClass, type MethodTable } from '@hypostyle/vim';
import type { EntityType } from '../inventory/entity-document.ts';
import type { EntityParts } from './entity-parts.ts';
import { overallStatus } from './overall-status.ts';

/** A class of entities: with the rights, the alarms and the custom fields that all of them have. */
export function entityClass<T extends EntityType>(
  { core, alarms, customFields }: EntityParts,
  type: T,
  {
    derived = {},
    methods = {},
  }: { readonly derived?: Readonly<Record<string, DerivedProperty>>; readonly methods?: MethodTable<T> },
): ManagedObjectClass<T> {
  return {
    type,
    perSession: entityPerSession(core.authorizer),
    derived: { ...alarmProperties(alarms), overallStatus: overallStatus(alarms), ...derived },
    methods: { setCustomValue: customFields.setCustomValue, ...methods },
  } as unknown as ManagedObjectClass<T>;
}
