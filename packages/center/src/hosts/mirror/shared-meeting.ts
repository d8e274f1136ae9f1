import type { ManagedObjectReference } from '@hypostyle/vim';
import {
  type DatastoreDocument,
  type EntityDocument,
  type NetworkDocument,
  referenceOf,
  sharedBy,
} from '../../inventory/entity-document.ts';
import type { InventoryEdit } from '../../inventory/inventory.ts';
import type { ObjectChange } from '../following/object-updates.ts';
import type { MirrorContext } from './mirror-context.ts';

type SharedDocument = DatastoreDocument | NetworkDocument;

/** Datastores and networks that a host tells of, met under the references that they have at the center. */
export class SharedMeeting {
  readonly #context: MirrorContext;

  constructor(context: MirrorContext) {
    this.#context = context;
  }

  meet({ ref, values }: ObjectChange, edit: InventoryEdit): void {
    const { inventory } = this.#context.core;
    this.#context.told?.add(ref.value);
    const datacenter = inventory.above(this.#context.host, ['Datacenter']);
    if (datacenter === undefined) return;
    const name = values.name as string | undefined;
    const { references } = this.#context;
    // One that was there before is another one now.
    const bound = references.isBound(ref.value) ? references.toCenter(ref) : undefined;
    if (bound !== undefined) {
      const document = edit.find(bound.value);
      if (name === undefined || (document?.type !== 'Datastore' && document?.type !== 'Network')) return;
      // What the center told it to use may be old by now: somebody renamed it on another host.
      const asked = document.type === 'Datastore' && this.#context.options.isAskedName(document, name);
      const named = asked ? document : { ...document, name };
      edit.put(named);
      this.#checkName(named, name, datacenter.datastoreFolder, edit);
      return;
    }
    const met = this.#sharedDocument(ref, values, name ?? ref.value, datacenter, edit);
    const document = sharedBy(met, this.#context.host);
    edit.put(document);
    this.#context.references.bind(ref, referenceOf(document));
    this.#checkName(document, name ?? document.name, datacenter.datastoreFolder, edit);
  }

  #sharedDocument(
    ref: ManagedObjectReference,
    values: Readonly<Record<string, unknown>>,
    name: string,
    { datastoreFolder, networkFolder }: { readonly datastoreFolder: string; readonly networkFolder: string },
    edit: InventoryEdit,
  ): SharedDocument {
    if (ref.type !== 'Datastore') {
      const known = this.#below(networkFolder, edit).find((other) => other.type === 'Network' && other.name === name);
      if (known?.type === 'Network') return known;
      return { type: 'Network', value: edit.mint('network-'), name, parent: networkFolder };
    }
    const identity = (values.summary as { url?: string } | undefined)?.url ?? ref.value;
    const known = this.#below(datastoreFolder, edit).find(
      (other) => other.type === 'Datastore' && other.identity === identity,
    );
    // One that others have keeps its name.
    if (known?.type === 'Datastore') return this.#isShared(known) ? known : { ...known, name };
    return { type: 'Datastore', value: edit.mint('datastore-'), name, identity, parent: datastoreFolder };
  }

  #isShared({ value }: DatastoreDocument): boolean {
    return this.#context.shared.hostsOf(value).some((host) => host !== this.#context.host);
  }

  /** Names of datastores are theirs alone, and the same on all their hosts. */
  #checkName(document: SharedDocument, told: string, folder: string, edit: InventoryEdit): void {
    if (document.type !== 'Datastore') return;
    if (told !== document.name || this.#isShared(document)) {
      this.#context.options.onSameName(document);
      return;
    }
    const other = this.#below(folder, edit).find(
      (one) => one.type === 'Datastore' && one.name === document.name && one.value !== document.value,
    );
    if (other !== undefined) this.#context.options.onSameName(document);
  }

  /** Everything below a folder, at any depth. */
  #below(folder: string, edit: InventoryEdit): EntityDocument[] {
    return edit
      .children(folder)
      .flatMap((child) => (child.type === 'Folder' ? this.#below(child.value, edit) : [child]));
  }
}
