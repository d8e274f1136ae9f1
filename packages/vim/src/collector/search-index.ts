import type { Authorizer } from '../runtime/authorizer.ts';
import { fault } from '../runtime/fault.ts';
import type { Call, ManagedObject, ManagedObjectClass } from '../runtime/managed-object.ts';
import type { Registry } from '../runtime/registry.ts';
import type { ManagedObjectReference } from '../schema/values.ts';
import { Access } from './access.ts';
import { childProperties } from './container-links.ts';
import { objectNotFound } from './errors.ts';
import { type IndexedKind, PropertyIndex } from './property-index.ts';
import { ReferenceSets } from './reference-set.ts';

export interface SearchIndexOptions {
  readonly registry: Registry;
  readonly authorizer: Authorizer;
  /** Where inventory paths begin; it is not named in them. */
  readonly rootFolder: ManagedObjectReference<'Folder'>;
  /** Reference value of the index, `SearchIndex` unless told. */
  readonly value?: string;
}

type EntityReference = ManagedObjectReference<'ManagedEntity'>;

interface Place {
  readonly datacenter?: ManagedObjectReference | undefined;
  readonly vmSearch: boolean;
}

/** Longest way up from an object to its datacenter. */
const deepest = 256;

/** Adds the SearchIndex, which finds machines, hosts and other entities by their ids, names and places. */
export function createSearchIndex({
  registry,
  authorizer,
  rootFolder,
  value = 'SearchIndex',
}: SearchIndexOptions): ManagedObjectReference<'SearchIndex'> {
  const index = new PropertyIndex(registry);
  const references = new ReferenceSets();

  const within = (object: ManagedObject, datacenter: ManagedObjectReference | undefined): boolean => {
    if (datacenter === undefined) return true;
    let at: ManagedObject | undefined = object;
    for (let depth = 0; at !== undefined && depth < deepest; depth += 1) {
      if (at.ref.value === datacenter.value) return true;
      const parent = (at.value('parent') ?? at.value('parentVApp')) as ManagedObjectReference | undefined;
      at = parent === undefined ? undefined : registry.get(parent);
    }
    return false;
  };

  const find = (call: Call, kind: IndexedKind, key: string, datacenter?: ManagedObjectReference): EntityReference[] => {
    const access = new Access(authorizer, call.session);
    if (datacenter !== undefined && registry.get(datacenter) === undefined) throw objectNotFound(datacenter);
    return index
      .find(kind, key)
      .filter((object) => access.sees(object) && within(object, datacenter))
      .map((object) => object.ref as EntityReference);
  };
  const byUuid = (call: Call, args: Place & { readonly uuid: string; readonly instanceUuid?: boolean | undefined }) => {
    const kind = !args.vmSearch ? 'hostUuid' : args.instanceUuid === true ? 'instanceUuid' : 'uuid';
    return find(call, kind, args.uuid, args.datacenter);
  };
  const byDnsName = (call: Call, { dnsName, vmSearch, datacenter }: Place & { readonly dnsName: string }) =>
    find(call, vmSearch ? 'dnsName' : 'hostDnsName', dnsName, datacenter);
  const byIp = (call: Call, { ip, vmSearch, datacenter }: Place & { readonly ip: string }) =>
    find(call, vmSearch ? 'ip' : 'hostIp', ip, datacenter);

  const child = (access: Access, parent: ManagedObject, name: string): ManagedObject | undefined => {
    for (const property of childProperties(registry.schema, parent.ref.type)) {
      for (const ref of references.of(parent.value(property)).values()) {
        const object = registry.get(ref);
        if (object?.value('name') === name && access.sees(object)) return object;
      }
    }
    return undefined;
  };

  const byInventoryPath = (call: Call, inventoryPath: string): EntityReference | undefined => {
    const access = new Access(authorizer, call.session);
    let at = registry.get(rootFolder);
    for (const name of inventoryPath.split('/')) {
      // Leading, trailing and doubled slashes say nothing.
      if (name === '' || at === undefined) continue;
      at = child(access, at, name);
    }
    return at !== undefined && access.sees(at) ? (at.ref as EntityReference) : undefined;
  };

  const byDatastorePath = (call: Call, datacenter: ManagedObjectReference, path: string) => {
    const datastore = /^\[([^\]]*)\]/.exec(path)?.[1];
    if (datastore === undefined) {
      throw fault('InvalidDatastorePath', { datastorePath: path }, `'${path.slice(0, 200)}' is no datastore path.`);
    }
    const stores = registry.get(datacenter)?.value('datastore');
    const known = [...references.of(stores).values()].some((ref) => registry.get(ref)?.value('name') === datastore);
    if (!known) throw fault('InvalidDatastore', { name: datastore }, `There is no datastore '${datastore}'.`);
    return find(call, 'datastorePath', path, datacenter)[0] as ManagedObjectReference<'VirtualMachine'> | undefined;
  };

  const indexClass: ManagedObjectClass<'SearchIndex'> = {
    type: 'SearchIndex',
    methods: {
      FindByUuid: (call, args) => byUuid(call, args)[0],
      FindAllByUuid: (call, args) => byUuid(call, args),
      FindByDnsName: (call, args) => byDnsName(call, args)[0],
      FindAllByDnsName: (call, args) => byDnsName(call, args),
      FindByIp: (call, args) => byIp(call, args)[0],
      FindAllByIp: (call, args) => byIp(call, args),
      FindByDatastorePath: (call, { datacenter, path }) => byDatastorePath(call, datacenter, path),
      FindByInventoryPath: (call, { inventoryPath }) => byInventoryPath(call, inventoryPath),
      FindChild: (call, { entity, name }) => {
        const access = new Access(authorizer, call.session);
        const parent = registry.get(entity);
        if (parent === undefined || !access.sees(parent)) throw objectNotFound(entity);
        return child(access, parent, name)?.ref as EntityReference | undefined;
      },
    },
  };
  return registry.commit((draft) => draft.add(indexClass, value, {}));
}
