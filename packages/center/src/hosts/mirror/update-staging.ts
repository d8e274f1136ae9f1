import { isDeepStrictEqual } from 'node:util';
import type {
  HostListSummary,
  HttpNfcLeaseInfo,
  ManagedObjectReference,
  VirtualMachineRuntimeInfo,
} from '@hypostyle/vim';
import { type EntityDocument, referenceOf } from '../../inventory/entity-document.ts';
import type { InventoryEdit } from '../../inventory/inventory.ts';
import { hostOverlay, machineOverlay } from '../connection/connection-overlay.ts';
import type { ObjectChange } from '../following/object-updates.ts';
import { AlikeValues } from './alike-values.ts';
import { followedParts, mirrored } from './host-layout.ts';
import { type PartDocument, partPrefix } from './host-parts.ts';
import type { MirrorContext } from './mirror-context.ts';

export type Properties = Record<string, unknown>;

/** What is staged of one update: whose properties become what, and parts that were met for the first time. */
export interface Stage {
  readonly properties: Map<string, { readonly document: EntityDocument; readonly values: Properties }>;
  readonly parts: { readonly ref: ManagedObjectReference; readonly values: Properties }[];
  readonly newParts: PartDocument[];
  /** Datastores and networks whose machines changed. */
  readonly touched: Set<string>;
}

/** What a host says in an update, as the center is to show it. */
export class UpdateStaging {
  readonly #context: MirrorContext;
  readonly #alike = new AlikeValues();

  constructor(context: MirrorContext) {
    this.#context = context;
  }

  /** What an update makes of the host's entities and parts; within an edit of the inventory, or without. */
  stage(changes: readonly ObjectChange[], edit: InventoryEdit | undefined): Stage {
    const stage: Stage = { properties: new Map(), parts: [], newParts: [], touched: new Set() };
    const { references } = this.#context;
    // What is gone is named by events, and by nothing that is there.
    const map = (ref: ManagedObjectReference) =>
      references.isBound(ref.value) ? references.toCenter(ref) : this.#newPart(ref, stage);
    for (const { kind, ref, values } of changes) {
      if (kind === 'leave') continue;
      if (ref.type in mirrored) this.#stageEntity(ref, values, stage, map, edit);
      else if (this.#context.transients.has(this.#context.references.toCenter(ref)?.value ?? '')) {
        const center = this.#context.references.toCenter(ref) as ManagedObjectReference;
        stage.parts.push({ ref: center, values: this.rewritten(ref.type, values, map) });
      } else if ((followedParts as readonly string[]).includes(ref.type)) {
        const center = map(ref);
        if (center === undefined) continue;
        this.#context.told?.add(ref.value);
        const rewritten = this.rewritten(ref.type, values, map);
        if (this.#context.references.part(ref.value) !== undefined)
          stage.parts.push({ ref: center, values: rewritten });
        else this.#stageBrowser(center, rewritten, stage);
      }
    }
    return stage;
  }

  /** The EnvironmentBrowser of a compute resource is the center's own object. */
  #stageBrowser(ref: ManagedObjectReference, values: Properties, stage: Stage): void {
    if (this.#context.core.registry.get(ref) !== undefined) stage.parts.push({ ref, values });
  }

  #stageEntity(
    ref: ManagedObjectReference,
    values: Properties,
    stage: Stage,
    map: (ref: ManagedObjectReference) => ManagedObjectReference | undefined,
    edit: InventoryEdit | undefined,
  ): void {
    const center = this.#context.references.toCenter(ref);
    const document = center && (edit?.find(center.value) ?? this.#context.core.inventory.find(center.value));
    if (center === undefined || document === undefined) return;
    const { host, shared } = this.#context;
    if (document.type === 'VirtualMachine' && document.host !== host) {
      // Another host shows it, unless it is this one that runs it.
      if (isRunning(values)) this.#context.options.onRunsHere(ref);
      return;
    }
    const { name: _, ...said } = values;
    const own = this.rewritten(ref.type, said, map);
    const rewritten = document.type === 'VirtualMachine' ? this.#alike.share(ref.type, own) : own;
    let properties = rewritten;
    if (document.type === 'Datastore' || document.type === 'Network') {
      const mount = document.type === 'Network' ? { host: [hostReference(host)] } : {};
      shared.set(center.value, host, { ...shared.view(center.value, host), ...rewritten, ...mount });
      properties = shared.merged(center.value);
    } else if (document.type === 'HostSystem') {
      this.#context.told?.add(ref.value);
      // It counts as connected only once all of it was taken over.
      const { told, shown, state } = this.#context;
      properties = { ...rewritten, ...hostOverlay(rewritten, document, told === undefined ? state : (shown ?? state)) };
      // What is above is made of its hosts.
      if (document.parent !== undefined && this.#changesCompute(center, rewritten)) stage.touched.add(document.parent);
    } else if (document.type === 'VirtualMachine') {
      properties = { ...rewritten, ...machineOverlay(rewritten, this.#context.state) };
      if ('datastore' in rewritten || 'network' in rewritten) this.#uses(center, rewritten, stage);
    }
    properties = this.#withCustomValues(center, properties);
    const unchanged = this.#context.told === undefined ? properties : this.#withoutEqual(center, properties);
    const before = stage.properties.get(center.value)?.values;
    stage.properties.set(center.value, { document, values: { ...before, ...unchanged } });
    const known = 'name' in values || 'config' in values || 'summary' in values;
    if (known && !this.#isRemembered(document, unchanged)) this.#context.keep(center);
  }

  /** Whether a machine that is told of anew is as it was before its host was away: thousands need not be written again. */
  #isRemembered(document: EntityDocument, changed: Properties): boolean {
    const object = this.#context.core.registry.get(referenceOf(document));
    if (this.#context.told === undefined || document.type !== 'VirtualMachine' || object === undefined) return false;
    const away: Properties = { ...changed, ...machineOverlay(changed, 'notResponding') };
    for (const name in away) if (!isDeepStrictEqual(away[name], object.value(name))) return false;
    return true;
  }

  /** Hosts know nothing of custom fields, and the summaries that they tell have none. */
  #withCustomValues(center: ManagedObjectReference, properties: Properties): Properties {
    const { type } = center;
    if (properties.summary === undefined || (type !== 'VirtualMachine' && type !== 'HostSystem')) return properties;
    const customValue = (this.#context.core.registry.get(center)?.value('customValue') ?? []) as readonly object[];
    return customValue.length === 0 ? properties : { ...properties, summary: { ...properties.summary, customValue } };
  }

  #uses(center: ManagedObjectReference, values: Properties, stage: Stage): void {
    const { inventory, registry } = this.#context.core;
    const now = (property: 'datastore' | 'network') =>
      ((property in values ? values[property] : registry.get(center)?.value(property)) ??
        []) as ManagedObjectReference[];
    const changed = inventory.uses.set(
      center.value,
      [...now('datastore'), ...now('network')].map((ref) => ref.value),
    );
    for (const value of changed) stage.touched.add(value);
  }

  #changesCompute(center: ManagedObjectReference, values: Properties): boolean {
    if ('runtime' in values || 'datastore' in values || 'network' in values) return true;
    const before = this.#context.core.registry.get(center)?.value('summary') as HostListSummary | undefined;
    const { hardware } = (values.summary ?? {}) as Partial<HostListSummary>;
    return 'summary' in values && !isDeepStrictEqual(hardware, before?.hardware);
  }

  /** Properties of a type in the center's references. */
  rewritten(
    type: string,
    values: Properties,
    map: (ref: ManagedObjectReference) => ManagedObjectReference | undefined,
  ): Properties {
    const managed = this.#context.core.schema.managed(type);
    const rewritten: Properties = {};
    for (const name in values) {
      const property = managed?.property(name);
      if (property !== undefined)
        rewritten[name] = this.#context.core.rewriter.rewrite(property.type, values[name], map);
    }
    const info = type === 'HttpNfcLease' ? (rewritten.info as HttpNfcLeaseInfo | undefined) : undefined;
    if (info !== undefined) rewritten.info = this.#context.options.leaseInfo(info);
    return rewritten;
  }

  /** After a new connection all is told anew: what is equal is no change. */
  #withoutEqual(center: ManagedObjectReference, properties: Properties): Properties {
    const object = this.#context.core.registry.get(center);
    if (object === undefined) return properties;
    const changed: Properties = {};
    for (const name in properties) {
      if (!isDeepStrictEqual(object.value(name), properties[name])) changed[name] = properties[name];
    }
    return changed;
  }

  #newPart(ref: ManagedObjectReference, stage: Stage): ManagedObjectReference | undefined {
    if (!(followedParts as readonly string[]).includes(ref.type)) return undefined;
    const value = this.#context.core.numbers.mint(`${partPrefix(ref.type)}-`);
    const part = { host: this.#context.host, type: ref.type, value, hostValue: ref.value };
    this.#context.parts.set(ref.value, part);
    this.#context.references.addPart(part);
    stage.newParts.push(part);
    return this.#context.references.toCenter(ref);
  }
}

/** Whether an update says that the machine runs. */
export function isRunning({ runtime }: Readonly<Record<string, unknown>>): boolean {
  return (runtime as VirtualMachineRuntimeInfo | undefined)?.powerState === 'poweredOn';
}

function hostReference(value: string): ManagedObjectReference {
  return { _typeName: 'ManagedObjectReference', type: 'HostSystem', value };
}
