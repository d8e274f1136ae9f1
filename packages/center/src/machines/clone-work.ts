import {
  type Call,
  fault,
  type ManagedObjectReference,
  type RunningTask,
  VimFault,
  type VirtualMachineCloneSpec,
} from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import { freeInstanceUuid, MachineMaking } from './create-work.ts';
import { choosePlace, type MachinePlace, machineName } from './machine-place.ts';
import { isTemplate } from './templates.ts';

interface CloneInput {
  /** Reference value of the machine that is cloned. */
  readonly source: string;
  readonly name: string;
  readonly spec: VirtualMachineCloneSpec;
  readonly place: MachinePlace;
}

export interface CloneRequest {
  readonly folder: ManagedObjectReference;
  readonly name: string;
  readonly spec: VirtualMachineCloneSpec;
}

/** VirtualMachine.CloneVM_Task: the center keeps name and place for the clone, the host of the original makes it. */
export type CloneWork = (call: Call, request: CloneRequest) => Promise<ManagedObjectReference<'Task'>>;

export function defineCloneWork(core: CenterCore, forwarding: Forwarding): CloneWork {
  const making = new MachineMaking(core);
  const run = (task: RunningTask, { source, name, spec, place }: CloneInput) => {
    const original = { _typeName: 'ManagedObjectReference', type: 'VirtualMachine', value: source } as const;
    return making.make(task, name, place, freeInstanceUuid(core, spec.config ?? {}), ({ by, link, again }) => {
      const instanceUuid = 'instanceUuid' in by ? by.instanceUuid : undefined;
      const config = { ...spec.config, _typeName: 'VirtualMachineConfigSpec', instanceUuid };
      return forwarding.step(
        task,
        link,
        () => core.hosts.route(original).ref,
        'CloneVM_Task',
        (at) => {
          const pool = { _typeName: 'ManagedObjectReference', type: 'ResourcePool', value: place.pool };
          const location = { ...spec.location, pool, folder: undefined, host: undefined };
          const folder = { ...at.layout.vmFolder };
          return {
            ...forwarding.toHost(at, 'CloneVM_Task', { name, spec: { ...spec, config, location } }),
            folder,
          };
        },
        { again },
      );
    });
  };
  const start = core.tasks.define<CloneInput>('VirtualMachine.clone', {
    method: 'CloneVM_Task',
    cancelable: true,
    run,
    resume: run,
  });
  return async (call, { folder, name: written, spec }) => {
    const { value, host, pool } = core.inventory.get('VirtualMachine', call.self.ref);
    core.hosts.connected(host);
    if (spec.location.pool === undefined && !spec.template && isTemplate(core, call.self.ref))
      throw fault(
        'InvalidArgument',
        { invalidProperty: 'spec.location.pool' },
        'A template has no resource pool: spec.location.pool says which one the machine is to be in.',
      );
    const compute = core.inventory.above(host, ['ComputeResource', 'ClusterComputeResource']);
    const asked = spec.location.pool ?? { type: 'ResourcePool', value: pool ?? compute?.pool ?? '' };
    const place = choosePlace(core, {
      folder,
      pool: { _typeName: 'ManagedObjectReference', ...asked },
      host: { _typeName: 'ManagedObjectReference', type: 'HostSystem', value: host },
      datastores: spec.location.datastore === undefined ? [] : [spec.location.datastore],
    });
    return start(call, { input: { source: value, name: nameOf(written), spec, place }, entity: call.self.ref });
  };
}

/** InvalidName is no fault of this method. */
function nameOf(written: string): string {
  try {
    return machineName(written);
  } catch (error) {
    if (!(error instanceof VimFault) || error.type !== 'InvalidName') throw error;
    throw fault('InvalidArgument', { invalidProperty: 'name' }, error.message);
  }
}
