import { fault, type VirtualMachineConfigInfo } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { isShown, type MachineDocument, referenceOf } from '../inventory/entity-document.ts';
import { requireFreeName } from '../inventory/name-scope.ts';
import type { MachinePlace } from './machine-place.ts';

/** By what a machine is met that its host has not made yet. */
export type ExpectedBy = { readonly instanceUuid: string } | { readonly path: string };

/**
 * Keeps name and place for a machine that a host is about to make, so that it is in its place from the first moment.
 * Throws DuplicateName. Again, with what is kept already, it changes nothing.
 */
export async function expectMachine(
  core: CenterCore,
  name: string,
  place: MachinePlace,
  by: ExpectedBy,
): Promise<void> {
  await core.inventory.edit((edit) => {
    if (documentOf(core, place.host, by) !== undefined) return;
    const { folder, pool, host } = place;
    if (edit.find(pool) === undefined || (folder !== undefined && edit.find(folder) === undefined))
      throw fault(
        'ManagedObjectNotFound',
        { obj: { type: 'ResourcePool', value: pool } },
        'The place for the machine is gone.',
      );
    const document: MachineDocument = {
      type: 'VirtualMachine',
      value: edit.mint('vm-'),
      name,
      host,
      pool,
      ...(folder === undefined ? {} : { parent: folder }),
      ...('path' in by ? { instanceUuid: '', expectedPath: by.path } : { instanceUuid: by.instanceUuid }),
    };
    requireFreeName(edit, document);
    edit.put(document);
  });
}

/** Lets go of what is still only expected. */
export async function expectNoMore(core: CenterCore, host: string, by: ExpectedBy): Promise<void> {
  if (documentOf(core, host, by) === undefined) return;
  await core.inventory.edit((edit) => {
    const document = documentOf(core, host, by);
    if (document !== undefined && !isShown(document)) edit.remove(document.value);
  });
}

function documentOf(core: CenterCore, host: string, by: ExpectedBy): MachineDocument | undefined {
  if ('instanceUuid' in by)
    return core.inventory.machinesOfInstance(by.instanceUuid).find((machine) => machine.host === host);
  return core.inventory
    .machinesOnHost(host)
    .find((machine) => (machine.expectedPath ?? pathOf(core, machine)) === by.path);
}

function pathOf(core: CenterCore, machine: MachineDocument): string | undefined {
  const config = core.registry.get(referenceOf(machine))?.value('config') as VirtualMachineConfigInfo | undefined;
  return config?.files?.vmPathName;
}
