import { type ClusterConfigInfoEx, data, type EventRequest, type ManagedObjectReference } from '@hypostyle/vim';

/** Events of a cluster that was reconfigured: that it was, and what was turned on or off. */
export function clusterChanges(
  entity: ManagedObjectReference,
  before: ClusterConfigInfoEx,
  after: ClusterConfigInfoEx,
): EventRequest[] {
  const modified = Object.keys(after).filter((name) => {
    const member = name as keyof ClusterConfigInfoEx;
    return JSON.stringify(plain(before[member])) !== JSON.stringify(plain(after[member]));
  });
  const events: EventRequest[] = [
    {
      type: 'ClusterReconfiguredEvent',
      entity,
      members: { configChanges: data('ChangesInfoEventArgument', { modified: modified.join(', ') }) },
    },
  ];
  if (before.dasConfig.enabled !== after.dasConfig.enabled)
    events.push({ type: after.dasConfig.enabled === true ? 'DasEnabledEvent' : 'DasDisabledEvent', entity });
  const { enabled, defaultVmBehavior: behavior = 'fullyAutomated' } = after.drsConfig;
  if (before.drsConfig.enabled !== enabled)
    events.push(
      enabled === true
        ? { type: 'DrsEnabledEvent', entity, members: { behavior } }
        : { type: 'DrsDisabledEvent', entity },
    );
  return events;
}

function plain(value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
