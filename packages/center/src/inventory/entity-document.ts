import type {
  ClusterConfigInfoEx,
  ComputeResourceConfigInfo,
  DatacenterConfigInfo,
  ManagedObjectReference,
  ResourceConfigSpec,
  VAppConfigInfo,
} from '@hypostyle/vim';

/** What the center remembers of an entity for good: its reference, its name, its place, and what it is bound to. */
interface Entity {
  /** Value of the reference, never given twice. */
  readonly value: string;
  readonly name: string;
  /** Reference value of the entity above; the root folder has none. */
  readonly parent?: string;
}

export interface FolderDocument extends Entity {
  readonly type: 'Folder';
  readonly childType: readonly string[];
  /** One of a datacenter's four folders, or the root: neither renamed nor moved nor destroyed. */
  readonly fixed?: true;
}

export interface DatacenterDocument extends Entity {
  readonly type: 'Datacenter';
  readonly vmFolder: string;
  readonly hostFolder: string;
  readonly datastoreFolder: string;
  readonly networkFolder: string;
  readonly configuration: DatacenterConfigInfo;
}

/** A host alone, or a cluster. */
export interface ComputeDocument extends Entity {
  readonly type: 'ComputeResource' | 'ClusterComputeResource';
  readonly pool: string;
  readonly environmentBrowser: string;
  readonly configuration: ComputeResourceConfigInfo | ClusterConfigInfoEx;
}

export interface PoolDocument extends Entity {
  readonly type: 'ResourcePool' | 'VirtualApp';
  /** Compute resource that it divides. */
  readonly owner: string;
  readonly resources: ResourceConfigSpec;
  /** Of a vApp. One within another is in no folder. */
  readonly vApp?: { readonly folder?: string; readonly config: VAppConfigInfo; readonly suspended?: boolean };
}

export interface HostDocument extends Entity {
  readonly type: 'HostSystem';
  /** Identity of the host, whatever its address: `about.instanceUuid`. */
  readonly identity: string;
  readonly address: HostAddress;
  /** True when somebody disconnected it: it is left alone until reconnected. */
  readonly disconnected: boolean;
}

/** Where a host answers. */
export type HostAddress =
  | { readonly local: true }
  | { readonly local: false; readonly host: string; readonly port: number; readonly thumbprint: string };

export interface MachineDocument extends Entity {
  readonly type: 'VirtualMachine';
  readonly instanceUuid: string;
  readonly host: string;
  /** Its reference's value on the host; undefined while it is only expected there. */
  readonly hostValue?: string;
  readonly pool?: string;
  /** Another host that has it too, while it goes from one to the other: the one to come, then the one that was. */
  readonly alsoOn?: string;
  /** While it is only expected: the `.vmx` that it is met by, where its instanceUuid is not known. */
  readonly expectedPath?: string;
}

export interface DatastoreDocument extends Entity {
  readonly type: 'Datastore';
  /** The same from every host that mounts it: its URL. */
  readonly identity: string;
  /** Hosts that have it. */
  readonly hosts?: readonly string[];
}

export interface NetworkDocument extends Entity {
  readonly type: 'Network';
  /** Hosts that have it. */
  readonly hosts?: readonly string[];
}

export type EntityDocument =
  | FolderDocument
  | DatacenterDocument
  | ComputeDocument
  | PoolDocument
  | HostDocument
  | MachineDocument
  | DatastoreDocument
  | NetworkDocument;

export type EntityType = EntityDocument['type'];
export type DocumentOf<T extends EntityType> = Extract<EntityDocument, { type: T }>;

export function referenceOf<T extends EntityType>(document: {
  readonly type: T;
  readonly value: string;
}): ManagedObjectReference<T> {
  return { _typeName: 'ManagedObjectReference', type: document.type, value: document.value };
}

/** The document of a datastore or network that a host has from now on. */
export function sharedBy<T extends DatastoreDocument | NetworkDocument>(document: T, host: string): T {
  const { hosts = [] } = document;
  return hosts.includes(host) ? document : { ...document, hosts: [...hosts, host] };
}

/** The same that the host has no more. Others are as they are. */
export function notSharedBy<T extends EntityDocument>(document: T, host: string): T {
  if (document.type !== 'Datastore' && document.type !== 'Network') return document;
  return { ...document, hosts: (document.hosts ?? []).filter((other) => other !== host) };
}

/** False for a machine that its host has not made yet: it holds its name and its place, and nobody sees it. */
export function isShown(document: EntityDocument): boolean {
  return document.type !== 'VirtualMachine' || document.hostValue !== undefined;
}

export function isPool(document: EntityDocument | undefined): document is PoolDocument {
  return document?.type === 'ResourcePool' || document?.type === 'VirtualApp';
}

export function isCompute(document: EntityDocument | undefined): document is ComputeDocument {
  return document?.type === 'ComputeResource' || document?.type === 'ClusterComputeResource';
}
