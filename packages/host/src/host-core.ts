import type { Hypervisor, HypervisorInfo, Store } from '@hypostyle/contracts';
import type {
  EventPoster,
  ManagedObjectReference,
  OptionService,
  Permissions,
  Registry,
  TaskService,
} from '@hypostyle/vim';
import type { GuestOsNames } from './configuration/guest-os.ts';
import type { Datastores } from './datastore/datastores.ts';
import type { Inventory } from './inventory/inventory.ts';
import type { Networks } from './inventory/networks.ts';
import type { ChangeTracking } from './machine/changes/change-tracking.ts';
import type { DiskChildren } from './machine/files/disk-children.ts';
import type { Claims } from './machine/record/claims.ts';
import type { Machines } from './machine/record/machines.ts';
import type { MaintenanceMode } from './maintenance/maintenance-mode.ts';
import type { ManagingCenter } from './management/managing-center.ts';
import type { PoolUsage } from './pools/pool-usage.ts';
import type { Pools } from './pools/pools.ts';
import type { InventoryNames } from './projection/inventory-names.ts';
import type { ResourceControl } from './resources/resource-control.ts';

/** What the parts of a host share. Made once, by `Host.open`. */
export interface HostCore {
  readonly registry: Registry;
  readonly store: Store;
  readonly hypervisor: Hypervisor;
  readonly hypervisorInfo: HypervisorInfo;
  readonly tasks: TaskService;
  readonly events: EventPoster;
  readonly options: Pick<OptionService, 'value'>;
  readonly authorizer: Permissions;
  readonly maintenance: MaintenanceMode;
  readonly center: ManagingCenter;
  readonly pools: Pools;
  readonly poolUsage: PoolUsage;
  readonly resources: ResourceControl;
  readonly machines: Machines;
  readonly changes: ChangeTracking;
  readonly claims: Claims;
  readonly diskChildren: DiskChildren;
  readonly datastores: Datastores;
  readonly networks: Networks;
  readonly guestOs: GuestOsNames;
  readonly names: InventoryNames;
  readonly inventory: Inventory;
  /** Short folder of mode 0700 on a local file system, for engines' sockets. */
  readonly runDirectory: string;
  readonly vmFolder: ManagedObjectReference<'Folder'>;
  readonly rootPool: ManagedObjectReference<'ResourcePool'>;
  readonly limits: { readonly cpus: number; readonly memoryMiB: number };
  /** One processor's clock. */
  readonly hostMHz: number;
  /** Told of what failed in the background, with where. */
  readonly onDefect: (where: string, error: unknown) => void;
}
