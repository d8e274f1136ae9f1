import { actingUser } from '../../runtime/call-context.ts';
import { noPermission } from '../../runtime/dispatcher.ts';
import { fault } from '../../runtime/fault.ts';
import type { Call, ManagedObjectClass } from '../../runtime/managed-object.ts';
import type { TaskOperations } from './task-operations.ts';

/** The managed object of a task: what clients may do with it. */
export function taskClass(tasks: TaskOperations): ManagedObjectClass<'Task'> {
  return {
    type: 'Task',
    methods: {
      CancelTask: async (call) => {
        const task = tasks.tracked(call.self.ref);
        // Whoever began it may cancel it; others need the privilege.
        if (actingUser(call) !== task.userName && !tasks.mayCancel(call)) {
          throw noPermission(call.self.ref, 'Global.CancelTask');
        }
        await tasks.cancel(call.self.ref);
      },
      UpdateProgress: (call, { percentDone }) => {
        const task = externalTask(tasks, call);
        if (task.info.state !== 'running') throw fault('InvalidState', {}, 'The task is not running.');
        if (percentDone < 0 || percentDone > 100) {
          throw fault('OutOfBounds', { argumentName: 'percentDone' }, 'Progress is a percentage, 0 to 100.');
        }
        task.progress(percentDone);
      },
      SetTaskDescription: async (call, { description }) => {
        const task = tasks.tracked(call.self.ref);
        task.describe(description);
        await tasks.save(task);
      },
      SetTaskState: async (call, { state, result, fault: failure }) => {
        await tasks.setState(externalTask(tasks, call), state, result, failure);
      },
    },
  };
}

/** The called task, whose work a client does; the service's own tasks say their state themselves. */
function externalTask(tasks: TaskOperations, call: Call) {
  const task = tasks.tracked(call.self.ref);
  if (task.record.kind !== undefined || task.record.owner !== undefined)
    throw fault('InvalidState', {}, 'The state of this task is the server’s to say.');
  return task;
}
