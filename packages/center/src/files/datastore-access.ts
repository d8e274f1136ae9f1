import { fault, type ManagedObjectReference } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { type DatastoreDocument, type HostAddress, referenceOf } from '../inventory/entity-document.ts';
import { datacenterAt, datacenterPath } from '../inventory/inventory-path.ts';
import { datastoresNamed, hostOfDatastores } from './file-place.ts';
import { ticketOf } from './file-ticket.ts';

/** A host that has a datastore, and the way to its file face. */
export interface DatastoreSite {
  readonly address: HostAddress;
  /** A ticket, good once, for a request of the host's file face; `url` is its path and query. */
  ticket(method: string, url: string): Promise<string>;
}

/** Whether somebody may know of it. */
type Shows = (object: ManagedObjectReference) => boolean;

/** Datastores of a center for a face of files: found by datacenter and name, and the hosts that have them. */
export class DatastoreAccess {
  readonly #core: CenterCore;

  constructor(core: CenterCore) {
    this.#core = core;
  }

  /** Paths of the datacenters that are to be shown. */
  datacenters(shows: Shows): string[] {
    const shown = [...this.#core.inventory.all('Datacenter')].filter((datacenter) => shows(referenceOf(datacenter)));
    return shown.map((datacenter) => datacenterPath(this.#core, datacenter));
  }

  /** Names of the datastores of a datacenter that are to be shown; of all datacenters, when none is said. */
  names(datacenter: string | undefined, shows: Shows = () => true): string[] {
    const { inventory } = this.#core;
    const within = datacenter === undefined ? undefined : datacenterAt(this.#core, datacenter);
    const all = [...inventory.all('Datastore')].filter(
      (document) =>
        (datacenter === undefined || inventory.above(document.value, ['Datacenter'])?.value === within?.value) &&
        shows(referenceOf(document)),
    );
    return [...new Set(all.map(({ name }) => name))].sort();
  }

  /** Undefined where there is none. Throws InvalidArgument where several datacenters have one and none is said. */
  find(name: string, datacenter: string | undefined): ManagedObjectReference<'Datastore'> | undefined {
    const document = this.#document(name, datacenter);
    return document === undefined ? undefined : referenceOf(document);
  }

  /** A connected host that has the datastore, that of this process before others. Throws HostNotConnected. */
  site(datastore: ManagedObjectReference<'Datastore'>): DatastoreSite {
    const link = hostOfDatastores(this.#core, [this.#core.inventory.get('Datastore', datastore)]);
    const { address } = this.#core.inventory.get('HostSystem', { value: link.host });
    return { address, ticket: (method, url) => ticketOf(link, method, url) };
  }

  /** The host that a machine is on, and the machine's reference there. Throws HostNotConnected. */
  machineSite(machine: ManagedObjectReference<'VirtualMachine'>): DatastoreSite & { readonly hostValue: string } {
    const { link, ref } = this.#core.hosts.route(machine);
    const { address } = this.#core.inventory.get('HostSystem', { value: link.host });
    return { address, hostValue: ref.value, ticket: (method, url) => ticketOf(link, method, url) };
  }

  #document(name: string, datacenter: string | undefined): DatastoreDocument | undefined {
    const within = datacenter === undefined ? undefined : datacenterAt(this.#core, datacenter);
    if (datacenter !== undefined && within === undefined) return undefined;
    const found = datastoresNamed(this.#core, name, within);
    if (found.length < 2) return found[0];
    throw fault(
      'InvalidArgument',
      { invalidProperty: 'dcPath' },
      `Several datacenters have a datastore '${name}'; say which one with dcPath.`,
    );
  }
}
