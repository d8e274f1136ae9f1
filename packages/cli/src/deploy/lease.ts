import { type HttpNfcLeaseInfo, localizedFault, type ManagedObjectReference, VimFault } from '@hypostyle/vim';
import type { ServerSession } from '../connection/server-session.ts';
import { CliError } from '../errors.ts';
import { watchObject } from '../inventory/watch.ts';

type Lease = ManagedObjectReference<'HttpNfcLease'>;

/** Milliseconds between words of progress; the lease would end after five minutes without one. */
const interval = 2_000;

/** Waits until a lease takes files. Throws its fault. */
export async function leaseReady(session: ServerSession, lease: Lease, signal: AbortSignal): Promise<HttpNfcLeaseInfo> {
  for await (const { state, info, error } of watchObject(session, lease, ['state', 'info', 'error'], signal)) {
    if (state === 'ready' && info !== undefined) return info;
    if (state === 'error' || state === 'done') {
      const detail = (error?.fault ?? {}) as { readonly _typeName?: string };
      throw new VimFault(detail._typeName ?? 'SystemError', detail, error?.localizedMessage ?? 'The import failed.');
    }
  }
  throw new CliError('failed', 'The server ended the import.');
}

/** Tells the server how far the transfer is, until `stop`; `onLost` is told when the lease is no more. */
export function reportProgress(
  { client }: ServerSession,
  lease: Lease,
  percent: () => number,
  onLost: (error: unknown) => void,
): { stop(): void } {
  let underWay = false;
  const timer = setInterval(() => {
    if (underWay) return;
    underWay = true;
    client
      .call(lease, 'HttpNfcLeaseProgress', { percent: Math.min(100, Math.max(0, Math.floor(percent()))) })
      .catch(onLost)
      .finally(() => {
        underWay = false;
      });
  }, interval);
  return { stop: () => clearInterval(timer) };
}

/** Ends a lease so that nothing of the import stays. An ended one is left alone. */
export async function abortLease({ client }: ServerSession, lease: Lease, reason: unknown): Promise<void> {
  const message = reason instanceof Error ? reason.message : String(reason);
  const fault = localizedFault(new VimFault('SystemError', { reason: message.slice(0, 1024) }, message.slice(0, 1024)));
  try {
    await client.call(lease, 'HttpNfcLeaseAbort', { fault });
  } catch {
    // It had ended, or the server is gone; then the lease ends by itself after its timeout.
  }
}
