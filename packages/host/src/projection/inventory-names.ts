import type { ManagedObjectReference } from '@hypostyle/vim';
import type { Datastore } from '../datastore/datastore.ts';

/** References of what a machine's configuration names. */
export interface InventoryNames {
  readonly host: ManagedObjectReference<'HostSystem'>;
  readonly environmentBrowser: ManagedObjectReference<'EnvironmentBrowser'>;
  datastore(datastore: Datastore): ManagedObjectReference<'Datastore'>;
  network(name: string): ManagedObjectReference<'Network'> | undefined;
  guestFullName(guestId: string): string;
}
