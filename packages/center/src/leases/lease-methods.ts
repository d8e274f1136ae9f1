import { parseDatastorePath, requireLocalCaller, requirePrivilege } from '@hypostyle/services';
import {
  type Call,
  type DatastoreSummary,
  fault,
  type HttpNfcLeaseInfo,
  type HttpNfcLeaseSourceFile,
  type ManagedObjectReference,
  type MethodTable,
} from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { filePlace } from '../files/file-place.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import { referenceOf } from '../inventory/entity-document.ts';

type Arguments = Readonly<Record<string, unknown>>;

/**
 * HttpNfcLease: answered by its host. What a pull names is checked here, since the host asks what the center may do;
 * datastores are named as the host knows them.
 */
export function leaseMethods(core: CenterCore, forwarding: Forwarding): MethodTable<'HttpNfcLease'> {
  const allowed = (call: Call, args: Arguments): Arguments => {
    const files = (args.files ?? []) as readonly HttpNfcLeaseSourceFile[];
    return { ...args, files: files.map((file) => allowedFile(core, { call, lease: call.self.ref }, file)) };
  };
  const own: MethodTable<'HttpNfcLease'> = {
    HttpNfcLeasePullFromUrls_Task: (call, args) => forwarding.task(call, allowed(call, args as Arguments)),
    HttpNfcLeaseProbeUrls: async (call, args) =>
      (await forwarding.call(call, allowed(call, args as Arguments))) as never,
  };
  return forwarding.methods('HttpNfcLease', forwarding.passing(own));
}

/** A source as the host of the lease may be told it: checked by what the caller may. */
export function allowedFile(
  core: CenterCore,
  { call, lease }: { readonly call: Call; readonly lease: ManagedObjectReference },
  file: HttpNfcLeaseSourceFile,
): HttpNfcLeaseSourceFile {
  const { url } = file;
  if (/^https?:/i.test(url)) {
    // Whom a host asks in its own name is not for everybody to say.
    const info = core.registry.get(lease)?.value('info') as HttpNfcLeaseInfo | undefined;
    requirePrivilege(
      core,
      call,
      info?.entity ?? { type: 'HostSystem', value: core.hosts.route(lease).link.host },
      'VApp.PullFromUrls',
    );
    return file;
  }
  if (/^file:/i.test(url)) {
    const { host } = core.hosts.route(lease).link;
    requirePrivilege(core, call, { type: 'HostSystem', value: host }, 'Host.Config.Storage');
    requireLocalCaller(call);
    return file;
  }
  if (!url.startsWith('['))
    throw fault('InvalidDatastorePath', { datastorePath: url }, `Name ${url} as '[datastore] path'.`);
  const datastore = referenceOf(filePlace(core, url, undefined).datastore);
  requirePrivilege(core, call, datastore, 'Datastore.Browse');
  const summary = core.registry.get(datastore)?.value('summary') as DatastoreSummary | undefined;
  const root = summary?.url ?? '';
  const path = parseDatastorePath(url).path.split('/').map(encodeURIComponent).join('/');
  return { ...file, url: `ds://${root.replace(/^ds:\/\//, '').replace(/\/+$/, '')}/${path}` };
}
