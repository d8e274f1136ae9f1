import { randomUUID } from 'node:crypto';
import {
  type Call,
  data,
  fault,
  type ManagedObjectReference,
  type RunningTask,
  VimFault,
  type VirtualMachineCloneSpec,
  type VirtualMachineInstantCloneSpec,
} from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { type FarCloneInput, FarClones } from '../far/far-clone.ts';
import { requireForTarget, targetOf } from '../far/target-place.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import { freeInstanceUuid, MachineMaking, type MakingJournal } from './create-work.ts';
import { choosePlace, type MachinePlace, machineName } from './machine-place.ts';
import { isTemplate } from './templates.ts';

interface CloneInput {
  /** Reference value of the machine that is cloned. */
  readonly source: string;
  readonly name: string;
  readonly spec: VirtualMachineCloneSpec;
  readonly place: MachinePlace;
  /** It comes to another host than that of the original. */
  readonly far?: FarCloneInput['far'];
}

export interface CloneRequest {
  readonly folder: ManagedObjectReference;
  readonly name: string;
  readonly spec: VirtualMachineCloneSpec;
}

interface InstantInput {
  readonly source: string;
  readonly name: string;
  readonly spec: VirtualMachineInstantCloneSpec;
  readonly place: MachinePlace;
}

/**
 * VirtualMachine.InstantClone_Task, done as CloneVM_Task is: the host of the original makes the clone beside it, and is
 * told the instanceUuid by which the center knows it among the clone's settings.
 */
export type InstantCloneWork = (
  call: Call,
  request: { readonly folder: ManagedObjectReference; readonly spec: VirtualMachineInstantCloneSpec },
) => Promise<ManagedObjectReference<'Task'>>;

export function defineInstantCloneWork(core: CenterCore, forwarding: Forwarding): InstantCloneWork {
  const making = new MachineMaking(core);
  const plan = (): MakingJournal => ({ by: freeInstanceUuid(core, {}) });
  const run = (task: RunningTask, { source, name, spec, place }: InstantInput, isAgain: boolean) => {
    const original = { _typeName: 'ManagedObjectReference', type: 'VirtualMachine', value: source } as const;
    return making.make(task, { name, place, plan, isAgain }, ({ by, link, again }) => {
      const value = 'instanceUuid' in by ? by.instanceUuid : '';
      const config = [
        ...(spec.config ?? []).filter(({ key }) => key !== instanceKey),
        data('OptionValue', { key: instanceKey, value }),
      ];
      const pool = { _typeName: 'ManagedObjectReference', type: 'ResourcePool', value: place.pool } as const;
      const location = { ...spec.location, pool, folder: undefined, host: undefined };
      return forwarding.step(
        task,
        link,
        () => core.hosts.route(original).ref,
        'InstantClone_Task',
        (at) => forwarding.toHost(at, 'InstantClone_Task', { spec: { ...spec, config, location } }),
        { again },
      );
    });
  };
  const start = core.tasks.define<InstantInput>('VirtualMachine.instantClone', {
    method: 'InstantClone_Task',
    cancelable: true,
    plan: async () => plan(),
    run: (task, input) => run(task, input, false),
    resume: (task, input) => run(task, input, true),
  });
  return async (call, { folder, spec }) => {
    const { value, host, pool } = core.inventory.get('VirtualMachine', call.self.ref);
    core.hosts.connected(host);
    const { location } = spec;
    if (location.host !== undefined && location.host.value !== host)
      throw fault('NotSupported', {}, 'spec.location.host: an instant clone runs where its original runs.');
    const compute = core.inventory.above(host, ['ComputeResource', 'ClusterComputeResource']);
    const asked = location.pool ?? { type: 'ResourcePool', value: pool ?? compute?.pool ?? '' };
    const place = choosePlace(core, {
      folder,
      pool: { _typeName: 'ManagedObjectReference', ...asked },
      host: { _typeName: 'ManagedObjectReference', type: 'HostSystem', value: host },
      datastores: location.datastore === undefined ? [] : [location.datastore],
    });
    return start(call, { input: { source: value, name: nameOf(spec.name), spec, place }, entity: call.self.ref });
  };
}

/** Setting with a machine's instanceUuid, as `.vmx` files have it. */
const instanceKey = 'vc.uuid';

/** VirtualMachine.CloneVM_Task: the center keeps name and place for the clone, the host of the original makes it. */
export type CloneWork = (call: Call, request: CloneRequest) => Promise<ManagedObjectReference<'Task'>>;

export function defineCloneWork(core: CenterCore, forwarding: Forwarding): CloneWork {
  const making = new MachineMaking(core);
  const farClones = new FarClones(core, forwarding);
  const plan = ({ spec }: CloneInput): MakingJournal => ({ by: freeInstanceUuid(core, spec.config ?? {}) });
  const run = (task: RunningTask, input: CloneInput, isAgain: boolean) => {
    const { source, name, spec, place, far } = input;
    if (far !== undefined) return farClones.run(task, { source, name, spec, place, far }, isAgain);
    const original = { _typeName: 'ManagedObjectReference', type: 'VirtualMachine', value: source } as const;
    return making.make(task, { name, place, plan: () => plan(input), isAgain }, ({ by, link, again }) => {
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
    plan: async (input) => plan(input),
    run: (task, input) => run(task, input, false),
    resume: (task, input) => run(task, input, true),
  });
  return async (call, { folder, name: written, spec }) => {
    const machine = core.inventory.get('VirtualMachine', call.self.ref);
    core.hosts.connected(machine.host);
    if (spec.location.pool === undefined && !spec.template && isTemplate(core, call.self.ref))
      throw fault(
        'InvalidArgument',
        { invalidProperty: 'spec.location.pool' },
        'A template has no resource pool: spec.location.pool says which one the machine is to be in.',
      );
    const { place, datastore } = targetOf(core, machine, spec.location, folder);
    const name = nameOf(written);
    const input = { source: machine.value, name, spec, place };
    if (datastore === undefined) return start(call, { input, entity: call.self.ref });
    requireForTarget(core, call, { place, datastore, isTemplate: spec.template });
    const rooms = farClones.check(call.self.ref, spec);
    const far = { from: machine.host, datastore: datastore.name, arrival: randomUUID(), rooms };
    return start(call, { input: { ...input, far }, entity: call.self.ref });
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
