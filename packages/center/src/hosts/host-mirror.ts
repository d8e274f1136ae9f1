import { isDeepStrictEqual } from 'node:util';
import type {
  Draft,
  HttpNfcLeaseInfo,
  ManagedObjectClass,
  ManagedObjectReference,
  Session,
  VirtualMachineConfigInfo,
} from '@hypostyle/vim';
import type { CenterBase } from '../center-base.ts';
import {
  type DatastoreDocument,
  type EntityDocument,
  type MachineDocument,
  type NetworkDocument,
  referenceOf,
} from '../inventory/entity-document.ts';
import type { InventoryEdit } from '../inventory/inventory.ts';
import { type ConnectionState, hostOverlay, machineOverlay } from './connection-overlay.ts';
import { followedParts, type HostLayout, mirrored } from './host-layout.ts';
import { deletePart, type PartDocument, partPrefix, putPart } from './host-parts.ts';
import { HostReferences } from './host-references.ts';
import { bindMachine } from './machine-binding.ts';
import type { ObjectChange } from './object-updates.ts';
import type { SharedViews } from './shared-views.ts';

type Properties = Record<string, unknown>;
type SharedDocument = DatastoreDocument | NetworkDocument;

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
  /** Told of machines whose instanceUuid another one has. */
  readonly onDuplicate: (machine: MachineDocument, of: MachineDocument) => void;
  /** Told of a datastore whose name another one has that is not the same. */
  readonly onSameName: (datastore: DatastoreDocument) => void;
}

/** Values of references. */
export interface NewMachinesPlace {
  readonly folder?: string | undefined;
  readonly pool?: string | undefined;
}

/** What is staged of one update: whose properties become what, and parts that were met for the first time. */
interface Stage {
  readonly properties: Map<string, { readonly document: EntityDocument; readonly values: Properties }>;
  readonly parts: { readonly ref: ManagedObjectReference; readonly values: Properties }[];
  readonly newParts: PartDocument[];
  /** Datastores and networks whose machines changed. */
  readonly touched: Set<string>;
}

/** One host's entities as the center shows them. */
export class HostMirror {
  references = new HostReferences();
  readonly #options: HostMirrorOptions;
  readonly #core: CenterBase;
  readonly #knownParts: Map<string, PartDocument>;
  readonly #transients = new Set<string>();
  /** Machines of the last connection by the host's references. */
  #byHostValue: Map<string | undefined, string> | undefined;
  #state: ConnectionState = 'notResponding';
  #shown: ConnectionState | undefined;
  /** Host references told since the connection was made; undefined once all were. */
  #told: Set<string> | undefined;

  constructor(options: HostMirrorOptions) {
    this.#options = options;
    this.#core = options.core;
    this.#shown = options.shown;
    this.#knownParts = new Map(options.parts.map((part) => [part.hostValue, part]));
  }

  /** The state that clients see; undefined before any was shown. */
  get shown(): ConnectionState | undefined {
    return this.#shown;
  }

  parts(): PartDocument[] {
    return [...this.#knownParts.values()];
  }

  /** A connection was made: what follows tells everything anew, until `complete`. */
  begin(layout: HostLayout, place: Parameters<HostReferences['bindLayout']>[1]): void {
    this.#endTransients();
    this.references = new HostReferences();
    this.references.bindLayout(layout, place);
    this.#told = new Set();
    this.#byHostValue = undefined;
    // What comes now is told by a host that is connected; `setState` says so once all is here.
    this.#state = 'connected';
    for (const part of this.#knownParts.values()) this.references.addPart(part);
  }

  /** Takes changes over. Those that add, remove or rename are made durable first. */
  async enter(changes: readonly ObjectChange[]): Promise<void> {
    const structural = changes.some((change) => this.#isStructural(change));
    if (structural) await this.#core.inventory.edit((edit) => this.#edit(changes, edit));
    else {
      const stage = this.#stage(changes, undefined);
      if (stage.newParts.length === 0) this.#core.registry.commit((draft) => this.#show(stage, draft));
      else await this.#core.inventory.edit((edit) => this.#finish(stage, edit));
    }
  }

  /** Shows an object of the connection's own, such as a lease, to whom it belongs, for as long as the host has it. */
  showTransient(ref: ManagedObjectReference, values: Properties, owner: Session | undefined): ManagedObjectReference {
    const known = this.references.toCenter(ref);
    if (known !== undefined) return known;
    const center = { ...ref, value: this.#core.numbers.mint(`${partPrefix(ref.type)}-`) };
    this.references.bind(ref, center);
    this.#transients.add(center.value);
    this.#core.registry.commit((draft) => {
      const map = (other: ManagedObjectReference) => this.references.toCenter(other);
      const shown = this.#rewritten(ref.type, values, map) as never;
      draft.add(this.#options.partClass(ref.type), center.value, shown, owner === undefined ? {} : { owner });
    });
    return center;
  }

  /** Takes over what is gone; after the events that tell of it. */
  async leave(changes: readonly ObjectChange[]): Promise<void> {
    const gone = changes.filter(({ kind, ref }) => kind === 'leave' && this.references.isBound(ref.value));
    if (gone.length === 0) return;
    await this.#core.inventory.edit((edit) => {
      for (const { ref } of gone) this.#remove(ref.value, edit);
    });
  }

  /** Everything was told: what was not is gone. */
  async complete(): Promise<void> {
    const told = this.#told;
    this.#told = undefined;
    if (told === undefined) return;
    const { inventory } = this.#core;
    const { host, shared } = this.#options;
    await inventory.edit((edit) => {
      for (const machine of inventory.machinesOnHost(host)) {
        if (machine.hostValue === undefined || told.has(machine.hostValue)) continue;
        edit.remove(machine.value);
        this.#core.lastKnown.forget(machine.value);
      }
      for (const value of shared.ofHost(host)) {
        const ref = this.references.toHost({ type: '', value });
        if (ref === undefined || !told.has(ref.value)) this.#unshare(value, edit);
      }
      for (const part of this.#knownParts.values()) if (!told.has(part.hostValue)) this.#removePart(part, edit);
    });
  }

  /** Shows the state of the connection on the host and its machines; `alongside` runs in the same commit. */
  setState(state: ConnectionState, alongside: (draft: Draft) => void = () => {}): void {
    this.#state = state;
    this.#shown = state;
    const { inventory, registry } = this.#core;
    const { host, shared } = this.#options;
    registry.commit((draft) => {
      const document = inventory.find(host);
      if (document?.type !== 'HostSystem') return;
      const ref = referenceOf(document);
      draft.set(
        ref,
        hostOverlay({ runtime: draft.get(ref, 'runtime'), summary: draft.get(ref, 'summary') }, document, state),
      );
      if (document.parent !== undefined) inventory.touchLists(draft, document.parent);
      for (const machine of inventory.machinesOnHost(host)) {
        const at = referenceOf(machine);
        if (!draft.has(at)) continue;
        draft.set(at, machineOverlay({ runtime: draft.get(at, 'runtime'), summary: draft.get(at, 'summary') }, state));
      }
      for (const value of shared.ofHost(host)) {
        const entity = inventory.find(value);
        if (entity !== undefined) draft.set(referenceOf(entity) as never, shared.merged(value) as never);
      }
      this.#keep(ref);
      alongside(draft);
    });
  }

  #endTransients(): void {
    this.#core.registry.commit((draft) => {
      for (const value of this.#transients) {
        const object = this.#core.registry.byValue(value);
        if (object !== undefined) draft.remove(object.ref);
      }
    });
    this.#transients.clear();
  }

  #isStructural({ kind, ref, values }: ObjectChange): boolean {
    if (!(ref.type in mirrored)) return false;
    if (kind === 'enter' || 'name' in values) return true;
    if (ref.type !== 'VirtualMachine' || !('config' in values)) return false;
    const center = this.references.toCenter(ref);
    const document = center && this.#core.inventory.find(center.value);
    const instanceUuid = (values.config as VirtualMachineConfigInfo | undefined)?.instanceUuid;
    return document?.type === 'VirtualMachine' && instanceUuid !== undefined && document.instanceUuid !== instanceUuid;
  }

  #edit(changes: readonly ObjectChange[], edit: InventoryEdit): void {
    const staged = new StagedMachines(this.#core.inventory.machinesOnHost(this.#options.host));
    // All are bound before the first is rewritten: they name one another.
    for (const change of changes) {
      if (change.ref.type === 'VirtualMachine') this.#bindMachine(change, staged, edit);
      else if (change.ref.type === 'Datastore' || change.ref.type === 'Network') this.#bindShared(change, edit);
    }
    const stage = this.#stage(changes, edit);
    for (const { document, values } of stage.properties.values()) edit.put(document, values);
    stage.properties.clear();
    this.#finish(stage, edit);
  }

  #finish(stage: Stage, edit: InventoryEdit): void {
    for (const part of stage.newParts) edit.write(putPart(part));
    edit.show((draft) => this.#show(stage, draft));
  }

  #show(stage: Stage, draft: Draft): void {
    for (const { document, values } of stage.properties.values()) {
      if (draft.has(referenceOf(document))) draft.set(referenceOf(document) as never, values as never);
    }
    for (const value of stage.touched) this.#core.inventory.touchLists(draft, value);
    for (const { ref, values } of stage.parts) {
      if (draft.has(ref)) draft.set(ref as never, values as never);
      else draft.add(this.#options.partClass(ref.type), ref.value, values as never);
    }
  }

  #bindMachine({ kind, ref, values }: ObjectChange, staged: StagedMachines, edit: InventoryEdit): void {
    const { inventory } = this.#core;
    const { host, isElsewhere, onDuplicate } = this.#options;
    this.#told?.add(ref.value);
    const config = values.config as VirtualMachineConfigInfo | undefined;
    const name = values.name as string | undefined;
    const bound = this.references.toCenter(ref);
    if (kind === 'modify' && bound !== undefined) {
      const document = edit.find(bound.value);
      if (document?.type !== 'VirtualMachine') return;
      const instanceUuid = config?.instanceUuid ?? document.instanceUuid;
      const changed = { ...document, name: name ?? document.name, instanceUuid };
      edit.put(changed);
      const [other] = inventory.machinesOfInstance(instanceUuid).filter(({ value }) => value !== document.value);
      if (instanceUuid !== document.instanceUuid && other !== undefined) onDuplicate(changed, other);
      return;
    }
    const instanceUuid = config?.instanceUuid;
    const ofInstance = instanceUuid === undefined ? [] : inventory.machinesOfInstance(instanceUuid);
    const sibling = instanceUuid === undefined ? undefined : staged.byInstance.get(instanceUuid);
    const binding = bindMachine(
      { host, instanceUuid },
      {
        ofValue: this.#machineOfValue(ref.value),
        ofInstance: sibling === undefined ? ofInstance : [...ofInstance, sibling],
        isHeld: (document) => {
          const holder = this.references.toHost(referenceOf(document));
          return holder !== undefined && holder.value !== ref.value;
        },
        isElsewhere,
      },
    );
    const expected = staged.expectedAt(config?.files?.vmPathName);
    if (expected !== undefined && binding.kind === 'known') edit.remove(expected.value);
    const before = binding.kind === 'known' ? binding.document : expected;
    const { parent, pool } = expected ?? before ?? firstPlace(this.#options.newMachines);
    const document = this.#placed({
      type: 'VirtualMachine',
      value: before?.value ?? edit.mint('vm-'),
      name: name ?? before?.name ?? ref.value,
      instanceUuid: instanceUuid ?? before?.instanceUuid ?? '',
      host,
      hostValue: ref.value,
      ...(parent === undefined ? {} : { parent }),
      ...(pool === undefined ? {} : { pool }),
    });
    if (instanceUuid !== undefined) staged.byInstance.set(instanceUuid, document);
    edit.put(document);
    this.references.bind(ref, referenceOf(document));
    if (binding.kind === 'duplicate') onDuplicate(document, binding.of);
  }

  #machineOfValue(hostValue: string): MachineDocument | undefined {
    this.#byHostValue ??= new Map(
      this.#core.inventory.machinesOnHost(this.#options.host).map((machine) => [machine.hostValue, machine.value]),
    );
    const value = this.#byHostValue.get(hostValue);
    const document = value === undefined ? undefined : this.#core.inventory.find(value);
    return document?.type === 'VirtualMachine' && document.hostValue === hostValue ? document : undefined;
  }
  /** The machine in a folder of its datacenter and in a pool of its compute resource. */
  #placed(document: MachineDocument): MachineDocument {
    const { inventory } = this.#core;
    const compute = inventory.above(this.#options.host, ['ComputeResource', 'ClusterComputeResource']);
    const datacenter = inventory.above(this.#options.host, ['Datacenter']);
    if (compute === undefined || datacenter === undefined) return document;
    const pool = document.pool === undefined ? undefined : inventory.find(document.pool);
    const inPlace = (pool?.type === 'ResourcePool' || pool?.type === 'VirtualApp') && pool.owner === compute.value;
    if (inPlace && pool.type === 'VirtualApp') return document;
    const at = document.parent === undefined ? undefined : inventory.above(document.parent, ['Datacenter']);
    return {
      ...document,
      pool: inPlace ? pool.value : compute.pool,
      parent: at?.value === datacenter.value && document.parent !== undefined ? document.parent : datacenter.vmFolder,
    };
  }

  #bindShared({ ref, values }: ObjectChange, edit: InventoryEdit): void {
    const { inventory } = this.#core;
    this.#told?.add(ref.value);
    const datacenter = inventory.above(this.#options.host, ['Datacenter']);
    if (datacenter === undefined) return;
    const name = values.name as string | undefined;
    const bound = this.references.toCenter(ref);
    if (bound !== undefined) {
      const document = edit.find(bound.value);
      if (name === undefined || (document?.type !== 'Datastore' && document?.type !== 'Network')) return;
      edit.put({ ...document, name });
      this.#checkName({ ...document, name }, datacenter.datastoreFolder, edit);
      return;
    }
    const document = this.#sharedDocument(ref, values, name ?? ref.value, datacenter, edit);
    edit.put(document);
    this.references.bind(ref, referenceOf(document));
    this.#checkName(document, datacenter.datastoreFolder, edit);
  }

  #sharedDocument(
    ref: ManagedObjectReference,
    values: Properties,
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
    if (known?.type === 'Datastore') return { ...known, name };
    return { type: 'Datastore', value: edit.mint('datastore-'), name, identity, parent: datastoreFolder };
  }

  #checkName(document: SharedDocument, folder: string, edit: InventoryEdit): void {
    if (document.type !== 'Datastore') return;
    const other = this.#below(folder, edit).find(
      (one) => one.type === 'Datastore' && one.name === document.name && one.value !== document.value,
    );
    if (other !== undefined) this.#options.onSameName(document);
  }

  /** Everything below a folder, at any depth. */
  #below(folder: string, edit: InventoryEdit): EntityDocument[] {
    return edit
      .children(folder)
      .flatMap((child) => (child.type === 'Folder' ? this.#below(child.value, edit) : [child]));
  }

  #stage(changes: readonly ObjectChange[], edit: InventoryEdit | undefined): Stage {
    const stage: Stage = { properties: new Map(), parts: [], newParts: [], touched: new Set() };
    const map = (ref: ManagedObjectReference) => this.references.toCenter(ref) ?? this.#newPart(ref, stage);
    for (const { kind, ref, values } of changes) {
      if (kind === 'leave') continue;
      if (ref.type in mirrored) this.#stageEntity(ref, values, stage, map, edit);
      else if (ref.type === 'ResourcePool') this.#stagePool(ref, values, stage, map);
      else if (this.#transients.has(this.references.toCenter(ref)?.value ?? '')) {
        const center = this.references.toCenter(ref) as ManagedObjectReference;
        stage.parts.push({ ref: center, values: this.#rewritten(ref.type, values, map) });
      } else if ((followedParts as readonly string[]).includes(ref.type)) {
        const center = map(ref);
        if (center === undefined) continue;
        this.#told?.add(ref.value);
        const rewritten = this.#rewritten(ref.type, values, map);
        if (this.references.part(ref.value) !== undefined) stage.parts.push({ ref: center, values: rewritten });
        else this.#stageBrowser(center, rewritten, stage);
      }
    }
    return stage;
  }

  /** The EnvironmentBrowser of a compute resource is the center's own object. */
  #stageBrowser(ref: ManagedObjectReference, values: Properties, stage: Stage): void {
    if (this.#core.registry.get(ref) !== undefined) stage.parts.push({ ref, values });
  }

  #stageEntity(
    ref: ManagedObjectReference,
    values: Properties,
    stage: Stage,
    map: (ref: ManagedObjectReference) => ManagedObjectReference | undefined,
    edit: InventoryEdit | undefined,
  ): void {
    const center = this.references.toCenter(ref);
    const document = center && (edit?.find(center.value) ?? this.#core.inventory.find(center.value));
    if (center === undefined || document === undefined) return;
    const { name: _, ...said } = values;
    const rewritten = this.#rewritten(ref.type, said, map);
    const { shared, host } = this.#options;
    let properties = rewritten;
    if (document.type === 'Datastore' || document.type === 'Network') {
      const mount = document.type === 'Network' ? { host: [hostReference(host)] } : {};
      shared.set(center.value, host, { ...shared.view(center.value, host), ...rewritten, ...mount });
      properties = shared.merged(center.value);
    } else if (document.type === 'HostSystem') {
      this.#told?.add(ref.value);
      properties = { ...rewritten, ...hostOverlay(rewritten, document, this.#state) };
    } else if (document.type === 'VirtualMachine') {
      properties = { ...rewritten, ...machineOverlay(rewritten, this.#state) };
      if ('datastore' in rewritten || 'network' in rewritten) this.#uses(center, rewritten, stage);
    }
    const unchanged = this.#told === undefined ? properties : this.#withoutEqual(center, properties);
    const before = stage.properties.get(center.value)?.values;
    stage.properties.set(center.value, { document, values: { ...before, ...unchanged } });
    if ('name' in values || 'config' in values || 'summary' in values) this.#keep(center);
  }

  /** The host's own root pool says what its compute resource's says, where the host is alone in it. */
  #stagePool(
    ref: ManagedObjectReference,
    values: Properties,
    stage: Stage,
    map: (ref: ManagedObjectReference) => ManagedObjectReference | undefined,
  ): void {
    const center = this.references.toCenter(ref);
    const document = center && this.#core.inventory.find(center.value);
    if (document?.type !== 'ResourcePool') return;
    const owner = this.#core.inventory.find(document.owner);
    if (owner?.type !== 'ComputeResource') return;
    const { runtime, summary } = this.#rewritten('ResourcePool', values, map) as {
      runtime?: unknown;
      summary?: object;
    };
    stage.properties.set(center?.value ?? '', {
      document,
      values: {
        ...(runtime === undefined ? {} : { runtime }),
        ...(summary === undefined ? {} : { summary: { ...summary, name: document.name } }),
      },
    });
  }

  #uses(center: ManagedObjectReference, values: Properties, stage: Stage): void {
    const { inventory, registry } = this.#core;
    const now = (property: 'datastore' | 'network') =>
      ((property in values ? values[property] : registry.get(center)?.value(property)) ??
        []) as ManagedObjectReference[];
    const changed = inventory.uses.set(
      center.value,
      [...now('datastore'), ...now('network')].map((ref) => ref.value),
    );
    for (const value of changed) stage.touched.add(value);
  }

  #rewritten(
    type: string,
    values: Properties,
    map: (ref: ManagedObjectReference) => ManagedObjectReference | undefined,
  ): Properties {
    const managed = this.#core.schema.managed(type);
    const rewritten: Properties = {};
    for (const name in values) {
      const property = managed?.property(name);
      if (property !== undefined) rewritten[name] = this.#core.rewriter.rewrite(property.type, values[name], map);
    }
    const info = type === 'HttpNfcLease' ? (rewritten.info as HttpNfcLeaseInfo | undefined) : undefined;
    if (info !== undefined) rewritten.info = this.#options.leaseInfo(info);
    return rewritten;
  }

  /** After a new connection all is told anew: what is equal is no change. */
  #withoutEqual(center: ManagedObjectReference, properties: Properties): Properties {
    const object = this.#core.registry.get(center);
    if (object === undefined) return properties;
    const changed: Properties = {};
    for (const name in properties) {
      if (!isDeepStrictEqual(object.value(name), properties[name])) changed[name] = properties[name];
    }
    return changed;
  }

  #newPart(ref: ManagedObjectReference, stage: Stage): ManagedObjectReference | undefined {
    if (!(followedParts as readonly string[]).includes(ref.type)) return undefined;
    const value = this.#core.numbers.mint(`${partPrefix(ref.type)}-`);
    const part = { host: this.#options.host, type: ref.type, value, hostValue: ref.value };
    this.#knownParts.set(ref.value, part);
    this.references.addPart(part);
    stage.newParts.push(part);
    return this.references.toCenter(ref);
  }

  #remove(hostValue: string, edit: InventoryEdit): void {
    const part = this.references.part(hostValue);
    const known = part && this.#knownParts.get(hostValue);
    if (known !== undefined) {
      this.#removePart(known, edit);
      return;
    }
    const center = this.references.unbind(hostValue);
    if (center !== undefined && this.#transients.delete(center.value)) {
      edit.show((draft) => draft.remove(center));
      return;
    }
    const document = center && edit.find(center.value);
    if (document?.type === 'VirtualMachine' && document.host === this.#options.host) {
      edit.remove(document.value);
      this.#core.lastKnown.forget(document.value);
    } else if (document?.type === 'Datastore' || document?.type === 'Network') this.#unshare(document.value, edit);
  }

  #unshare(value: string, edit: InventoryEdit): void {
    const { shared, host } = this.#options;
    const document = edit.find(value);
    if (document === undefined) return;
    if (shared.remove(value, host)) {
      edit.put(document, shared.merged(value));
      return;
    }
    edit.remove(value);
    this.#core.lastKnown.forget(value);
  }

  #removePart(part: PartDocument, edit: InventoryEdit): void {
    this.#knownParts.delete(part.hostValue);
    this.references.unbind(part.hostValue);
    edit.write(deletePart(part.host, part.hostValue));
    edit.show((draft) => {
      const ref = { type: part.type, value: part.value };
      if (draft.has(ref)) draft.remove(ref);
    });
  }

  #keep(center: ManagedObjectReference): void {
    const { registry, lastKnown } = this.#core;
    lastKnown.keep(center.value, () => {
      const object = registry.get(center);
      const known: Properties = {};
      for (const name of keptProperties) {
        const value = object?.value(name);
        if (value !== undefined) known[name] = value;
      }
      return known;
    });
  }
}

/** Machines met in one update, and those of the host that are expected at a path. */
class StagedMachines {
  readonly byInstance = new Map<string, MachineDocument>();
  readonly #expected: readonly MachineDocument[];

  constructor(machines: readonly MachineDocument[]) {
    this.#expected = machines.filter((machine) => machine.expectedPath !== undefined);
  }

  expectedAt(path: string | undefined): MachineDocument | undefined {
    return path === undefined ? undefined : this.#expected.find(({ expectedPath }) => expectedPath === path);
  }
}

function firstPlace({ folder, pool }: NewMachinesPlace = {}): { readonly parent?: string; readonly pool?: string } {
  return { ...(folder === undefined ? {} : { parent: folder }), ...(pool === undefined ? {} : { pool }) };
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

function hostReference(value: string): ManagedObjectReference {
  return { _typeName: 'ManagedObjectReference', type: 'HostSystem', value };
}
