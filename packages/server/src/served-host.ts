import type { HypervisorInfo } from '@hypostyle/contracts';
import type { FolderAccess, TransferLeases } from '@hypostyle/services';
import type { Authorizer, Dispatcher, Registry, Session, SessionService } from '@hypostyle/vim';
import type { ConsoleTarget } from './faces/console-face.ts';

/** What the HTTPS faces need of the endpoint behind them. */
export interface ServedHost {
  readonly registry: Registry;
  readonly dispatcher: Dispatcher;
  readonly authorizer: Authorizer;
  readonly sessions: SessionService;
  readonly leases: TransferLeases;
  readonly hypervisorInfo: HypervisorInfo;
  /** Uses a ticket up; undefined when it is not good. */
  redeemConsole(ticket: string): ConsoleTarget | undefined;
  /** Datastore files as the session may see them; nobody is signed in without one. */
  folderAccess(session: Session | undefined): FolderAccess;
  machineCounts(): { readonly registered: number; readonly running: number };
  /** Ends waits, transfers and sessions, and lets go of engines, which run on. */
  close(): Promise<void>;
}
