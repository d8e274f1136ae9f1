import type { DataTypes } from '../../generated/types.ts';
import type { DerivedProperty, ManagedObject } from '../../runtime/managed-object.ts';

type AlarmState = DataTypes['AlarmState'];

/** What an entity's class needs of the service behind alarms. */
export interface EntityAlarms {
  declared(entity: ManagedObject): AlarmState[];
  triggered(entity: ManagedObject): AlarmState[];
  actionsEnabled(entity: ManagedObject): boolean;
}

/**
 * The alarm properties of entities, for their classes' `derived`: computed when somebody looks. `alarms` may answer
 * undefined as long as the service is not open.
 */
export function alarmProperties(alarms: () => EntityAlarms | undefined): {
  readonly declaredAlarmState: DerivedProperty;
  readonly triggeredAlarmState: DerivedProperty;
  readonly alarmActionsEnabled: DerivedProperty;
} {
  return {
    declaredAlarmState: { from: [], compute: (self) => alarms()?.declared(self) ?? [] },
    triggeredAlarmState: { from: [], compute: (self) => alarms()?.triggered(self) ?? [] },
    alarmActionsEnabled: { from: [], compute: (self) => alarms()?.actionsEnabled(self) ?? true },
  };
}
