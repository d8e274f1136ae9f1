import { Gathered } from '@hypostyle/services';
import { fault, type VirtualMachineConfigInfo } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { isShown, type MachineDocument, referenceOf } from '../inventory/entity-document.ts';
import type { InventoryEdit } from '../inventory/inventory.ts';
import { requireFreeName } from '../inventory/name-scope.ts';
import type { MachinePlace } from './machine-place.ts';

/** By what a machine is met that its host has not made yet. */
export type ExpectedBy = { readonly instanceUuid: string } | { readonly path: string };

interface Expected {
  readonly name: string;
  readonly place: MachinePlace;
  readonly by: ExpectedBy;
}

/** Names and places that are kept for machines to come: what is asked for at a time is one change of the inventory. */
export class ExpectedMachines {
  readonly #core: CenterCore;
  readonly #asked = new Gathered((all: readonly Expected[]) => this.#keep(all));

  constructor(core: CenterCore) {
    this.#core = core;
  }

  /**
   * Keeps name and place for a machine that a host is about to make, so that it is in its place from the first moment.
   * Throws DuplicateName. Again, with what is kept already, it changes nothing.
   */
  async expect(expected: Expected): Promise<void> {
    const refused = await this.#asked.add(expected);
    if (refused !== undefined) throw refused.reason;
  }

  /** Answers why one is refused; the others are kept all the same. */
  #keep(all: readonly Expected[]): Promise<({ readonly reason: unknown } | undefined)[]> {
    return this.#core.inventory.edit((edit) => {
      const known = new Set<string>();
      return all.map((expected) => {
        const { by, place } = expected;
        const key = `${place.host} ${'path' in by ? by.path : by.instanceUuid}`;
        try {
          if (!known.has(key)) keep(this.#core, edit, expected);
          known.add(key);
          return undefined;
        } catch (reason) {
          return { reason };
        }
      });
    });
  }
}

/** Throws before it changes anything. */
function keep(core: CenterCore, edit: InventoryEdit, { name, place, by }: Expected): void {
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
}

/** Lets go of what is still only expected. */
export async function expectNoMore(core: CenterCore, host: string, by: ExpectedBy): Promise<void> {
  const kept = documentOf(core, host, by);
  if (kept === undefined || isShown(kept)) return;
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
