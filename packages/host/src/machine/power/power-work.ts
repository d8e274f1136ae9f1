import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { HypervisorError } from '@hypostyle/contracts';
import { splitPath } from '@hypostyle/services';
import {
  actingUser,
  type Call,
  fault,
  type ManagedObjectReference,
  type RunningTask,
  type TaskOrigin,
  type VimFault,
} from '@hypostyle/vim';
import { setting } from '../../configuration/settings.ts';
import { sharedDiskFault } from '../../configuration/shared-disk.ts';
import type { HostCore } from '../../host-core.ts';
import type { MachineWatch } from '../engine/machine-watch.ts';
import { readVmx, writeVmx } from '../files/machine-files.ts';
import { mustBeFree } from '../lifecycle/lifecycle-work.ts';
import type { MachineRecord, PowerState } from '../record/machine-record.ts';
import { saveRuntime } from '../registration/registration.ts';
import { answers, noSuchQuestion } from '../settle/machine-question.ts';
import type { SettleWork } from '../settle/settle-work.ts';
import { suspendKey } from './memory-image.ts';
import { forgetImage, powerOn } from './power-on.ts';

interface MachineInput {
  readonly id: string;
}

/** Names of a task's start by method of VirtualMachine. */
export interface PowerWork {
  powerOn(call: Call): Promise<ManagedObjectReference<'Task'>>;
  powerOff(call: Call): Promise<ManagedObjectReference<'Task'>>;
  suspend(call: Call): Promise<ManagedObjectReference<'Task'>>;
  reset(call: Call): Promise<ManagedObjectReference<'Task'>>;
  shutdownGuest(call: Call): Promise<void>;
  rebootGuest(call: Call): Promise<void>;
  standbyGuest(call: Call): Promise<void>;
  /** Ends the engine at once, without a task. */
  terminate(call: Call): Promise<void>;
  answer(call: Call, questionId: string, choice: string): Promise<void>;
  /** What the host does of its own accord, as by its auto-start. Throws as the methods do. */
  begin(
    origin: TaskOrigin,
    machine: MachineRecord,
    action: 'powerOn' | 'powerOff' | 'suspend',
  ): Promise<ManagedObjectReference<'Task'>>;
}

export function invalidPowerState(machine: MachineRecord, requested: PowerState): VimFault {
  return fault(
    'InvalidPowerState',
    { requestedState: requested, existingState: machine.powerState },
    `The attempted operation cannot be performed in the current state (${machine.powerState}).`,
  );
}

/** Power operations as kinds of tasks: what had begun before a restart is carried on from what is true then. */
export function definePowerWork(core: HostCore, watch: MachineWatch, settle: SettleWork): PowerWork {
  const machineOf = (input: MachineInput) => core.machines.get({ type: 'VirtualMachine', value: input.id });
  const again = (run: (task: RunningTask, input: MachineInput) => Promise<void>) => ({ run, resume: run });

  const on = core.tasks.define<MachineInput>('VirtualMachine.powerOn', {
    method: 'PowerOnVM_Task',
    run: async (task, input) => {
      const machine = machineOf(input);
      if (machine.powerState === 'poweredOn') throw invalidPowerState(machine, 'poweredOn');
      await powerOn(core, task, input.id, (id, engine) => watch.follow(id, engine), settle);
    },
    // `powerOn` is content with an engine that runs already: that is how far the interrupted task came.
    resume: (task, input) => powerOn(core, task, input.id, (id, engine) => watch.follow(id, engine), settle),
  });

  const off = core.tasks.define<MachineInput>('VirtualMachine.powerOff', {
    method: 'PowerOffVM_Task',
    ...again(async (task, input) => {
      const machine = machineOf(input);
      if (machine.powerState === 'suspended') return discardSuspended(core, task, machine);
      const engine = core.machines.engine(input.id);
      if (engine === undefined) {
        if (machine.powerState === 'poweredOff') return;
        throw fault('GenericVmConfigFault', { reason: 'engine' }, machine.problem ?? 'The engine cannot be reached.');
      }
      core.registry.commit((draft) => task.post(draft, { type: 'VmStoppingEvent', entity: machine.ref }));
      watch.expectEnd(input.id, (draft) => task.post(draft, { type: 'VmPoweredOffEvent', entity: machine.ref }));
      try {
        await engine.powerOff();
      } catch (error) {
        // One that has just ended by itself is off, which is what was asked for.
        if (engine.state !== 'stopped') {
          watch.expectNothing(input.id);
          throw error;
        }
      }
      await watch.ended(input.id, 'requested');
    }),
  });

  const suspend = core.tasks.define<MachineInput>('VirtualMachine.suspend', {
    method: 'SuspendVM_Task',
    ...again(async (task, input) => {
      // The engine may be finishing what an earlier process asked of it.
      await watch.settled(input.id);
      const machine = machineOf(input);
      const engine = core.machines.engine(input.id);
      if (engine === undefined) {
        if (machine.powerState === 'suspended') return;
        throw invalidPowerState(machine, 'suspended');
      }
      core.registry.commit((draft) => task.post(draft, { type: 'VmSuspendingEvent', entity: machine.ref }));
      await suspendEngine(core, watch, task, machine);
    }),
  });

  const reset = core.tasks.define<MachineInput>('VirtualMachine.reset', {
    method: 'ResetVM_Task',
    ...again(async (task, input) => {
      const machine = machineOf(input);
      const engine = core.machines.engine(input.id);
      if (engine === undefined) throw invalidPowerState(machine, 'poweredOn');
      core.registry.commit((draft) => task.post(draft, { type: 'VmResettingEvent', entity: machine.ref }));
      await engine.reset();
      core.registry.commit((draft) => core.machines.change(input.id, { bootTime: new Date().toISOString() }, draft));
    }),
  });

  const actions = {
    powerOn: { work: on, requested: 'poweredOn', allowed: ['poweredOff', 'suspended'] },
    powerOff: { work: off, requested: 'poweredOff', allowed: ['poweredOn', 'suspended'] },
    suspend: { work: suspend, requested: 'suspended', allowed: ['poweredOn'] },
    reset: { work: reset, requested: 'poweredOn', allowed: ['poweredOn'] },
  } as const satisfies Record<string, { work: typeof on; requested: PowerState; allowed: readonly PowerState[] }>;
  const begin = (origin: Call | TaskOrigin, machine: MachineRecord, action: keyof typeof actions) => {
    const { work, requested } = actions[action];
    const allowed: readonly PowerState[] = actions[action].allowed;
    if (action === 'powerOn') core.maintenance.check();
    mustBeFree(core, machine);
    if (machine.configuration.template) throw fault('InvalidState', {}, 'The machine is a template.');
    if (!allowed.includes(machine.powerState)) throw invalidPowerState(machine, requested);
    if (action === 'suspend') mustNotShare(machine);
    settle.stepAside(machine.id);
    return work(origin, { input: { id: machine.id }, entity: machine.ref, queueKey: machine.id });
  };
  const start = (call: Call, action: keyof typeof actions) => begin(call, core.machines.get(call.self.ref), action);

  /** Asks the guest, outside any task, as the interface has it. */
  const ask = async (
    call: Call,
    requested: PowerState,
    event: 'VmGuestShutdownEvent' | 'VmGuestRebootEvent' | 'VmGuestStandbyEvent',
    question: (id: string) => Promise<void>,
  ) => {
    const machine = core.machines.get(call.self.ref);
    if (machine.powerState !== 'poweredOn') throw invalidPowerState(machine, requested);
    try {
      await question(machine.id);
    } catch (error) {
      if (error instanceof HypervisorError && error.code === 'guest-agent-absent') {
        throw fault(
          'ToolsUnavailable',
          {},
          `The guest cannot be asked: ${error.message.replace(/\.$/, '')}. Its guest agent must be running.`,
          { cause: error },
        );
      }
      throw error;
    }
    core.events.post(undefined, { type: event, entity: machine.ref, userName: actingUser(call) });
  };

  return {
    powerOn: (call) => start(call, 'powerOn'),
    powerOff: (call) => start(call, 'powerOff'),
    suspend: (call) => start(call, 'suspend'),
    reset: (call) => start(call, 'reset'),
    begin: async (origin, machine, action) => begin(origin, machine, action),
    shutdownGuest: (call) =>
      ask(call, 'poweredOff', 'VmGuestShutdownEvent', async (id) => core.machines.engine(id)?.requestShutdown()),
    rebootGuest: (call) =>
      ask(call, 'poweredOn', 'VmGuestRebootEvent', async (id) => core.machines.engine(id)?.requestReboot()),
    answer: async (call, questionId, choice) => {
      const { id, question } = core.machines.get(call.self.ref);
      if (question === undefined || question.id !== questionId) throw noSuchQuestion(questionId);
      if (!question.choices.some(({ key }) => key === choice)) {
        throw fault('InvalidArgument', { invalidProperty: 'answerChoice' }, `The question has no answer ${choice}.`);
      }
      // It is asked until the answer has its effect; the guest may ask again as soon as it goes on.
      if (choice === answers.powerOff) await start(call, 'powerOff');
      else await settle.retry(id);
      core.machines.change(id, { question: undefined });
      if (choice === answers.powerOff) return;
      await core.machines.engine(id)?.resume();
    },
    // What becomes of a machine whose guest stands by is its owner's choice: it is suspended unless told.
    standbyGuest: async (call) => {
      const machine = core.machines.get(call.self.ref);
      if (setting(machine.configuration, 'standbyAction') === 'powerOnSuspend')
        throw fault('NotSupported', {}, 'Guests do not stand by in machines that stay on; use SuspendVM_Task.');
      await ask(call, 'suspended', 'VmGuestStandbyEvent', async () => {
        if (!machine.agentConnected) throw new HypervisorError('guest-agent-absent', 'It does not answer');
        await start(call, 'suspend');
      });
    },
    terminate: async (call) => {
      const machine = core.machines.get(call.self.ref);
      const engine = core.machines.engine(machine.id);
      if (machine.powerState !== 'poweredOn' || engine === undefined) throw invalidPowerState(machine, 'poweredOff');
      const userName = actingUser(call);
      watch.expectEnd(machine.id, (draft) =>
        core.events.post(draft, { type: 'VmPoweredOffEvent', entity: machine.ref, userName }),
      );
      await engine.powerOff().catch((error: unknown) => {
        if (engine.state === 'stopped') return;
        watch.expectNothing(machine.id);
        throw error;
      });
      await watch.ended(machine.id, 'requested');
    },
  };
}

/** What a guest remembers of a disk is not so any more once another one wrote it. */
function mustNotShare({ configuration }: MachineRecord): void {
  const cause = sharedDiskFault(configuration, 'its machine is not suspended');
  if (cause === undefined) return;
  const faultCause = { _typeName: 'LocalizedMethodFault', fault: cause.detail, localizedMessage: cause.message };
  throw fault('NotSupported', { faultCause }, cause.message, { cause });
}

async function suspendEngine(
  core: HostCore,
  watch: MachineWatch,
  task: RunningTask,
  machine: MachineRecord,
): Promise<void> {
  const { datastore, vmxPath, id } = machine;
  const engine = core.machines.engine(id);
  if (engine === undefined) throw invalidPowerState(machine, 'suspended');
  const name = `${splitPath(vmxPath).name.replace(/\.vmx$/i, '')}-${randomBytes(4).toString('hex')}.vmss`;
  const path = join(dirname(datastore.absolute(vmxPath)), name);
  const suspendTime = new Date().toISOString();
  // The image is named before it is written: a restart in between finds the name, and no engine that runs.
  const vmx = await readVmx(datastore, vmxPath);
  // The engine runs: the image of an earlier suspend that a restart cut off is for nothing.
  const former = splitPath(vmx.get(suspendKey) ?? '').name;
  if (former !== '') await rm(join(dirname(path), former), { force: true });
  await writeVmx(datastore, vmxPath, forgetImage(vmx).set(suspendKey, name));
  await saveRuntime(core, id, { powerState: 'poweredOn', bootTime: machine.bootTime, suspending: name });
  watch.expectEnd(
    id,
    (draft) => {
      core.machines.change(id, { powerState: 'suspended', suspendTime, bootTime: undefined }, draft);
      task.post(draft, { type: 'VmSuspendedEvent', entity: machine.ref });
    },
    { powerState: 'suspended', suspendTime },
  );
  try {
    await engine.suspend(path);
  } catch (error) {
    watch.expectNothing(id);
    // An engine that died of it has its end told by the watch.
    if (engine.state === 'stopped') await watch.ended(id, 'crashed');
    else await saveRuntime(core, id, { powerState: 'poweredOn', bootTime: machine.bootTime });
    await writeVmx(datastore, vmxPath, forgetImage(vmx));
    await rm(path, { force: true });
    const message = error instanceof Error ? error.message : String(error);
    throw fault('GenericVmConfigFault', { reason: message.slice(0, 2000) }, message, { cause: error });
  }
  await watch.ended(id, 'suspended');
}

/** Powering off a suspended machine throws its memory away. */
async function discardSuspended(core: HostCore, task: RunningTask, machine: MachineRecord): Promise<void> {
  const { datastore, vmxPath, id } = machine;
  const vmx = await readVmx(datastore, vmxPath);
  const image = vmx.get(suspendKey) ?? '';
  // The name goes last: a restart in between finds it, and does the rest again.
  if (image !== '') await rm(join(dirname(datastore.absolute(vmxPath)), splitPath(image).name), { force: true });
  await saveRuntime(core, id, { powerState: 'poweredOff' });
  await writeVmx(datastore, vmxPath, forgetImage(vmx));
  core.registry.commit((draft) => {
    core.machines.change(id, { powerState: 'poweredOff', suspendTime: undefined }, draft);
    task.post(draft, { type: 'VmPoweredOffEvent', entity: machine.ref });
  });
}
