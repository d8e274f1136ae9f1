import type { DataTypes } from '../../generated/types.ts';
import { data } from '../../schema/data.ts';

const element = (key: string, label: string) => ({ key, label, summary: label });

/** The words for alarms: what is offered is what can be evaluated and done. */
export const alarmDescription: DataTypes['AlarmDescription'] = {
  expr: [
    element('StateAlarmExpression', 'State'),
    element('MetricAlarmExpression', 'Metric'),
    element('EventAlarmExpression', 'Event'),
    element('AndAlarmExpression', 'All of'),
    element('OrAlarmExpression', 'Any of'),
  ],
  stateOperator: [element('isEqual', 'Is equal to'), element('isUnequal', 'Is not equal to')],
  metricOperator: [element('isAbove', 'Is above'), element('isBelow', 'Is below')],
  hostSystemConnectionState: [
    element('connected', 'Connected'),
    element('disconnected', 'Disconnected'),
    element('notResponding', 'Not responding'),
  ],
  virtualMachinePowerState: [
    element('poweredOff', 'Powered off'),
    element('poweredOn', 'Powered on'),
    element('suspended', 'Suspended'),
  ],
  datastoreConnectionState: [element('true', 'Connected'), element('false', 'Disconnected')],
  hostSystemPowerState: [
    element('poweredOn', 'Powered on'),
    element('poweredOff', 'Powered off'),
    element('standBy', 'Standby'),
    element('unknown', 'Unknown'),
  ],
  virtualMachineGuestHeartbeatStatus: [
    element('gray', 'No heartbeat'),
    element('green', 'Normal'),
    element('yellow', 'Intermittent heartbeat'),
    element('red', 'No heartbeat any more'),
  ],
  entityStatus: [
    element('gray', 'Unknown'),
    element('green', 'Normal'),
    element('yellow', 'Warning'),
    element('red', 'Alert'),
  ],
  action: [element('MethodAction', 'Call a method')],
};

/** What a client begins with when somebody defines an alarm. */
export const defaultExpressions: readonly DataTypes['AlarmExpression'][] = [
  data('StateAlarmExpression', {
    operator: 'isEqual',
    type: 'VirtualMachine',
    statePath: 'runtime.powerState',
    red: 'poweredOff',
  }),
  data('StateAlarmExpression', {
    operator: 'isEqual',
    type: 'HostSystem',
    statePath: 'runtime.connectionState',
    red: 'notResponding',
  }),
];
