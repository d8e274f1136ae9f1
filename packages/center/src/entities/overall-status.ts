import type { AlarmService, DerivedProperty, ManagedEntityStatus } from '@hypostyle/vim';

const worse: readonly ManagedEntityStatus[] = ['gray', 'green', 'yellow', 'red'];

/** ManagedEntity.overallStatus: the worst of what the entity says of itself and of the alarms on it. */
export function overallStatus(alarms: () => AlarmService | undefined): DerivedProperty {
  return {
    from: ['summary'],
    compute: (self) => {
      const own = (self.value('summary') as { readonly overallStatus?: ManagedEntityStatus } | undefined)
        ?.overallStatus;
      const alarm = alarms()?.worstStatus(self.ref) ?? 'green';
      return worse[Math.max(worse.indexOf(own ?? 'green'), worse.indexOf(alarm))];
    },
  };
}
