import { realpath, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import {
  faults,
  type LeasePulling,
  type LocalContent,
  localContent,
  openWeb,
  type ReceiveOptions,
  readContent,
  requireLocalCaller,
  requirePrivilege,
  resolveInRoot,
  type TransferLease,
  type TransferTarget,
  webContent,
} from '@hypostyle/services';
import {
  type Call,
  data,
  fault,
  type HttpNfcLeaseSourceFile,
  type ManagedObjectReference,
  type RunningTask,
  type VimFault,
} from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import { references } from '../../inventory/references.ts';
import { mayPullNearby } from '../../management/host-options.ts';

type Source = { readonly kind: 'local'; readonly path: string; readonly shown: string } | { readonly kind: 'web' };

/** What a pull was asked for, while the process that was asked lives. */
interface Pull {
  readonly lease: TransferLease;
  readonly files: readonly {
    readonly target: TransferTarget;
    readonly file: HttpNfcLeaseSourceFile;
    readonly source: Source;
  }[];
}

/**
 * HttpNfcLeasePullFromUrls_Task: contents of a lease brought by the host itself, from a datastore (`ds:///vmfs/volumes/…`
 * or `[datastore] path`), from a file of this computer (`file:///…`, for its administrators), or from the web.
 */
export function definePullWork(core: HostCore): LeasePulling {
  const pulls = new Map<string, Pull>();
  let last = 0;
  const start = core.tasks.define<{ readonly key: string }>('HttpNfcLease.pullFromUrls', {
    method: 'HttpNfcLeasePullFromUrls_Task',
    cancelable: true,
    run: async (task, { key }) => {
      const pull = pulls.get(key);
      // Leases do not outlive their process.
      if (pull === undefined) throw interrupted();
      try {
        await runPull(core, task, pull);
      } finally {
        pulls.delete(key);
      }
    },
  });
  return {
    begin: async (call, lease, files) => {
      const wanted = await Promise.all(
        files.map(async (file) => ({ target: targetOf(lease, file), file, source: await sourceOf(core, call, file) })),
      );
      last += 1;
      const key = `${last}`;
      pulls.set(key, { lease, files: wanted });
      return start(call, { input: { key } });
    },
    probe: async (call, files) =>
      Promise.all(
        files.map(async (file) =>
          data('HttpNfcLeaseProbeResult', { serverAccessible: await isAccessible(core, call, file) }),
        ),
      ),
  };
}

function targetOf(lease: TransferLease, { targetDeviceId }: HttpNfcLeaseSourceFile): TransferTarget {
  const target = lease.targets.find(({ deviceId, key }) => deviceId === targetDeviceId || key === targetDeviceId);
  if (target === undefined) throw faults.invalidArgument('files', `The lease has no device ${targetDeviceId}.`);
  return target;
}

async function sourceOf(
  core: HostCore,
  call: Call,
  { url, httpHeaders = [], size }: HttpNfcLeaseSourceFile,
): Promise<Source> {
  if (/^https?:/i.test(url)) {
    // Whom the host asks in its own name is not for everybody to say.
    const entity =
      core.registry.read(call.self.ref as ManagedObjectReference<'HttpNfcLease'>, 'info')?.entity ??
      references.rootFolder;
    requirePrivilege(core, call, entity, 'VApp.PullFromUrls');
    return { kind: 'web' };
  }
  if (/^file:/i.test(url)) {
    checkLocal(core, call);
    const path = await realpath(fileURLToPath(url)).catch(() => {
      throw faults.notFound(url);
    });
    const facts = await stat(path, { bigint: true });
    const match = httpHeaders.find(({ key }) => key.toLowerCase() === 'if-match')?.value;
    // The client says which file it means: one of the same name on another computer is another.
    if (!facts.isFile() || (match !== undefined && match !== fileTag(facts))) throw faults.notFound(url);
    if (size !== undefined && BigInt(size) !== facts.size) throw faults.notFound(url);
    return { kind: 'local', path, shown: path.split('/').at(-1) ?? path };
  }
  const { datastore, path } = core.datastores.parse(datastorePathOf(core, url));
  requirePrivilege(core, call, datastore.ref, 'Datastore.Browse');
  const full = await resolveInRoot(datastore, path);
  if (!(await stat(full).catch(() => undefined))?.isFile()) throw faults.notFound(datastore.format(path));
  return { kind: 'local', path: full, shown: datastore.format(path) };
}

/** `"inode-size-nanoseconds"`, as an entity tag: what a client on this computer says of a file that it means. */
function fileTag({
  ino,
  size,
  mtimeNs,
}: {
  readonly ino: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
}): string {
  return `"${ino}-${size}-${mtimeNs}"`;
}

/** Files beside the datastores are for whoever administers the host, and sits at it. */
function checkLocal(core: HostCore, call: Call): void {
  requirePrivilege(core, call, references.host, 'Host.Config.Storage');
  requireLocalCaller(call);
}

/** `ds:///vmfs/volumes/<uuid>/path` as `[name] path`. */
function datastorePathOf(core: HostCore, url: string): string {
  if (!/^ds:/i.test(url)) return url;
  const path = decodeURIComponent(new URL(url).pathname).replace(/^\/+/, '/');
  const datastore = core.datastores.all().find((known) => path.startsWith(`${known.url.replace(/\/+$/, '')}/`));
  if (datastore === undefined) throw faults.invalidPath(url, 'it is on no datastore of the host');
  return datastore.format(path.slice(datastore.url.replace(/\/+$/, '').length + 1));
}

async function isAccessible(core: HostCore, call: Call, file: HttpNfcLeaseSourceFile): Promise<boolean> {
  try {
    const source = await sourceOf(core, call, file);
    if (source.kind === 'local') await localContent(source.path, source.shown, file);
    else (await openWeb(file, { signal: AbortSignal.timeout(30_000), nearby: mayPullNearby(core.options) })).close();
    return true;
  } catch {
    return false;
  }
}

async function runPull(core: HostCore, task: RunningTask, { lease, files }: Pull): Promise<void> {
  for (const [index, { target, file, source }] of files.entries()) {
    await lease.take(target.fileName, task.signal, (_, options) => bring(core, target, file, source, options));
    task.progress(Math.floor(((index + 1) / files.length) * 100));
  }
}

async function bring(
  core: HostCore,
  target: TransferTarget,
  file: HttpNfcLeaseSourceFile,
  source: Source,
  options: ReceiveOptions,
): Promise<void> {
  if (target.receive === undefined) throw faults.notSupported(`${target.fileName} takes no content.`);
  if (source.kind === 'web')
    return target.receive(webContent(file, { ...options, nearby: mayPullNearby(core.options) }), options);
  const content: LocalContent = await localContent(source.path, source.shown, file);
  if (await target.adopt?.(content, options)) return;
  await target.receive(readContent(content, options), { ...options, contentLength: content.length });
}

function interrupted(): VimFault {
  return fault('SystemError', { reason: 'interrupted' }, 'The management service restarted. Deploy the machine again.');
}
