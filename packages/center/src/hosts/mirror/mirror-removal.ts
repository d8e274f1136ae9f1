import { forgetInCluster } from '../../containers/cluster-rules.ts';
import { type MachineDocument, notSharedBy } from '../../inventory/entity-document.ts';
import type { InventoryEdit } from '../../inventory/inventory.ts';
import { deletePart, type PartDocument } from './host-parts.ts';
import type { MirrorContext } from './mirror-context.ts';

/** Takes out of the inventory what a host has no more. */
export class MirrorRemoval {
  readonly #context: MirrorContext;

  constructor(context: MirrorContext) {
    this.#context = context;
  }

  /** Takes out what the host has no more, by the host's reference. */
  remove(hostValue: string, edit: InventoryEdit): void {
    const part = this.#context.references.part(hostValue);
    const known = part && this.#context.parts.get(hostValue);
    if (known !== undefined) {
      this.removePart(known, edit);
      return;
    }
    const center = this.#context.references.unbind(hostValue);
    if (center !== undefined && this.#context.transients.delete(center.value)) {
      edit.show((draft) => draft.remove(center));
      return;
    }
    const document = center && edit.find(center.value);
    if (document?.type === 'VirtualMachine' && document.host === this.#context.host) this.machine(document, edit);
    else if (document?.type === 'Datastore' || document?.type === 'Network') this.unshare(document.value, edit);
  }

  /** The host has a machine no more; where another host has it registered, it is shown there from now on. */
  machine(document: MachineDocument, edit: InventoryEdit): void {
    const heir = this.#context.options.heirOf(document);
    if (heir === undefined) {
      forgetInCluster(edit, document);
      edit.remove(document.value);
      this.#context.core.lastKnown.forget(document.value);
      return;
    }
    edit.put({ ...document, host: heir.host, hostValue: heir.hostValue });
    heir.tellAgain();
  }

  /** The host has a datastore or network no more. */
  unshare(value: string, edit: InventoryEdit): void {
    const { host, shared } = this.#context;
    const document = edit.find(value);
    if (document === undefined) return;
    if (shared.remove(value, host)) {
      edit.put(notSharedBy(document, host), shared.merged(value));
      return;
    }
    edit.remove(value);
    this.#context.core.lastKnown.forget(value);
  }

  removePart(part: PartDocument, edit: InventoryEdit): void {
    this.#context.parts.delete(part.hostValue);
    this.#context.references.unbind(part.hostValue);
    edit.write(deletePart(part.host, part.hostValue));
    this.#context.core.lastKnown.forget(part.value);
    edit.show((draft) => {
      const ref = { type: part.type, value: part.value };
      if (draft.has(ref)) draft.remove(ref);
    });
  }
}
