import { parseDatastorePath, requirePrivilege } from '@hypostyle/services';
import { type Call, fault, type ManagedObjectReference, type MethodTable } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import { type DatastoreDocument, referenceOf } from '../inventory/entity-document.ts';
import { filePlace, hostOfDatastores } from './file-place.ts';

type Arguments = Readonly<Record<string, unknown>>;

/** HostDatastoreBrowser: searches by the rights on the datastore, done by a host that has it. */
export function browserMethods(core: CenterCore, forwarding: Forwarding): MethodTable<'HostDatastoreBrowser'> {
  const search = async (call: Call, args: Arguments) => {
    const path = args.datastorePath as string;
    const datastore = searched(core, call, path);
    requirePrivilege(core, call, referenceOf(datastore), 'Datastore.Browse');
    const link = hostOfDatastores(core, [datastore]);
    const own = link.mirror.references.toHost(call.self.ref);
    const browser = own ?? browserOf(core, link.host);
    const ref = own ?? (browser && link.mirror.references.toHost(browser));
    if (ref === undefined) throw fault('NotSupported', {}, 'The host that has the datastore has no browser.');
    return forwarding.task(call, args, { at: { link, ref }, entity: referenceOf(datastore) });
  };
  const remove = async (call: Call, args: Arguments) => {
    const datastore = searched(core, call, args.datastorePath as string);
    requirePrivilege(core, call, referenceOf(datastore), 'Datastore.DeleteFile');
    await forwarding.call(call, args);
  };
  const own: MethodTable<'HostDatastoreBrowser'> = {
    SearchDatastore_Task: (call, args) => search(call, args as unknown as Arguments),
    SearchDatastoreSubFolders_Task: (call, args) => search(call, args as unknown as Arguments),
    DeleteFile: (call, args) => remove(call, args as unknown as Arguments),
  };
  return forwarding.methods('HostDatastoreBrowser', forwarding.passing(own));
}

/** The datastore of a path among those of the browser. Throws InvalidDatastore for another one. */
function searched(core: CenterCore, { self }: Call, path: string): DatastoreDocument {
  const { datastore: name } = parseDatastorePath(path);
  const own = (self.value('datastore') ?? []) as readonly ManagedObjectReference[];
  for (const { value } of own) {
    const document = core.inventory.find(value);
    if (document?.type === 'Datastore' && document.name === name) return document;
  }
  const [first] = own;
  const datacenter = first && core.inventory.above(first.value, ['Datacenter']);
  return filePlace(core, path, datacenter && referenceOf(datacenter)).datastore;
}

/** A host's own browser, which sees all its datastores. */
function browserOf({ registry }: CenterCore, host: string): ManagedObjectReference | undefined {
  const ref: ManagedObjectReference<'HostSystem'> = { type: 'HostSystem', value: host };
  return registry.get(ref)?.value('datastoreBrowser') as ManagedObjectReference | undefined;
}
