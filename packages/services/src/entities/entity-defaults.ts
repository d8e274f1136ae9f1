import type { ManagedObject, ManagedObjectReference, Permissions, Session } from '@hypostyle/vim';

/** Properties that every managed entity has and clients read, where there is nothing to say yet. */
export const quietEntity = {
  configStatus: 'green',
  recentTask: [],
  declaredAlarmState: [],
  triggeredAlarmState: [],
  alarmActionsEnabled: true,
  tag: [],
  permission: [],
  disabledMethod: [],
  customValue: [],
  availableField: [],
  value: [],
} as const;

export function entityDefaults(name: string, parent: ManagedObjectReference | undefined) {
  return {
    ...quietEntity,
    name,
    ...(parent === undefined ? {} : { parent: parent as ManagedObjectReference<'ManagedEntity'> }),
    overallStatus: 'green' as const,
  };
}

/** Properties of every entity that depend on who looks. */
export function entityPerSession(permissions: Permissions) {
  return {
    effectiveRole: (self: ManagedObject, session: Session | undefined): readonly number[] =>
      session === undefined ? [] : permissions.rolesOn(session, self.ref),
  };
}

export function reference<T extends string>(type: T, value: string): ManagedObjectReference<T> {
  return { _typeName: 'ManagedObjectReference', type, value };
}
