import type { ManagedObjectReference } from '@hypostyle/vim';

/** Properties that every managed entity has and clients read, where there is nothing to say yet. */
export function entityDefaults(name: string, parent: ManagedObjectReference | undefined) {
  return {
    name,
    ...(parent === undefined ? {} : { parent: parent as ManagedObjectReference<'ManagedEntity'> }),
    overallStatus: 'green' as const,
    configStatus: 'green' as const,
    recentTask: [],
    effectiveRole: [-1],
    declaredAlarmState: [],
    triggeredAlarmState: [],
    alarmActionsEnabled: true,
    tag: [],
    permission: [],
    disabledMethod: [],
    customValue: [],
    availableField: [],
    value: [],
  };
}

export function reference<T extends string>(type: T, value: string): ManagedObjectReference<T> {
  return { _typeName: 'ManagedObjectReference', type, value };
}
