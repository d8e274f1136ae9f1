import type { Call, GuestAuthentication, ManagedObjectReference } from '@hypostyle/vim';
import type { HostCore } from '../host-core.ts';
import type { MachineRecord } from '../machine/record/machine-record.ts';
import { GuestCredentials } from './guest-credentials.ts';
import { GuestShell, type GuestUser } from './guest-shell.ts';

/** What all guest operations begin with: the machine, and who acts in its guest. */
export class GuestAccess {
  readonly shell: GuestShell;
  readonly credentials = new GuestCredentials();
  readonly #core: HostCore;

  constructor(core: HostCore) {
    this.#core = core;
    this.shell = new GuestShell(core);
  }

  /** Throws InvalidPowerState, GuestOperationsUnavailable, InvalidGuestLogin, OperationNotSupportedByGuest. */
  of(
    call: Call,
    vm: ManagedObjectReference,
    auth: GuestAuthentication,
  ): { readonly machine: MachineRecord; readonly user: GuestUser } {
    const machine = this.#core.machines.get(vm);
    this.shell.engine(machine);
    return { machine, user: this.credentials.user(call, machine, auth) };
  }

  /** The machine, as it is now; undefined when it is gone. */
  machine(id: string): MachineRecord | undefined {
    return this.#core.machines.find(id);
  }

  /** Leaves an event of what somebody changed in a guest. */
  say({ ref }: MachineRecord, userName: string, message: string): void {
    this.#core.events.post(undefined, {
      type: 'EventEx',
      entity: ref,
      userName,
      message: message.slice(0, 1_000),
      members: {
        eventTypeId: 'com.vmware.vc.guestOperations.GuestOperation',
        severity: 'info',
        message: message.slice(0, 1_000),
      },
    });
  }
}
