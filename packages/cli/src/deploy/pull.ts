import { data, type HttpNfcLeaseSourceFile, type ManagedObjectReference, VimFault } from '@hypostyle/vim';
import type { CommandContext } from '../command-context.ts';
import type { ServerSession } from '../connection/server-session.ts';
import { runTask } from '../inventory/run-task.ts';

type Lease = ManagedObjectReference<'HttpNfcLease'>;

/** Has the server bring files of a lease by itself. False: it cannot reach them, and they have to be sent. */
export async function pullFiles(
  session: ServerSession,
  context: CommandContext,
  lease: Lease,
  files: readonly HttpNfcLeaseSourceFile[],
): Promise<boolean> {
  const { client } = session;
  try {
    const probed = (await client.call(lease, 'HttpNfcLeaseProbeUrls', { files })) ?? [];
    if (probed.length !== files.length || probed.some(({ serverAccessible }) => !serverAccessible)) return false;
  } catch (error) {
    // A server that does not pull.
    if (error instanceof VimFault && /^(NotSupported|NotImplemented|NoPermission|MethodNotFound)$/.test(error.type))
      return false;
    throw error;
  }
  await runTask(session, context, 'pulling', () => client.call(lease, 'HttpNfcLeasePullFromUrls_Task', { files }));
  return true;
}

/** A source file for the device that wants it. */
export function sourceFor(
  targetDeviceId: string,
  source: Omit<HttpNfcLeaseSourceFile, 'targetDeviceId'>,
): HttpNfcLeaseSourceFile {
  return data('HttpNfcLeaseSourceFile', { ...source, targetDeviceId });
}
