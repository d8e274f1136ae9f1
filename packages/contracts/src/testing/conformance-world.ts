import type { Hypervisor, HypervisorCapabilities, StartRequest } from '../hypervisor.ts';
import type { ConformanceGuest, GuestOptions } from './conformance-guest.ts';
import type { OwnerWork } from './hypervisor-owner-work.ts';

/** What the tests of one driver share. */
export interface ConformanceWorld {
  readonly guest: ConformanceGuest;
  readonly hypervisor: Hypervisor;
  readonly capabilities: HypervisorCapabilities;
  /** Folder for files; gone at the end. */
  readonly root: string;
  /** A machine of its own, prepared and ended at the end if it still runs. */
  request(options?: Partial<GuestOptions>): Promise<StartRequest>;
  /** Lets go of every machine, and goes on with another instance of the driver. */
  reopen(): Promise<void>;
  /** Starts or adopts in another process and kills that; in the middle of a suspend or a merge when one is given. */
  ownedByAnother(asked: StartRequest, amidst?: OwnerWork): Promise<number>;
}
