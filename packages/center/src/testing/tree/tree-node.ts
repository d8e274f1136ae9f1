/** What a folder holds. */
export type Holding = 'Datacenter' | 'VirtualMachine' | 'ComputeResource' | 'Datastore' | 'Network';

export type NodeKind =
  | 'Folder'
  | 'Datacenter'
  | 'ClusterComputeResource'
  | 'ComputeResource'
  | 'ResourcePool'
  | 'VirtualApp'
  | 'HostSystem'
  | 'VirtualMachine';

/** An entity as the model has it: reference values. */
export interface TreeNode {
  readonly kind: NodeKind;
  readonly value: string;
  name: string;
  /** What its property `parent` says; a machine of a vApp has none. */
  parent?: string;
  /** Of a folder. */
  readonly holds?: Holding;
  /** One that is always there: a datacenter's folder, the root folder, the pool of a whole compute resource. */
  readonly fixed?: boolean;
  /** Of a vApp that is in no other. */
  folder?: string | undefined;
  /** Of a machine. */
  pool?: string;
  /** Of a pool: what it divides. */
  owner?: string;
  /** Of a compute resource. */
  readonly root?: string;
}
