import type { HypervisorInfo } from '@hypostyle/contracts';
import type { AutomationFace } from '@hypostyle/rest';
import type { FileRequest, FileResponse, FolderAccess, TransferLeases } from '@hypostyle/services';
import type { Authorizer, Dispatcher, Registry, Session, SessionService } from '@hypostyle/vim';
import type { ConsoleTarget } from './faces/console-face.ts';

/** What the HTTPS faces need of what is behind them: a host, or a center. */
export interface ServedEndpoint {
  readonly registry: Registry;
  readonly dispatcher: Dispatcher;
  readonly authorizer: Authorizer;
  readonly sessions: SessionService;
  /** Transfers that go through this port. */
  readonly leases: TransferLeases;
  /** How the machines of this computer run. */
  readonly hypervisorInfo: HypervisorInfo;
  /** The Automation interface; a host has none. */
  readonly automation?: AutomationFace;
  /** Uses a ticket up; undefined when it is not good. */
  redeemConsole(ticket: string): ConsoleTarget | undefined;
  /** A file on its way from or to a guest, at an address that a client was given. Never rejects. */
  guestFile(request: FileRequest): Promise<FileResponse>;
  /** A machine's screen as the session may see it: `/screen?id=…`. Never rejects. */
  screen(request: FileRequest, session: Session | undefined): Promise<FileResponse>;
  /** Datastore files as the session may see them; nobody is signed in without one. */
  folderAccess(session: Session | undefined): FolderAccess;
  machineCounts(): { readonly registered: number; readonly running: number };
  /** Ends waits, transfers and sessions. Machines run on. */
  close(): Promise<void>;
}
