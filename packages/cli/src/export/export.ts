import { stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import {
  type DigestAlgorithm,
  type ManifestSigner,
  onTarget,
  openNameless,
  openPackage,
  saveArchive,
  saveFolder,
} from '@hypostyle/ovf';
import type { HttpNfcLeaseDeviceUrl, HttpNfcLeaseInfo, ManagedObjectReference, OvfFile } from '@hypostyle/vim';
import type { CommandContext } from '../command-context.ts';
import { reachTransfer } from '../connection/reach-transfer.ts';
import type { ServerSession } from '../connection/server-session.ts';
import { abortLease, leaseReady, reportProgress } from '../deploy/lease.ts';
import { CliError } from '../errors.ts';
import type { InventoryObject } from '../inventory/inventory.ts';
import { showProgress } from '../output/progress.ts';
import { note } from '../output/terminal.ts';
import { workProgress } from '../ovf/work-progress.ts';
import { type ChecksumType, compareWithManifest } from './compare-with-manifest.ts';
import { type Downloaded, download } from './download.ts';
import { type ReceivedFile, receivedSource } from './received-files.ts';

type Lease = ManagedObjectReference<'HttpNfcLease'>;
type ExportedObject = InventoryObject<'VirtualMachine' | 'VirtualApp'>;

export interface ExportOptions {
  /** Of the machine; its disks as they are unless told. */
  readonly snapshot?: ManagedObjectReference<'VirtualMachineSnapshot'>;
  /** Of the manifest; `false` for none. */
  readonly digest: DigestAlgorithm | false;
  readonly signer?: ManifestSigner;
  /** Replace an OVA that is there. */
  readonly overwrite: boolean;
  /** What else the descriptor is to tell: `mac`, `uuid`, `extraconfig` (OvfManager.ovfExportOption). */
  readonly include?: readonly string[];
}

export interface ExportTarget {
  /** The OVA, or the folder. */
  readonly path: string;
  readonly archive: boolean;
  /** What the names of its files begin with. */
  readonly baseName: string;
}

/** Where an export goes: an OVA by its extension, a folder otherwise. Throws where it cannot go there. */
export async function exportTarget(given: string, overwrite: boolean): Promise<ExportTarget> {
  const path = resolve(given);
  const archive = /\.ova$/i.test(path);
  const target = { path, archive, baseName: archive ? basename(path).slice(0, -'.ova'.length) : basename(path) };
  if (target.baseName === '') throw new CliError('usage', `'${given}' has no name.`, { next: 'Call it NAME.ova.' });
  const folder = await stat(dirname(path)).catch(() => undefined);
  if (!folder?.isDirectory()) throw new CliError('usage', `There is no folder ${dirname(path)}.`);
  // Said before the disks are got, and looked at again when the package appears.
  if (archive && !overwrite && (await stat(path).catch(() => undefined)) !== undefined) {
    throw new CliError('failed', `${given} is there already.`, { next: 'Choose another target, or use --force.' });
  }
  return target;
}

/** A disk of a lease that was got. */
interface GotDisk extends ReceivedFile, Downloaded {
  readonly key: string;
}

/**
 * Writes a machine, one of its snapshots or a vApp as a package: lease, one download a disk into files without a name,
 * descriptor, package. Whatever fails, the lease is aborted with the reason, and nothing has the target's name. Answers
 * the bytes of the disks' files.
 */
export async function exportPackage(
  session: ServerSession,
  context: CommandContext,
  object: ExportedObject,
  target: ExportTarget,
  options: ExportOptions,
): Promise<{ readonly files: number; readonly bytes: number }> {
  const { client } = session;
  const received: GotDisk[] = [];
  const opened: { close(): Promise<void> }[] = [];
  try {
    const lease = await openLease(session, object, options);
    let descriptor: string;
    try {
      const info = await leaseReady(session, lease, context.signal);
      const { deviceUrl = [] } = info;
      const type = (options.digest || 'SHA256').toLowerCase() as ChecksumType;
      if (deviceUrl.length > 0) {
        await client.call(lease, 'HttpNfcLeaseSetManifestChecksumType', {
          deviceUrlsToChecksumTypes: deviceUrl.map(({ key }) => ({ key, value: type })),
        });
      }
      const disks = await Promise.all(
        deviceUrl.map(async (url, index) => {
          const file = await onTarget(target.path, () => openNameless(dirname(target.path)));
          opened.push(file);
          return { url, file, name: `${target.baseName}-disk${index + 1}.vmdk` };
        }),
      );
      const receiving = receive(session, context, lease, info, disks, type);
      received.push(...(await onTarget(target.path, () => receiving)));
      const manifest = (await client.call(lease, 'HttpNfcLeaseGetManifest', {})) ?? [];
      for (const disk of received) compareWithManifest(disk, type, manifest);
      descriptor = await describe(session, context, object, received, options);
      await client.call(lease, 'HttpNfcLeaseComplete', {});
    } catch (error) {
      await abortLease(session, lease, error);
      throw error;
    }
    await save(context, target, descriptor, received, options);
    return { files: received.length, bytes: received.reduce((sum, { size }) => sum + size, 0) };
  } finally {
    await Promise.allSettled(opened.map((file) => file.close()));
  }
}

function openLease(
  { client }: ServerSession,
  { ref }: ExportedObject,
  { snapshot }: Pick<ExportOptions, 'snapshot'>,
): Promise<Lease> {
  if (snapshot !== undefined) return client.call(snapshot, 'ExportSnapshot', {});
  return ref.type === 'VirtualApp'
    ? client.call(ref as ManagedObjectReference<'VirtualApp'>, 'ExportVApp', {})
    : client.call(ref as ManagedObjectReference<'VirtualMachine'>, 'ExportVm', {});
}

/** A disk of a lease, and the file that it goes to. */
interface WantedDisk extends Omit<ReceivedFile, 'size'> {
  readonly url: HttpNfcLeaseDeviceUrl;
}

/** Downloads at a time: one is packed by a host while another is written here. */
const atOnce = 2;

async function receive(
  session: ServerSession,
  context: CommandContext,
  lease: Lease,
  { totalDiskCapacityInKB }: HttpNfcLeaseInfo,
  disks: readonly WantedDisk[],
  digest: ChecksumType,
): Promise<GotDisk[]> {
  // How much a disk packs to is known when it has come: until then no more than its capacity.
  const total = Math.max(1, Number(totalDiskCapacityInKB) * 1024);
  let done = 0;
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  const bar = showProgress(context.terminal, 'receiving', total, 'bytes');
  const report = reportProgress(
    session,
    lease,
    () => (done / total) * 100,
    (error) => stop.abort(error),
  );
  const got: GotDisk[] = [];
  const waiting = disks.entries();
  const work = async () => {
    for (const [index, { url: device, file, name }] of waiting) {
      const { url, tls } = await reachTransfer(session, device.url, device.sslThumbprint);
      const onBytes = (count: number) => {
        done += count;
        bar.update(done, name);
      };
      const result = await download({ url, tls, file, digest, signal, onBytes });
      got[index] = { ...result, key: device.key, name, file };
    }
  };
  const ends = await Promise.allSettled(
    Array.from({ length: atOnce }, () =>
      work().catch((error: unknown) => {
        // The others need not go on; the first reason is the one that is told.
        if (!stop.signal.aborted) stop.abort(error);
        throw error;
      }),
    ),
  );
  report.stop();
  bar.end();
  context.signal.throwIfAborted();
  if (ends.some(({ status }) => status === 'rejected')) throw stop.signal.reason;
  return got;
}

async function describe(
  { client, content }: ServerSession,
  { terminal }: CommandContext,
  { ref, name }: ExportedObject,
  disks: readonly GotDisk[],
  { snapshot, include }: Pick<ExportOptions, 'snapshot' | 'include'>,
): Promise<string> {
  if (content.ovfManager === undefined) throw new CliError('failed', 'The server makes no descriptors.');
  const ovfFiles: OvfFile[] = disks.map((disk) => ({
    _typeName: 'OvfFile',
    deviceId: disk.key,
    path: encodeURIComponent(disk.name),
    size: disk.size,
  }));
  const { ovfDescriptor, error, warning } = await client.call(content.ovfManager, 'CreateDescriptor', {
    obj: ref,
    cdp: {
      name,
      ovfFiles,
      includeImageFiles: false,
      ...(include === undefined ? {} : { exportOption: [...include] }),
      ...(snapshot === undefined ? {} : { snapshot }),
    },
  });
  for (const one of warning ?? []) note(terminal, `hypo: warning: ${one.localizedMessage}`);
  const [refusal] = error ?? [];
  if (refusal !== undefined) throw new CliError('failed', `${name}: ${refusal.localizedMessage}`);
  return ovfDescriptor;
}

async function save(
  { terminal, signal }: CommandContext,
  { path, archive, baseName }: ExportTarget,
  descriptor: string,
  files: readonly GotDisk[],
  { digest, signer, overwrite }: ExportOptions,
): Promise<void> {
  const source = receivedSource({ name: `${baseName}.ovf`, content: Buffer.from(descriptor) }, files);
  const opened = await openPackage(source);
  const progress = workProgress(terminal, 'packing');
  const options = {
    digest,
    signal,
    overwrite,
    onProgress: progress.onProgress,
    ...(signer === undefined ? {} : { signer }),
  };
  try {
    if (archive) await saveArchive(opened, path, options);
    else await saveFolder(opened, path, { ...options, scratchFolder: dirname(path) });
  } finally {
    progress.end();
    await opened.close();
  }
}
