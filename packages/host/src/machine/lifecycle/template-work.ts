import { type Call, fault, type ManagedObjectReference, type RunningTask, VimFault } from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import { references } from '../../inventory/references.ts';
import { poolReference } from '../../pools/pool-record.ts';
import { readVmx, writeVmx } from '../files/machine-files.ts';
import { invalidPowerState } from '../power/power-work.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { refreshMachine } from '../snapshot/refresh-machine.ts';
import { mustBeFree } from './lifecycle-work.ts';

interface MarkInput {
  readonly id: string;
  readonly template: boolean;
  /** Reference value of the pool that a machine comes into. */
  readonly pool?: string;
}

export interface TemplateWork {
  markAsTemplate(call: Call): Promise<void>;
  markAsMachine(
    call: Call,
    place: { readonly pool: ManagedObjectReference; readonly host: ManagedObjectReference | undefined },
  ): Promise<void>;
}

/** Templates: machines that are copied, and do not run. */
export function defineTemplateWork(core: HostCore): TemplateWork {
  const again = (run: (task: RunningTask, input: MarkInput) => Promise<void>) => ({ run, resume: run });
  const mark = again((_task, input) => markMachine(core, input));
  const toTemplate = core.tasks.define<MarkInput>('VirtualMachine.markAsTemplate', {
    method: 'MarkAsTemplate',
    ...mark,
  });
  const toMachine = core.tasks.define<MarkInput>('VirtualMachine.markAsVirtualMachine', {
    method: 'MarkAsVirtualMachine',
    ...mark,
  });
  const whole = async (begun: Promise<ManagedObjectReference<'Task'>>): Promise<void> => {
    const { error } = await core.tasks.finished(await begun);
    if (error !== undefined)
      throw new VimFault(error.fault._typeName ?? 'SystemError', error.fault, error.localizedMessage ?? 'It failed.');
  };
  return {
    markAsTemplate: async (call) => {
      const machine = core.machines.get(call.self.ref);
      mustBeFree(core, machine);
      checkReadable(machine);
      if (machine.configuration.template) throw fault('NotSupported', {}, 'It is a template already.');
      mustNotRun(machine);
      await whole(toTemplate(call, { input: { id: machine.id, template: true }, queueKey: machine.id }));
    },
    markAsMachine: async (call, { pool, host }) => {
      const machine = core.machines.get(call.self.ref);
      mustBeFree(core, machine);
      checkReadable(machine);
      if (!machine.configuration.template) throw fault('NotSupported', {}, 'It is no template.');
      if (host !== undefined && host.value !== references.host.value)
        throw fault('InvalidArgument', { invalidProperty: 'host' }, 'The template is on this host, and stays here.');
      core.pools.get(poolReference(pool.value));
      const input = { id: machine.id, template: false, pool: pool.value };
      await whole(toMachine(call, { input, queueKey: machine.id }));
    },
  };
}

async function markMachine(core: HostCore, { id, template, pool }: MarkInput): Promise<void> {
  const machine = core.machines.get({ type: 'VirtualMachine', value: id });
  mustNotRun(machine);
  const { datastore, vmxPath } = machine;
  const vmx = await readVmx(datastore, vmxPath);
  await writeVmx(datastore, vmxPath, vmx.set('template', template ? 'TRUE' : 'FALSE'));
  const into = pool ?? core.rootPool.value;
  await core.store.transact(core.pools.assign([id], into));
  core.pools.showAssigned(id, into);
  await refreshMachine(core, id);
  core.registry.commit((draft) => {
    core.machines.change(id, { resourcePool: core.pools.referenceOf(into) }, draft);
    draft.touch(machine.ref, 'resourcePool');
    core.inventory.poolsChanged(draft);
  });
}

function checkReadable({ problem }: MachineRecord): void {
  if (problem !== undefined) throw fault('InvalidVmConfig', {}, problem);
}

/** A machine that is suspended is to go on one day, which no template does. */
function mustNotRun(machine: MachineRecord): void {
  if (machine.powerState !== 'poweredOff') throw invalidPowerState(machine, 'poweredOff');
}
