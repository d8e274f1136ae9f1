import { ClientError, type DataTypes, type EventRequest, fault, VimFault } from '@hypostyle/vim';
import { CenterError } from '../../errors.ts';

/** The event that says why a host could not be connected; without its entity. */
export function connectFailureEvent(error: unknown, name: string): EventRequest {
  if (error instanceof VimFault) {
    switch (error.type) {
      case 'InvalidLogin':
        return { type: 'HostCnxFailedBadUsernameEvent' };
      case 'NoPermission':
        return { type: 'HostCnxFailedNoAccessEvent' };
      case 'NoHost':
        return { type: 'HostCnxFailedNoConnectionEvent' };
      case 'AlreadyBeingManaged': {
        const { ipAddress } = error.detail as unknown as DataTypes['AlreadyBeingManaged'];
        return { type: 'HostCnxFailedAlreadyManagedEvent', members: { serverName: ipAddress } };
      }
      default:
        return { type: 'HostCnxFailedEvent', message: `Cannot connect ${name}: ${error.message}` };
    }
  }
  if (error instanceof ClientError && error.code === 'timeout') return { type: 'HostCnxFailedTimeoutEvent' };
  if (error instanceof ClientError && error.code === 'connection') return { type: 'HostCnxFailedNetworkErrorEvent' };
  const reason = error instanceof Error ? error.message : 'for an unknown reason';
  return { type: 'HostCnxFailedEvent', message: `Cannot connect ${name}: ${reason}` };
}

/** What a caller is told who wanted a host connected: a line that broke, or a host that is too slow, is a fault. */
export function connectFault(error: unknown, name: string): unknown {
  if (error instanceof ClientError)
    return fault('NoHost', { name }, `The connection to ${name} broke: ${error.message}`, { cause: error });
  if (error instanceof CenterError || (error instanceof DOMException && error.name === 'TimeoutError'))
    return fault('HostConnectFault', {}, `${name} could not be taken in: ${error.message}`, { cause: error });
  return error;
}

/** True for a reason that somebody has to do something about. */
export function isLasting(error: unknown): boolean {
  if (error instanceof CenterError) return true;
  return error instanceof VimFault && ['InvalidLogin', 'SSLVerifyFault', 'NoPermission'].includes(error.type);
}

/** True when the session ended on the host: nothing was done, and signing in again helps. */
export function isSignedOut(error: unknown): boolean {
  return error instanceof VimFault && error.type === 'NotAuthenticated';
}

/** False for what a host, or the way to it, does. */
export function isDefect(error: unknown): boolean {
  if (error instanceof ClientError || error instanceof VimFault || error instanceof CenterError) return false;
  return !(error instanceof DOMException && error.name === 'TimeoutError');
}
