import { type Call, fault, type ManagedObjectReference, type RunningTask, VimFault } from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import { runningEngine } from '../console/screenshots.ts';
import { engineFound } from '../engine/engine-found.ts';
import { mustBeFree } from '../lifecycle/lifecycle-work.ts';
import { tellEngine } from '../reconfigure/change-engine.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { putToolsDisc, removeToolsDisc } from './tools-disc.ts';

interface ToolsInput {
  readonly id: string;
}

/** VirtualMachine.MountToolsInstaller and UnmountToolsInstaller: they answer when it is done. */
export interface ToolsWork {
  mount(call: Call): Promise<void>;
  unmount(call: Call): Promise<void>;
}

export function defineToolsWork(core: HostCore): ToolsWork {
  const define = (method: 'MountToolsInstaller' | 'UnmountToolsInstaller', mounted: boolean) => {
    const run = async (task: RunningTask, { id }: ToolsInput) => {
      await engineFound(core, task, id);
      await setMounted(core, task, id, mounted);
    };
    const name = mounted ? 'VirtualMachine.mountToolsInstaller' : 'VirtualMachine.unmountToolsInstaller';
    return core.tasks.define<ToolsInput>(name, { method, run, resume: run });
  };
  const mounting = define('MountToolsInstaller', true);
  const unmounting = define('UnmountToolsInstaller', false);
  const whole = async (task: Promise<ManagedObjectReference<'Task'>>) => {
    const { error } = await core.tasks.finished(await task);
    if (error !== undefined)
      throw new VimFault(error.fault._typeName ?? 'SystemError', error.fault, error.localizedMessage ?? 'It failed.');
  };
  const ready = (call: Call): MachineRecord => {
    const machine = core.machines.get(call.self.ref);
    mustBeFree(core, machine);
    runningEngine(core, machine);
    return machine;
  };
  return {
    mount: async (call) => {
      const machine = ready(call);
      mustHaveDrive(core, machine);
      await whole(mounting(call, { input: { id: machine.id }, queueKey: machine.id }));
    },
    unmount: async (call) => {
      const machine = ready(call);
      // That it is not there is true already.
      if (machine.toolsMounted !== true) return;
      await whole(unmounting(call, { input: { id: machine.id }, queueKey: machine.id }));
    },
  };
}

async function setMounted(core: HostCore, task: RunningTask, id: string, toolsMounted: boolean): Promise<void> {
  const machine = core.machines.get({ type: 'VirtualMachine', value: id });
  const engine = runningEngine(core, machine);
  if (toolsMounted) {
    mustHaveDrive(core, machine);
    await putToolsDisc(machine);
  }
  try {
    await tellEngine(core, engine, { ...machine, toolsMounted }, machine);
  } catch (error) {
    if (toolsMounted && machine.toolsMounted !== true) await removeToolsDisc(machine);
    throw error;
  }
  if (!toolsMounted) await removeToolsDisc(machine);
  const message = toolsMounted
    ? 'The disc with the tools is in a CD-ROM drive: as root, mount it and run install.sh.'
    : 'The disc with the tools is out of its drive.';
  core.registry.commit((draft) => {
    core.machines.change(id, { toolsMounted }, draft);
    task.post(draft, { type: 'GeneralVmInfoEvent', entity: machine.ref, members: { message } });
  });
}

function mustHaveDrive(core: HostCore, { configuration }: MachineRecord): void {
  if (configuration.cdroms.length === 0)
    throw fault('InvalidVmConfig', {}, 'The machine has no CD-ROM drive: add one while it is off.');
  if (core.hypervisorInfo.capabilities.hotPlug?.media !== true)
    throw fault('ToolsImageNotAvailable', {}, 'Images are not exchanged here while a machine runs.');
}
