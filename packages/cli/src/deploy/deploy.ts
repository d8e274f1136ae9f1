import { type Envelope, virtualSystems, withInstances } from '@hypostyle/ovf';
import type { HttpNfcLeaseInfo, ManagedObjectReference, OvfFileItem } from '@hypostyle/vim';
import type { CommandContext } from '../command-context.ts';
import { reachTransfer } from '../connection/reach-transfer.ts';
import { isCenter, type ServerSession } from '../connection/server-session.ts';
import { CliError } from '../errors.ts';
import { machinePlace } from '../inventory/machine-place.ts';
import { type Progress, showProgress } from '../output/progress.ts';
import { note } from '../output/terminal.ts';
import type { DeployPackage } from './deploy-package.ts';
import { type DeployChoices, type PlannedImport, planImport } from './import-spec.ts';
import { abortLease, leaseReady, reportProgress } from './lease.ts';
import { pullFiles, sourceFor } from './pull.ts';
import { shared } from './shared-content.ts';
import { upload } from './upload.ts';

/** What a package has become: a vApp where it is of several machines. */
export type Deployed = ManagedObjectReference<'VirtualMachine'> | ManagedObjectReference<'VirtualApp'>;

/**
 * Makes a machine or vApp of a package: at a single host, which has no vApps, each copy of a machine that scales out by
 * itself. All or nothing: what fails takes away what was made before.
 */
export async function deployPackage(
  session: ServerSession,
  context: CommandContext,
  source: DeployPackage,
  choices: DeployChoices,
): Promise<readonly Deployed[]> {
  const copies = isCenter(session.content) ? [] : copiesOf(source.envelope, choices);
  if (copies.length === 0) return [await deployWhole(session, context, source, choices)];
  if (!source.again) {
    throw new CliError('failed', 'The package passes by only once, and each copy of its machine needs its disks.', {
      next: 'Put it into a file first.',
    });
  }
  const made: Deployed[] = [];
  try {
    for (const copy of copies) made.push(await deployWhole(session, context, source, { ...choices, ...copy }));
    return made;
  } catch (error) {
    for (const machine of made) {
      const ref = machine as ManagedObjectReference<'VirtualMachine'>;
      await session.client
        .call(ref, 'Destroy_Task', {})
        .then((task) => session.client.waitForTask(task))
        .catch((problem: unknown) => note(context.terminal, `hypo: warning: ${ref.value} stays: ${String(problem)}`));
    }
    throw error;
  }
}

/** The copies of the only machine of a package, where there are to be several. */
function copiesOf(envelope: Envelope, choices: DeployChoices): { readonly system: string; readonly name: string }[] {
  if (virtualSystems(envelope).length !== 1) return [];
  const { counts = new Map<string, number>(), deploymentOption: configuration } = choices;
  const systems = virtualSystems(
    withInstances(envelope, { counts, ...(configuration === undefined ? {} : { configuration }) }),
  );
  if (systems.length < 2) return [];
  return systems.map(({ id, name }, index) => ({
    system: id,
    name: choices.name === undefined ? (name?.text ?? id) : `${choices.name}-${index + 1}`,
  }));
}

/**
 * One import: specification, lease, one upload a file, completion. Whatever fails, the lease is aborted with the reason,
 * and the server takes away what there is.
 */
async function deployWhole(
  session: ServerSession,
  context: CommandContext,
  source: DeployPackage,
  choices: DeployChoices,
): Promise<Deployed> {
  const place = await machinePlace(session, { ...choices.place, datastore: choices.datastore });
  const plan = await planImport(session, place, source, choices);
  for (const warning of [...source.warnings, ...plan.warnings]) note(context.terminal, `hypo: warning: ${warning}`);
  const { spec } = plan;
  const lease = await session.client.call(place.pool, 'ImportVApp', {
    spec,
    folder: place.folder,
    host: place.host,
  });
  try {
    const info = await leaseReady(session, lease, context.signal);
    const left = await pullPackage(session, context, lease, info, source, plan);
    if (left.length > 0) await sendFiles(session, context, lease, info, source, { ...plan, files: left });
    await session.client.call(lease, 'HttpNfcLeaseComplete', {});
    return info.entity as ManagedObjectReference as Deployed;
  } catch (error) {
    await abortLease(session, lease, error);
    throw error;
  }
}

/** What the server can reach by itself it brings itself, and runs from it at once; answers what is left to be sent. */
async function pullPackage(
  session: ServerSession,
  context: CommandContext,
  lease: ManagedObjectReference<'HttpNfcLease'>,
  { deviceUrl = [] }: HttpNfcLeaseInfo,
  { place }: DeployPackage,
  { files }: PlannedImport,
): Promise<readonly OvfFileItem[]> {
  const wanted = files.flatMap((file) => {
    const source = place?.(file.path);
    const target = deviceUrl.find(({ importKey }) => importKey === file.deviceId);
    return source === undefined || target === undefined ? [] : [{ file, source: sourceFor(target.importKey, source) }];
  });
  if (wanted.length === 0) return files;
  const sources = wanted.map(({ source }) => source);
  if (!(await pullFiles(session, context, lease, sources))) return files;
  return files.filter((file) => !wanted.some((one) => one.file === file));
}

async function sendFiles(
  session: ServerSession,
  context: CommandContext,
  lease: ManagedObjectReference<'HttpNfcLease'>,
  info: HttpNfcLeaseInfo,
  source: DeployPackage,
  { files }: PlannedImport,
): Promise<void> {
  const total = files.reduce((sum, file) => sum + Number(file.size ?? 0), 0);
  let sent = 0;
  const lost = new AbortController();
  const bar = showProgress(context.terminal, 'sending', total, 'bytes');
  const report = reportProgress(
    session,
    lease,
    () => (total > 0 ? (sent / total) * 100 : 0),
    (error) => lost.abort(error),
  );
  const signal = AbortSignal.any([context.signal, lost.signal]);
  try {
    for await (const { href, content } of source.files([...new Set(files.map(({ path }) => path))])) {
      const targets = await addressesOf(session, info, files, href);
      const onBytes = (count: number) => {
        sent += count;
        bar.update(sent, href);
      };
      const [only] = targets;
      if (only !== undefined && targets.length === 1) await upload({ ...only, content, signal, onBytes });
      else await uploadToAll(targets, content, signal, onBytes);
    }
    done(bar, total);
  } catch (error) {
    // The reason for which it was stopped, not the broken connection that followed.
    if (lost.signal.aborted) throw lost.signal.reason;
    context.signal.throwIfAborted();
    throw error;
  } finally {
    report.stop();
    bar.end();
  }
}

function done(bar: Progress, total: number): void {
  bar.update(total);
}

/** Where a file goes: to each of the disks that are made of it. */
async function addressesOf(
  session: ServerSession,
  info: HttpNfcLeaseInfo,
  files: readonly OvfFileItem[],
  href: string,
) {
  const wanting = files.filter(({ path }) => path === href);
  return Promise.all(
    wanting.map(async ({ deviceId }) => {
      const target = info.deviceUrl?.find(({ importKey }) => importKey === deviceId);
      if (target === undefined) throw new CliError('failed', `The server has no place for ${href} of the package.`);
      const { url, tls } = await reachTransfer(session, target.url, target.sslThumbprint);
      return { url, tls, disk: target.disk ?? true };
    }),
  );
}

/** Reads the content once and sends it everywhere, as fast as the slowest takes it; the first failure ends all. */
async function uploadToAll(
  targets: Awaited<ReturnType<typeof addressesOf>>,
  content: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
  onBytes: (count: number) => void,
): Promise<void> {
  const failed = new AbortController();
  const all = AbortSignal.any([signal, failed.signal]);
  const parts = shared(content, targets.length);
  const sending = targets.map(async (target, index) => {
    try {
      await upload({ ...target, content: parts[index] ?? content, signal: all, onBytes });
    } catch (error) {
      failed.abort(error);
      throw error;
    }
  });
  const ends = await Promise.allSettled(sending);
  if (failed.signal.aborted) throw failed.signal.reason;
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}
