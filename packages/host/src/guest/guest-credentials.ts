import { createHash, randomBytes } from 'node:crypto';
import { actingUser, type Call, type DataTypes, type GuestAuthentication } from '@hypostyle/vim';
import type { MachineRecord } from '../machine/record/machine-record.ts';
import { guestFaults } from './guest-faults.ts';
import type { GuestShell, GuestUser } from './guest-shell.ts';

interface Acquired {
  readonly machine: string;
  readonly holder: string;
  readonly userName: string;
  /** The run of the machine that it was given in: a guest that was started again may have other passwords. */
  readonly bootTime: string | undefined;
  until: number;
}

/** Milliseconds for which a ticket is good after its last use. */
const lifetime = 10 * 60_000;
const most = 1_000;
const userNamePattern = /^[^\0-\x20\x7f:/]{1,256}$/;

/** Who a client says it is in a guest: by name and password, or by a ticket that it got for them. */
export class GuestCredentials {
  readonly #tickets = new Map<string, Acquired>();

  /** Reads what came; a ticket is checked here, a password by the guest. */
  user(call: Call, machine: MachineRecord, auth: GuestAuthentication): GuestUser {
    if (auth.interactiveSession) {
      throw guestFaults.unsupported('Operations in the session of a guest that somebody sits at are not supported.');
    }
    switch ((auth as { _typeName?: string })._typeName) {
      case 'NamePasswordAuthentication': {
        const { username, password } = auth as DataTypes['NamePasswordAuthentication'];
        // No user is called so, and none has no password here.
        if (!userNamePattern.test(username) || username.startsWith('-')) throw guestFaults.invalidLogin();
        if (password === '' || /[\0\n]/.test(password) || password.length > 1_024) throw guestFaults.invalidLogin();
        return { userName: username, password };
      }
      case 'TicketedSessionAuthentication': {
        const found = this.#find(call, machine, (auth as DataTypes['TicketedSessionAuthentication']).ticket);
        if (found === undefined) throw guestFaults.invalidLogin();
        found.until = Date.now() + lifetime;
        return { userName: found.userName, password: undefined };
      }
      default:
        throw guestFaults.unsupported(
          'Guests here know names with passwords, and tickets of AcquireCredentialsInGuest.',
        );
    }
  }

  /** Has the guest check a name and a password, and gives a ticket for them. */
  async acquire(
    call: Call,
    shell: GuestShell,
    machine: MachineRecord,
    user: GuestUser,
  ): Promise<DataTypes['TicketedSessionAuthentication']> {
    await shell.run(machine, user, { operation: 'nothing' });
    const ticket = randomBytes(32).toString('hex');
    const now = Date.now();
    for (const [known, { until }] of this.#tickets) {
      if (until <= now || this.#tickets.size >= most) this.#tickets.delete(known);
    }
    this.#tickets.set(hashOf(ticket), {
      machine: machine.id,
      holder: actingUser(call),
      userName: user.userName,
      bootTime: machine.bootTime,
      until: now + lifetime,
    });
    return { _typeName: 'TicketedSessionAuthentication', interactiveSession: false, ticket };
  }

  release(call: Call, machine: MachineRecord, auth: GuestAuthentication): void {
    const { ticket } = auth as Partial<DataTypes['TicketedSessionAuthentication']>;
    if (typeof ticket !== 'string') return;
    if (this.#find(call, machine, ticket) === undefined) throw guestFaults.invalidLogin();
    this.#tickets.delete(hashOf(ticket));
  }

  #find(call: Call, machine: MachineRecord, ticket: string): Acquired | undefined {
    const found = this.#tickets.get(hashOf(ticket));
    if (found === undefined || found.machine !== machine.id || found.holder !== actingUser(call)) return undefined;
    return found.until > Date.now() && found.bootTime === machine.bootTime ? found : undefined;
  }
}

function hashOf(ticket: string): string {
  return createHash('sha256').update(ticket).digest('base64');
}
