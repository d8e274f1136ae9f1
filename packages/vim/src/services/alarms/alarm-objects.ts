import type { ManagedTypes } from '../../generated/types.ts';
import { fault } from '../../runtime/fault.ts';
import type { Arguments, Call, ManagedObjectClass, Result } from '../../runtime/managed-object.ts';
import type { Session } from '../../runtime/session.ts';
import type { AlarmSpec } from './alarm-definition.ts';
import { alarmDescription } from './alarm-description.ts';

type ManagerMethod = keyof ManagedTypes['AlarmManager']['methods'];

/** What the AlarmManager needs of the service behind it: a method for each of its own. */
export type ManagerOperations = {
  readonly [M in Uncapitalize<ManagerMethod>]: (
    session: Session,
    args: Arguments<'AlarmManager', Capitalize<M> & ManagerMethod>,
  ) =>
    | Result<'AlarmManager', Capitalize<M> & ManagerMethod>
    | Promise<Result<'AlarmManager', Capitalize<M> & ManagerMethod>>;
};

/** What an Alarm needs of the service behind it. */
export interface AlarmOperations {
  reconfigure(session: Session, alarm: string, spec: AlarmSpec): Promise<void>;
  remove(session: Session, alarm: string): Promise<void>;
  setCustomValue(session: Session, alarm: string, key: string, value: string): Promise<void>;
}

export function alarmManagerClass(alarms: ManagerOperations): ManagedObjectClass<'AlarmManager'> {
  return {
    type: 'AlarmManager',
    derived: { description: { from: [], compute: () => alarmDescription } },
    methods: {
      CreateAlarm: (call, args) => alarms.createAlarm(sessionOf(call), args),
      GetAlarm: (call, args) => alarms.getAlarm(sessionOf(call), args),
      AreAlarmActionsEnabled: (call, args) => alarms.areAlarmActionsEnabled(sessionOf(call), args),
      EnableAlarmActions: (call, args) => alarms.enableAlarmActions(sessionOf(call), args),
      GetAlarmState: (call, args) => alarms.getAlarmState(sessionOf(call), args),
      AcknowledgeAlarm: (call, args) => alarms.acknowledgeAlarm(sessionOf(call), args),
      ClearTriggeredAlarms: (call, args) => alarms.clearTriggeredAlarms(sessionOf(call), args),
      DisableAlarm: (call, args) => alarms.disableAlarm(sessionOf(call), args),
      EnableAlarm: (call, args) => alarms.enableAlarm(sessionOf(call), args),
    },
  };
}

export function alarmClass(alarms: AlarmOperations): ManagedObjectClass<'Alarm'> {
  return {
    type: 'Alarm',
    methods: {
      ReconfigureAlarm: (call, { spec }) => alarms.reconfigure(sessionOf(call), call.self.ref.value, spec),
      RemoveAlarm: (call) => alarms.remove(sessionOf(call), call.self.ref.value),
      setCustomValue: (call, { key, value }) => alarms.setCustomValue(sessionOf(call), call.self.ref.value, key, value),
    },
  };
}

function sessionOf(call: Call): Session {
  if (call.session === undefined) throw fault('NotAuthenticated', { object: call.self.ref }, 'There is no session.');
  return call.session;
}
