import { checkCustomization } from '@hypostyle/services';
import {
  type Call,
  type CustomizationSpec,
  fault,
  fromDocument,
  type ManagedObjectReference,
  type RunningTask,
  toDocument,
} from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import { mustBeFree } from '../lifecycle/lifecycle-work.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { putCustomization } from './pending-customization.ts';

interface CustomizeInput {
  readonly id: string;
  readonly spec: unknown;
}

export interface CustomizeWork {
  /** CustomizeVM_Task. */
  customize(call: Call, spec: CustomizationSpec): Promise<ManagedObjectReference<'Task'>>;
  /** CheckCustomizationSpec. */
  check(call: Call, spec: CustomizationSpec): void;
}

export function defineCustomizeWork(core: HostCore): CustomizeWork {
  const again = async (_task: RunningTask, { id, spec }: CustomizeInput) => {
    const machine = core.machines.get({ type: 'VirtualMachine', value: id });
    mustBeOff(machine);
    await putCustomization(machine, fromDocument<CustomizationSpec>(spec));
  };
  const start = core.tasks.define<CustomizeInput>('VirtualMachine.customize', {
    method: 'CustomizeVM_Task',
    run: again,
    resume: again,
  });
  return {
    customize: (call, spec) => {
      const machine = core.machines.get(call.self.ref);
      mustBeFree(core, machine);
      mustBeOff(machine);
      if (machine.configuration.template) throw fault('NotSupported', {}, 'A template has no guest that runs.');
      checkFor(machine, spec);
      return start(call, { input: { id: machine.id, spec: toDocument(spec) }, queueKey: machine.id });
    },
    check: (call, spec) => checkFor(core.machines.get(call.self.ref), spec),
  };
}

function mustBeOff({ powerState }: MachineRecord): void {
  if (powerState !== 'poweredOff')
    throw fault('CustomizationFault', {}, 'A guest is customized at its next start; power the machine off first.');
}

function checkFor({ configuration }: Pick<MachineRecord, 'configuration'>, spec: CustomizationSpec): void {
  checkCustomization(spec, { name: configuration.name, adapters: configuration.nics });
}
