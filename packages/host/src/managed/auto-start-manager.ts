import { actingUser, type Call, type ManagedObjectClass, type TaskOrigin } from '@hypostyle/vim';
import type { AutoStart } from '../auto-start/auto-start.ts';

/** HostAutoStartManager: which machines start with the host and stop with it, in which order. */
export function autoStartManagerClass(autoStart: AutoStart): ManagedObjectClass<'HostAutoStartManager'> {
  return {
    type: 'HostAutoStartManager',
    derived: { config: { from: [], compute: () => autoStart.config() } },
    methods: {
      ReconfigureAutostart: (_, { spec }) => autoStart.reconfigure(spec),
      AutoStartPowerOn: (call) => autoStart.powerOn(askedBy(call)),
      AutoStartPowerOff: (call) => autoStart.powerOff(askedBy(call)),
    },
  };
}

function askedBy(call: Call): TaskOrigin {
  const userName = actingUser(call);
  return { userName, reason: { _typeName: 'TaskReasonUser', userName } as TaskOrigin['reason'] & object };
}
