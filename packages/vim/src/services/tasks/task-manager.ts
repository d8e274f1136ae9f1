import type { DataTypes } from '../../generated/types.ts';
import { fault } from '../../runtime/fault.ts';
import type { Call, ManagedObjectClass } from '../../runtime/managed-object.ts';
import type { TaskOperations } from './task-operations.ts';

/** The TaskManager itself. */
export function taskManagerClass(tasks: TaskOperations): ManagedObjectClass<'TaskManager'> {
  return {
    type: 'TaskManager',
    derived: {
      description: { from: [], compute: () => taskDescription([...tasks.kinds.keys(), ...tasks.foreignKinds]) },
    },
    methods: {
      CreateCollectorForTasks: (call, { filter }) => collect(tasks, call, filter),
      CreateCollectorWithInfoFilterForTasks: (call, { filter, infoFilter }) => collect(tasks, call, filter, infoFilter),
      CreateTask: (call, { obj, taskTypeId, initiatedBy, cancelable, parentTaskKey, activationId }) =>
        tasks.startExternal(call, {
          obj,
          initiatedBy,
          info: { descriptionId: taskTypeId, cancelable, parentTaskKey, activationId },
        }),
    },
  };
}

function collect(
  tasks: TaskOperations,
  call: Call,
  filter: DataTypes['TaskFilterSpec'],
  infoFilter?: DataTypes['TaskInfoFilterSpec'],
) {
  if (call.session === undefined) throw fault('NotAuthenticated', { object: call.self.ref }, 'There is no session.');
  return tasks.history.collect(call.session, filter, infoFilter);
}

function taskDescription(kinds: Iterable<string>): DataTypes['TaskDescription'] {
  return {
    methodInfo: [...new Set(kinds)].sort().map((key) => {
      const label = words(key.slice(key.indexOf('.') + 1));
      return { key, label, summary: summaryOf(key, label) };
    }),
    state: [
      { key: 'queued', label: 'Queued', summary: 'The task waits for its turn' },
      { key: 'running', label: 'Running', summary: 'The task is running' },
      { key: 'success', label: 'Success', summary: 'The task completed successfully' },
      { key: 'error', label: 'Error', summary: 'The task completed with a failure' },
    ],
    reason: [
      { key: 'TaskReasonSystem', label: 'System', summary: 'Started by the server' },
      { key: 'TaskReasonUser', label: 'User', summary: 'Started by a user' },
      { key: 'TaskReasonAlarm', label: 'Alarm', summary: 'Started by an alarm' },
      { key: 'TaskReasonSchedule', label: 'Scheduled task', summary: 'Started by a scheduled task' },
    ],
  };
}

/** `VirtualMachine.powerOn` is `Power on: virtual machine`. */
function summaryOf(key: string, label: string): string {
  const dot = key.indexOf('.');
  return dot < 1 ? label : `${label}: ${words(key.slice(0, dot)).toLowerCase()}`;
}

/** `powerOn` becomes `Power on`. */
function words(name: string): string {
  const text = name.replace(/([a-z])([A-Z])/g, (_, end: string, start: string) => `${end} ${start.toLowerCase()}`);
  return text.charAt(0).toUpperCase() + text.slice(1);
}
