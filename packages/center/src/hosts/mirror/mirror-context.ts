import type { HttpNfcLeaseInfo, ManagedObjectClass, ManagedObjectReference } from '@hypostyle/vim';
import type { CenterBase } from '../../center-base.ts';
import type { DatastoreDocument, MachineDocument } from '../../inventory/entity-document.ts';
import type { ConnectionState } from '../connection/connection-overlay.ts';
import { mirrored } from './host-layout.ts';
import type { PartDocument } from './host-parts.ts';
import { HostReferences } from './host-references.ts';
import type { SharedViews } from './shared-views.ts';

export interface HostMirrorOptions {
  readonly core: CenterBase;
  /** The host's reference value at the center. */
  readonly host: string;
  readonly shared: SharedViews;
  /** Parts of the host that have a reference already. */
  readonly parts: readonly PartDocument[];
  /** The state that clients see already; undefined for a host that is new. */
  readonly shown: ConnectionState | undefined;
  /** Where machines go that are met for the first time, unless that is the datacenter's folder or the root pool. */
  readonly newMachines?: NewMachinesPlace;
  /** What answers for a part of the host. */
  readonly partClass: (type: string) => ManagedObjectClass;
  /** A lease's addresses as clients of the center reach them. */
  readonly leaseInfo: (info: HttpNfcLeaseInfo) => HttpNfcLeaseInfo;
  /** True when the machine's own host still has it, as far as anybody knows. */
  readonly isElsewhere: (document: MachineDocument) => boolean;
  /** Another host that has the machine registered too. */
  readonly heirOf: (document: MachineDocument) => MachineHeir | undefined;
  /** Told of a machine of this host, by its own reference, that runs here and is shown on another. */
  readonly onRunsHere: (machine: ManagedObjectReference) => void;
  /** Told of machines whose instanceUuid another one has. */
  readonly onDuplicate: (machine: MachineDocument, of: MachineDocument) => void;
  /** Told of a datastore that may not have its name alone, or not on all its hosts. */
  readonly onSameName: (datastore: DatastoreDocument) => void;
  /** Whether the host calls the datastore so because the center has just told it to. */
  readonly isAskedName: (datastore: DatastoreDocument, name: string) => boolean;
}

/** A host that shows a machine once the one that showed it has it no more. */
export interface MachineHeir {
  readonly host: string;
  readonly hostValue: string;
  /** Has its host tell all of it. */
  readonly tellAgain: () => void;
}

/** Values of references. */
export interface NewMachinesPlace {
  readonly folder?: string | undefined;
  readonly pool?: string | undefined;
}

/** What the parts of one host's mirror share. */
export class MirrorContext {
  readonly options: HostMirrorOptions;
  readonly core: CenterBase;
  readonly host: string;
  readonly shared: SharedViews;
  references = new HostReferences();
  /** Parts that have a reference, by the host's. */
  readonly parts: Map<string, PartDocument>;
  /** Objects of the connection's own: reference values at the center. */
  readonly transients = new Set<string>();
  /** Host references told since the connection was made; undefined once all were. */
  told: Set<string> | undefined;
  state: ConnectionState = 'notResponding';
  /** The state that clients see; undefined before any was shown. */
  shown: ConnectionState | undefined;

  constructor(options: HostMirrorOptions) {
    this.options = options;
    this.core = options.core;
    this.host = options.host;
    this.shared = options.shared;
    this.shown = options.shown;
    this.parts = new Map(options.parts.map((part) => [part.hostValue, part]));
  }

  /** Has what it shows remembered for a start at which its host is away. */
  keep(center: ManagedObjectReference): void {
    const { registry, lastKnown } = this.core;
    lastKnown.keep(center.value, () => {
      const object = registry.get(center);
      const known: Record<string, unknown> = {};
      // Parts are small, and kept whole.
      const names =
        center.type in mirrored ? keptProperties : (object?.managedType.properties.map(({ name }) => name) ?? []);
      for (const name of names) {
        const value = object?.value(name);
        if (value !== undefined) known[name] = value;
      }
      return known;
    });
  }
}

/** What is kept of an entity for a start at which its host is away. */
const keptProperties = [
  'capability',
  'config',
  'runtime',
  'summary',
  'datastore',
  'network',
  'info',
  'host',
  'hardware',
  'guestHeartbeatStatus',
  'browser',
  'datastoreBrowser',
  'configManager',
  'licensableResource',
];
