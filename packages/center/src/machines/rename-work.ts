import type { Call, ManagedObjectReference, RunningTask } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import { type MachineDocument, referenceOf } from '../inventory/entity-document.ts';
import { requireFreeName } from '../inventory/name-scope.ts';
import { machineName } from './machine-place.ts';
import type { PendingNames } from './pending-names.ts';

interface RenameInput {
  readonly machine: string;
  readonly name: string;
}

/** VirtualMachine.Rename_Task: the name is free in its folder, and the host writes it down. */
export type MachineRename = (call: Call, name: string) => Promise<ManagedObjectReference<'Task'>>;

export function defineMachineRename(core: CenterCore, forwarding: Forwarding, pending: PendingNames): MachineRename {
  const rename = async (task: RunningTask, { machine, name }: RenameInput, again: boolean) => {
    const document = core.inventory.get('VirtualMachine', { value: machine });
    const release = pending.take(placeOf(document), name);
    try {
      // Begun before, the name may be its own by now.
      await core.inventory.edit((edit) => requireFreeName(edit, { ...document, name }));
      const link = await core.hosts.forWork(document.host, { again });
      const self = () => core.hosts.route(referenceOf(document)).ref;
      await forwarding.step(task, link, self, 'Rename_Task', { newName: name }, { again });
    } finally {
      release();
    }
  };
  const start = core.tasks.define<RenameInput>('VirtualMachine.rename', {
    method: 'Rename_Task',
    run: (task, input) => rename(task, input, false),
    resume: (task, input) => rename(task, input, true),
  });
  return async (call, written) => {
    const { value, host } = core.inventory.get('VirtualMachine', call.self.ref);
    core.hosts.connected(host);
    const name = machineName(written);
    return start(call, { input: { machine: value, name }, queueKey: `rename ${value}` });
  };
}

/** What a machine's name is unique in. */
export function placeOf({ parent, pool }: Pick<MachineDocument, 'parent' | 'pool'>): ManagedObjectReference {
  return parent === undefined
    ? { _typeName: 'ManagedObjectReference', type: 'ResourcePool', value: pool ?? '' }
    : { _typeName: 'ManagedObjectReference', type: 'Folder', value: parent };
}
