import {
  type Call,
  fault,
  type ManagedObjectReference,
  type RunningTask,
  type VirtualMachineRelocateSpec,
} from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { FarMoves, FarRelocateInput } from '../far/far-relocate.ts';
import { staysOn } from '../far/target-place.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import { referenceOf } from '../inventory/entity-document.ts';
import { requireFreeName } from '../inventory/name-scope.ts';
import { poolOf } from './machine-place.ts';

interface RelocateInput {
  readonly machine: string;
  readonly spec: VirtualMachineRelocateSpec;
  /** It comes to another host. */
  readonly far?: FarRelocateInput['far'];
}

/** VirtualMachine.RelocateVM_Task: files are moved by the machine's host, folder and pool are the center's own. */
export type RelocateWork = (call: Call, spec: VirtualMachineRelocateSpec) => Promise<ManagedObjectReference<'Task'>>;

export function defineRelocateWork(core: CenterCore, forwarding: Forwarding, moves: FarMoves): RelocateWork {
  const relocate = async (task: RunningTask, { machine, spec, far }: RelocateInput, again: boolean) => {
    if (far !== undefined) {
      await moves.run(task, { machine, spec, far }, again);
      return;
    }
    const document = core.inventory.get('VirtualMachine', { value: machine });
    const { folder, pool, host: _host, ...ofFiles } = spec;
    if (Object.entries(ofFiles).some(([member, value]) => member !== '_typeName' && value !== undefined)) {
      const link = await core.hosts.forWork(document.host, { again });
      await forwarding.step(
        task,
        link,
        () => core.hosts.route(referenceOf(document)).ref,
        'RelocateVM_Task',
        (at) => forwarding.toHost(at, 'RelocateVM_Task', { spec: ofFiles }),
        { again },
      );
    }
    if (folder === undefined && pool === undefined) return;
    await core.inventory.edit((edit) => {
      const now = edit.find(machine);
      if (now?.type !== 'VirtualMachine') return;
      const placed = {
        ...now,
        ...(folder === undefined ? {} : { parent: folder.value }),
        ...(pool === undefined || now.pool === undefined ? {} : { pool: pool.value }),
      };
      if (placed.parent !== now.parent) requireFreeName(edit, placed);
      edit.put(placed);
    });
  };
  const start = core.tasks.define<RelocateInput>('VirtualMachine.relocate', {
    method: 'RelocateVM_Task',
    cancelable: true,
    run: (task, input) => relocate(task, input, false),
    resume: (task, input) => relocate(task, input, true),
  });
  return async (call, spec) => {
    const machine = core.inventory.get('VirtualMachine', call.self.ref);
    const { value, host } = machine;
    core.hosts.connected(host);
    if (!staysOn(core, machine, spec)) {
      const far = moves.begin(call, machine, spec);
      return start(call, { input: { machine: value, spec, far }, queueKey: `relocate ${value}` });
    }
    checkPlace(core, host, spec);
    return start(call, { input: { machine: value, spec }, queueKey: `relocate ${value}` });
  };
}

/** The machine stays on its host, so its pool is one of the host's, and its folder one of the datacenter. */
function checkPlace(core: CenterCore, host: string, { folder, pool }: VirtualMachineRelocateSpec): void {
  const { inventory } = core;
  if (pool !== undefined) {
    const owner = inventory.above(host, ['ComputeResource', 'ClusterComputeResource'])?.value;
    if (poolOf(core, pool).owner !== owner)
      throw fault(
        'InvalidArgument',
        { invalidProperty: 'spec.pool' },
        'The pool is of another compute resource than the machine.',
      );
  }
  if (folder === undefined) return;
  const document = inventory.get('Folder', folder);
  const datacenter = inventory.above(host, ['Datacenter'])?.value;
  if (
    !document.childType.includes('VirtualMachine') ||
    inventory.above(folder.value, ['Datacenter'])?.value !== datacenter
  )
    throw fault(
      'InvalidArgument',
      { invalidProperty: 'spec.folder' },
      'It is no folder of machines of the datacenter.',
    );
}
