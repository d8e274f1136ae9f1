import type { FileRequest, FileResponse } from '@hypostyle/services';
import type { Caller } from '@hypostyle/vim';
import type { HostAddress } from '../../inventory/entity-document.ts';

/** A signed-in way to a host: a socket, or the same calls within the process. */
export interface HostConnection extends Caller {
  /** Signs out where it can, and lets go. */
  close(): Promise<void>;
}

/** How a center signs in to hosts. */
export interface HostConnector {
  /** First contact, by a password. Throws InvalidLogin, SSLVerifyFault, NoHost, HostConnectFault. */
  introduce(address: HostAddress, credentials: HostCredentials): Promise<HostConnection>;
  /**
   * Makes the host trust this center from now on: it is told of the center, and given its certificate. Throws
   * AlreadyBeingManaged where another center manages it, unless `force`.
   */
  enroll(connection: HostConnection, force: boolean): Promise<void>;
  /** Takes that back. */
  dismiss(connection: HostConnection): Promise<void>;
  /** Every later contact, by the center's certificate. Throws NoHost, SSLVerifyFault, InvalidLogin. */
  connect(address: HostAddress, signal?: AbortSignal): Promise<HostConnection>;
  /** A request to a host's faces of files and leases, checked by its certificate. Rejects where it cannot be reached. */
  exchange(address: HostAddress, request: FileRequest): Promise<FileResponse>;
  /** SHA-1 of the certificate that answers there, `AB:CD:…`. Throws NoHost. */
  thumbprint(host: string, port: number): Promise<string>;
}

export interface HostCredentials {
  readonly userName: string;
  readonly password: string;
}
