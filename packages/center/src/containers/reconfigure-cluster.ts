import type { ClusterConfigInfoEx, ClusterConfigSpec, ComputeResourceConfigSpec } from '@hypostyle/vim';
import { type ComputeDocument, referenceOf } from '../inventory/entity-document.ts';
import type { InventoryEdit } from '../inventory/inventory.ts';
import type { PostEvent } from './acting.ts';
import { clusterConfiguration } from './cluster-configuration.ts';
import { clusterChanges } from './cluster-events.ts';

export interface ClusterChange {
  readonly spec: ClusterConfigSpec | ComputeResourceConfigSpec;
  /** False: what the spec does not say is as in a new cluster. */
  readonly modify: boolean;
  readonly post: PostEvent;
}

/** Changes a cluster's configuration, and says so. Throws as {@link clusterConfiguration}. */
export function reconfigureCluster(
  edit: InventoryEdit,
  cluster: ComputeDocument,
  { spec, modify, post }: ClusterChange,
): void {
  const old = cluster.configuration as ClusterConfigInfoEx;
  const configuration = clusterConfiguration(edit, modify ? old : undefined, spec);
  edit.put({ ...cluster, configuration });
  edit.show((draft) => {
    for (const event of clusterChanges(referenceOf(cluster), old, configuration)) post(draft, event);
  });
}
