import type { HttpNfcLeaseInfo, ManagedObjectReference, OvfFileItem } from '@hypostyle/vim';
import type { CommandContext } from '../command-context.ts';
import { reachTransfer } from '../connection/reach-transfer.ts';
import type { ServerSession } from '../connection/server-session.ts';
import { CliError } from '../errors.ts';
import { machinePlace } from '../inventory/machine-place.ts';
import { type Progress, showProgress } from '../output/progress.ts';
import { note } from '../output/terminal.ts';
import type { DeployPackage } from './deploy-package.ts';
import { type DeployChoices, type PlannedImport, planImport } from './import-spec.ts';
import { abortLease, leaseReady, reportProgress } from './lease.ts';
import { pullFiles, sourceFor } from './pull.ts';
import { upload } from './upload.ts';

/** What a package has become: a vApp where it is of several machines. */
export type Deployed = ManagedObjectReference<'VirtualMachine'> | ManagedObjectReference<'VirtualApp'>;

/**
 * Makes a machine or vApp of a package: specification, lease, one upload a file, completion. Whatever fails, the lease is
 * aborted with the reason, and the server takes away what there is.
 */
export async function deployPackage(
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
      const target = await addressOf(session, info, files, href);
      await upload({
        ...target,
        content,
        signal,
        onBytes: (count) => {
          sent += count;
          bar.update(sent, href);
        },
      });
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

/** Where a file goes. */
async function addressOf(session: ServerSession, info: HttpNfcLeaseInfo, files: readonly OvfFileItem[], href: string) {
  const item = files.find(({ path }) => path === href);
  const target = info.deviceUrl?.find(({ importKey }) => importKey === item?.deviceId);
  if (item === undefined || target === undefined) {
    throw new CliError('failed', `The server has no place for ${href} of the package.`);
  }
  const { url, tls } = await reachTransfer(session, target.url, target.sslThumbprint);
  return { url, tls, disk: target.disk ?? true };
}
