import type { DataTypes } from '../../generated/types.ts';
import { data } from '../../schema/data.ts';
import type { AlarmSpec } from './alarm-definition.ts';
import { spaceCounters } from './datastore-space.ts';

type Expression = DataTypes['AlarmExpression'];

/** An event that runs the alarm's actions and leaves its status alone. */
function event(eventType: string, objectType: string): Expression {
  return data('EventAlarmExpression', { eventType, objectType });
}

function alarm(
  name: string,
  systemName: string,
  subject: string,
  expression: Expression,
  reportingFrequency = 300,
): AlarmSpec {
  return {
    name,
    systemName,
    description: `Default alarm to monitor ${subject}`,
    enabled: true,
    expression,
    setting: { toleranceRange: 0, reportingFrequency },
  };
}

/** The alarms that a new center has on its root folder, of those that it can evaluate. */
export const defaultAlarms: readonly AlarmSpec[] = [
  alarm(
    'Host connection and power state',
    'alarm.HostConnectionStateAlarm',
    'host connection and power state',
    data('AndAlarmExpression', {
      expression: [
        data('StateAlarmExpression', {
          operator: 'isEqual',
          type: 'HostSystem',
          statePath: 'runtime.connectionState',
          red: 'notResponding',
        }),
        data('StateAlarmExpression', {
          operator: 'isUnequal',
          type: 'HostSystem',
          statePath: 'runtime.powerState',
          red: 'standBy',
        }),
      ],
    }),
  ),
  alarm(
    'Host connection failure',
    'alarm.HostConnectivityAlarm',
    'host connection failure',
    data('OrAlarmExpression', {
      expression: ['HostCnxFailedNetworkErrorEvent', 'HostCnxFailedTimeoutEvent', 'HostConnectionLostEvent'].map(
        (type) => event(type, 'HostSystem'),
      ),
    }),
  ),
  alarm(
    'Host error',
    'alarm.HostErrorAlarm',
    'host error and warning events',
    data('OrAlarmExpression', {
      expression: ['GeneralHostErrorEvent', 'GeneralHostWarningEvent'].map((type) => event(type, 'HostSystem')),
    }),
  ),
  alarm(
    'Virtual machine error',
    'alarm.VmErrorAlarm',
    'virtual machine error and warning events',
    data('OrAlarmExpression', {
      expression: ['GeneralVmErrorEvent', 'GeneralVmWarningEvent'].map((type) => event(type, 'VirtualMachine')),
    }),
  ),
  alarm(
    'Datastore usage on disk',
    'alarm.DatastoreDiskUsageAlarm',
    'datastore disk usage',
    data('OrAlarmExpression', {
      expression: [
        data('MetricAlarmExpression', {
          operator: 'isAbove',
          type: 'Datastore',
          metric: data('PerfMetricId', { counterId: spaceCounters.used, instance: '' }),
          yellow: 7_500,
          red: 8_500,
        }),
      ],
    }),
    // From yellow to red may take seconds only.
    0,
  ),
];
