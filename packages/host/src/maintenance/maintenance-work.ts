import { type Call, type Draft, fault, type ManagedObjectReference, type RunningTask } from '@hypostyle/vim';
import type { HostCore } from '../host-core.ts';
import { references } from '../inventory/references.ts';

export interface MaintenanceWork {
  /** `timeout` in seconds; none when it is not positive. */
  enter(call: Call, timeout: number): Promise<ManagedObjectReference<'Task'>>;
  exit(call: Call): Promise<ManagedObjectReference<'Task'>>;
}

interface EnterJournal {
  /** Milliseconds since 1970. */
  readonly deadline: number | undefined;
}

/** Longest wait that a timer can do, in milliseconds. */
const longestTimer = 2 ** 31 - 1;

export function defineMaintenanceWork(core: HostCore): MaintenanceWork {
  const { maintenance } = core;
  const enter = core.tasks.define<{ readonly timeout: number }>('HostSystem.enterMaintenanceMode', {
    method: 'EnterMaintenanceMode_Task',
    cancelable: true,
    run: async (task, { timeout }) => {
      maintenance.startEntering();
      const deadline = timeout > 0 ? Date.now() + timeout * 1000 : undefined;
      await task.journal({ deadline } satisfies EnterJournal);
      core.registry.commit((draft) => {
        touchMode(draft);
        task.post(draft, { type: 'EnteringMaintenanceModeEvent', entity: references.host });
      });
      await enterWhenQuiet(core, task, deadline);
    },
    resume: async (task) => {
      if (maintenance.state === 'on') return;
      maintenance.startEntering();
      await enterWhenQuiet(core, task, (task.journaled as EnterJournal | undefined)?.deadline);
    },
  });
  const leave = async (task: RunningTask): Promise<void> => {
    if (maintenance.state !== 'on') throw notIn();
    await maintenance.keep(false);
    core.registry.commit((draft) => {
      maintenance.show(false);
      touchMode(draft);
      task.post(draft, { type: 'ExitMaintenanceModeEvent', entity: references.host });
    });
  };
  const exit = core.tasks.define<Record<string, never>>('HostSystem.exitMaintenanceMode', {
    method: 'ExitMaintenanceMode_Task',
    run: leave,
    resume: async (task) => {
      if (maintenance.state === 'on') await leave(task);
    },
  });
  return {
    enter: (call, timeout) => {
      maintenance.check();
      return enter(call, { input: { timeout } });
    },
    exit: (call) => {
      if (maintenance.state !== 'on') throw notIn();
      return exit(call, { input: {} });
    },
  };
}

function notIn() {
  return fault('InvalidState', {}, 'The host is not in maintenance mode.');
}

async function enterWhenQuiet(core: HostCore, task: RunningTask, deadline: number | undefined): Promise<void> {
  const { maintenance } = core;
  try {
    await quiet(core, task, deadline);
    await maintenance.keep(true);
  } catch (error) {
    const type = task.signal.aborted ? 'CanceledHostOperationEvent' : 'TimedOutHostOperationEvent';
    core.registry.commit((draft) => {
      maintenance.giveUp();
      touchMode(draft);
      task.post(draft, { type, entity: references.host });
    });
    throw error;
  }
  core.registry.commit((draft) => {
    maintenance.show(true);
    touchMode(draft);
    task.post(draft, { type: 'EnteredMaintenanceModeEvent', entity: references.host });
  });
}

function touchMode(draft: Draft): void {
  draft.touch(references.host, 'runtime');
  draft.touch(references.host, 'disabledMethod');
  draft.touch(references.computeResource, 'summary');
}

/** Resolves when no machine runs, is being started or is being made here. Timedout, or the task's cancellation. */
async function quiet(core: HostCore, task: RunningTask, deadline: number | undefined): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let most = 1;
  let looking = false;
  const look = () => {
    looking = false;
    const left = core.maintenance.underWay + running(core);
    if (left === 0) return resolve();
    most = Math.max(most, left);
    task.progress(Math.floor(((most - left) / most) * 100));
  };
  // Once a turn: a commit has many followers, and this is the one that can wait.
  const soon = () => {
    if (looking) return;
    looking = true;
    setImmediate(look);
  };
  const cancel = () => reject(task.signal.reason);
  const timer =
    deadline === undefined
      ? undefined
      : setTimeout(() => reject(timedOut()), Math.min(Math.max(0, deadline - Date.now()), longestTimer));
  timer?.unref();
  const stops = [core.registry.onCommit(soon), core.maintenance.onEnded(soon)];
  task.signal.addEventListener('abort', cancel, { once: true });
  try {
    if (task.signal.aborted) cancel();
    else look();
    await promise;
  } finally {
    for (const stop of stops) stop();
    clearTimeout(timer);
    task.signal.removeEventListener('abort', cancel);
  }
}

function running({ machines }: HostCore): number {
  let count = 0;
  for (const machine of machines.all()) if (machine.powerState === 'poweredOn') count += 1;
  return count;
}

function timedOut() {
  return fault('Timedout', {}, 'Machines still run on the host; power them off or move them, and try again.');
}
