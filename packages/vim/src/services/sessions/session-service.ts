import type { SessionResolver } from '../../codec/session-resolver.ts';
import { fault } from '../../runtime/fault.ts';
import type { CallConnection } from '../../runtime/managed-object.ts';
import type { Registry } from '../../runtime/registry.ts';
import type { Session } from '../../runtime/session.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import { type Clock, systemClock } from '../clock.ts';
import type { EventPoster } from '../events/event-poster.ts';
import { AccountLocks, type LockOutPolicy } from './account-locks.ts';
import type { ExtensionCertificates } from './extension-certificates.ts';
import type { Identity, IdentityProvider } from './identity-provider.ts';
import { LoginThrottle } from './login-throttle.ts';
import { randomSecret, secretHash } from './secrets.ts';
import type { ServiceRequest } from './service-request.ts';
import { sessionManagerClass } from './session-manager.ts';
import { SignInTurns } from './sign-in-turns.ts';
import { type SessionOrigin, SignedInSession } from './signed-in-session.ts';
import { SingleUseTickets } from './single-use-tickets.ts';

export interface SessionServiceOptions {
  readonly registry: Registry;
  readonly identities: IdentityProvider;
  readonly events: EventPoster;
  readonly clock?: Clock;
  /** Reference value of the SessionManager. */
  readonly referenceValue?: string;
  /** Milliseconds without a call after which a session ends. */
  readonly idleTimeout?: number;
  /** Most sessions at a time. */
  readonly sessionLimit?: number;
  readonly defaultLocale?: string;
  /** Locks accounts out for a time after too many failures, wherever they come from. */
  readonly lockOut?: LockOutPolicy | (() => LockOutPolicy);
  /** SessionIsActive is answered by a center only. */
  readonly answersSessionIsActive?: boolean;
  /** Management address and certificate that a service ticket names; a client then goes there in place of the URL. */
  readonly ticketHost?: () => { readonly hostName?: string; readonly sslThumbprint?: string };
  /** Extensions that may sign in by certificate; without it none may. */
  readonly extensions?: ExtensionCertificates;
  /** Whom an extension that signed in by certificate acts as; its key unless told. */
  readonly extensionUserName?: (extensionKey: string) => string;
  readonly extensionGroups?: (extensionKey: string) => readonly string[];
  readonly onDefect?: (where: string, error: unknown) => void;
}

export interface InternalSessionOptions {
  /** Whom permissions are given to, and whom events and tasks name. */
  readonly userName: string;
  /** The user name unless told. */
  readonly fullName?: string;
  readonly groups?: readonly string[];
}

export interface InternalSession {
  readonly session: SignedInSession;
  end(): void;
}

interface ServiceTicket {
  readonly session: SignedInSession;
  readonly request: ServiceRequest;
}

/** Longest name and password that are looked at, in characters. */
const credentialLimit = 1024;
/** Most sign-ins that are under way at a time, in all and of one address. All but one of an address only wait. */
const authenticationLimit = 1_000;
const addressLimit = 250;
const sweepInterval = 30_000;
const ticketLifetime = 120_000;
const localePattern = /^[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8}){0,3}$/;

/** Who is signed in: SessionManager, its tokens and tickets. A token is known by its hash alone. */
export class SessionService implements SessionResolver {
  readonly ref: ManagedObjectReference<'SessionManager'>;
  readonly idleTimeout: number;
  readonly #registry: Registry;
  readonly #identities: IdentityProvider;
  readonly #events: EventPoster;
  readonly #clock: Clock;
  readonly #defaultLocale: string;
  readonly #sessionLimit: number;
  readonly #extensions: ExtensionCertificates | undefined;
  readonly #extensionUserName: (extensionKey: string) => string;
  readonly #extensionGroups: (extensionKey: string) => readonly string[];
  readonly #onDefect: (where: string, error: unknown) => void;
  readonly #throttle: LoginThrottle;
  readonly #strangers: LoginThrottle;
  readonly #locks: AccountLocks | undefined;
  readonly #turns = new SignInTurns();
  readonly #byToken = new Map<string, SignedInSession>();
  readonly #byKey = new Map<string, SignedInSession>();
  readonly #cloneTickets: SingleUseTickets<SignedInSession>;
  readonly #serviceTickets: SingleUseTickets<ServiceTicket>;
  #authenticating = 0;
  #stopSweep: () => void;

  constructor(options: SessionServiceOptions) {
    this.#registry = options.registry;
    this.#identities = options.identities;
    this.#events = options.events;
    this.#clock = options.clock ?? systemClock;
    this.idleTimeout = options.idleTimeout ?? 1_800_000;
    this.#sessionLimit = options.sessionLimit ?? 1_000;
    this.#defaultLocale = options.defaultLocale ?? 'en';
    this.#extensions = options.extensions;
    this.#extensionUserName = options.extensionUserName ?? ((extensionKey) => extensionKey);
    this.#extensionGroups = options.extensionGroups ?? (() => []);
    this.#onDefect = options.onDefect ?? (() => {});
    this.#throttle = new LoginThrottle(this.#clock);
    this.#strangers = new LoginThrottle(this.#clock);
    const { lockOut } = options;
    if (lockOut !== undefined) {
      this.#locks = new AccountLocks(this.#clock, typeof lockOut === 'function' ? lockOut : () => lockOut);
    }
    this.#cloneTickets = new SingleUseTickets(this.#clock, ticketLifetime, 4_096);
    this.#serviceTickets = new SingleUseTickets(this.#clock, ticketLifetime, 16_384);
    this.#stopSweep = this.#clock.after(sweepInterval, () => this.#sweep());
    const { answersSessionIsActive = false, ticketHost = () => ({}) } = options;
    this.ref = this.#registry.commit((draft) =>
      draft.add(
        sessionManagerClass(this, { answersSessionIsActive, ticketHost }),
        options.referenceValue ?? 'SessionManager',
        {
          message: '',
          defaultLocale: this.#defaultLocale,
          supportedLocaleList: [this.#defaultLocale],
          messageLocaleList: ['en'],
        },
      ),
    );
  }

  /** The session of a token; undefined once it ended. Counts as use of it. */
  byToken(token: string): SignedInSession | undefined {
    const session = this.#byToken.get(secretHash(token));
    if (session === undefined) return undefined;
    if (session.idle >= this.idleTimeout) {
      this.end(session);
      return undefined;
    }
    session.renew();
    return session;
  }

  byKey(key: string): SignedInSession | undefined {
    const session = this.#byKey.get(key);
    return session !== undefined && session.idle < this.idleTimeout ? session : undefined;
  }

  list(): SignedInSession[] {
    return [...this.#byKey.values()].filter((session) => session.idle < this.idleTimeout);
  }

  /** Signs in by name and password, for every face of the server. Fails with InvalidLogin or InvalidLocale. */
  async signIn(
    credentials: { readonly userName: string; readonly password: string; readonly locale?: string | undefined },
    origin: SessionOrigin,
  ): Promise<{ session: SignedInSession; token: string }> {
    const { userName, password } = credentials;
    const locale = this.checkLocale(credentials.locale);
    const address = origin.clientAddress;
    const identity = await this.#identify(userName, password, address);
    return this.#begin(new SignedInSession(this.#clock, identity, origin, locale));
  }

  /**
   * Signs an extension in by the certificate that its connection showed, which is trusted to name whom it acts for.
   * Fails with NoClientCertificate, InvalidLogin or InvalidLocale; wrong ones are counted as wrong passwords are.
   */
  signInExtension(
    extensionKey: string,
    locale: string | undefined,
    connection: CallConnection,
  ): { session: SignedInSession; token: string } {
    if (this.#extensions === undefined) {
      throw fault('NotSupported', {}, 'Extensions do not sign in here.');
    }
    const known = this.checkLocale(locale);
    const { clientAddress, clientCertificate } = connection;
    if (clientCertificate === undefined) {
      throw fault('NoClientCertificate', {}, 'The connection has no client certificate.');
    }
    if (extensionKey.length > credentialLimit) throw invalidLogin();
    if (!this.#extensions.accepts(extensionKey, clientCertificate)) {
      // A certificate cannot be guessed, so nobody is locked out: a center that lost its host asks on and on, and
      // comes back when it is trusted again. Only the events are bounded.
      if (this.#strangers.refuses(extensionKey, clientAddress)) throw invalidLogin();
      this.#strangers.failed(extensionKey, clientAddress);
      throw this.#refused(extensionKey, clientAddress);
    }
    this.#strangers.succeeded(extensionKey, clientAddress);
    const userName = this.#extensionUserName(extensionKey);
    const identity = { userName, fullName: extensionKey, groups: this.#extensionGroups(extensionKey) };
    return this.#begin(new SignedInSession(this.#clock, identity, connection, known, 'extension'));
  }

  /** A session of the process itself: listed as others are, never idle, and without a token; `end` ends it. */
  openInternal({ userName, fullName = userName, groups = [] }: InternalSessionOptions): InternalSession {
    const origin = { clientAddress: '127.0.0.1', userAgent: 'internal' };
    const identity = { userName, fullName, groups };
    const session = new SignedInSession(this.#clock, identity, origin, this.#defaultLocale, 'internal');
    this.#byKey.set(session.key, session);
    this.#registry.commit((draft) => draft.touch(this.ref, 'sessionList'));
    return { session, end: () => this.end(session) };
  }

  /** True when it is the user's password; guesses are limited as in sign-in, and refused with InvalidLogin. */
  async checkPassword(userName: string, password: string, clientAddress: string): Promise<boolean> {
    await this.#identify(userName, password, clientAddress);
    return true;
  }

  /** Ends a session; everything that hangs on it goes. */
  end(session: Session): void {
    const ended = this.#byKey.get(session.key);
    if (ended === undefined || ended !== session) return;
    this.#byKey.delete(ended.key);
    for (const [hash, other] of this.#byToken) if (other === ended) this.#byToken.delete(hash);
    this.#cloneTickets.discard((other) => other === ended);
    this.#serviceTickets.discard((ticket) => ticket.session === ended);
    for (const error of ended.end()) this.#onDefect('end of session', error);
    this.#registry.commit((draft) => {
      draft.touch(this.ref, 'sessionList');
      if (ended.kind === 'internal') return;
      this.#events.post(draft, {
        type: 'UserLogoutSessionEvent',
        userName: ended.userName,
        members: {
          ipAddress: ended.clientAddress,
          userAgent: ended.userAgent,
          callCount: ended.callCount,
          sessionId: ended.key,
          loginTime: ended.loginTime,
        },
      });
    });
  }

  /** Ends every session of a user who is gone. */
  endOf(userName: string): void {
    for (const session of [...this.#byKey.values()]) if (session.userName === userName) this.end(session);
  }

  /** Says in which groups a user is now. */
  regroup(userName: string, groups: readonly string[]): void {
    for (const session of this.#byKey.values()) {
      // Sessions of the process itself have the groups that they were opened with.
      if (session.userName === userName && session.kind !== 'internal') session.groups = groups;
    }
  }

  /** Ends a lock-out before its time. */
  unlock(userName: string): void {
    this.#locks?.unlock(this.#nameOf(userName));
  }

  /** Turns a session into one of somebody else, without their password. Fails with InvalidLogin or InvalidLocale. */
  async impersonate(
    session: SignedInSession,
    { userName, locale }: { readonly userName: string; readonly locale: string | undefined },
    origin: SessionOrigin,
  ): Promise<{ session: SignedInSession; token: string }> {
    const chosen = locale === undefined ? session.locale : this.checkLocale(locale);
    const identity = await this.#identities.identity?.(userName);
    if (identity === undefined) throw invalidLogin();
    const begun = this.#begin(new SignedInSession(this.#clock, identity, origin, chosen));
    this.end(session);
    return begun;
  }

  /** Ends somebody's session, by decision of `userName`. */
  terminate(session: Session, userName: string): void {
    this.#events.post(undefined, {
      type: 'SessionTerminatedEvent',
      userName,
      members: { sessionId: session.key, terminatedUsername: session.userName },
    });
    this.end(session);
  }

  /** Says that sessions look different. */
  changed(): void {
    this.#registry.commit((draft) => {
      draft.touch(this.ref, 'sessionList');
      draft.touch(this.ref, 'currentSession');
    });
  }

  /** The message that clients show to everybody who signs in. */
  setMessage(message: string): void {
    this.#registry.commit((draft) => draft.set(this.ref, { message: message.slice(0, 4_096) }));
  }

  /** A ticket for one more session like this one, good once. */
  issueCloneTicket(session: Session): string {
    return this.#cloneTickets.issue(this.#own(session));
  }

  redeemCloneTicket(ticket: string, origin: SessionOrigin): { session: SignedInSession; token: string } | undefined {
    const from = this.#cloneTickets.redeem(ticket);
    if (from === undefined || from.ended) return undefined;
    return this.#begin(new SignedInSession(this.#clock, from, origin, from.locale));
  }

  /** A ticket for one HTTP request, in place of a session. */
  issueServiceTicket(session: Session, request: ServiceRequest): string {
    return this.#serviceTickets.issue({ session: this.#own(session), request });
  }

  /** The session that a service ticket stands for, when it is for that request; a ticket is good once. */
  redeemServiceTicket(ticket: string, request: ServiceRequest): Session | undefined {
    const found = this.#serviceTickets.redeem(
      ticket,
      ({ request: granted }) =>
        granted.method.toUpperCase() === request.method.toUpperCase() && target(granted.url) === target(request.url),
    );
    if (found === undefined || found.session.ended) return undefined;
    found.session.renew();
    return found.session;
  }

  /** The locale to use; the default one when none is asked for. Fails with InvalidLocale. */
  checkLocale(locale: string | undefined): string {
    if (locale === undefined || locale === '') return this.#defaultLocale;
    if (!localePattern.test(locale)) throw fault('InvalidLocale', {}, 'The locale is not known.');
    return locale;
  }

  /** Stops the sweep and ends every session. */
  close(): void {
    this.#stopSweep();
    for (const session of [...this.#byKey.values()]) this.end(session);
  }

  #begin(session: SignedInSession): { session: SignedInSession; token: string } {
    if (this.#byKey.size >= this.#sessionLimit) this.#sweepIdle();
    if (this.#byKey.size >= this.#sessionLimit) {
      throw fault('SystemError', { reason: 'too many sessions' }, 'Too many sessions are open.');
    }
    const token = randomSecret();
    this.#byToken.set(secretHash(token), session);
    this.#byKey.set(session.key, session);
    this.#registry.commit((draft) => {
      draft.touch(this.ref, 'sessionList');
      draft.touch(this.ref, 'currentSession');
      this.#events.post(draft, {
        type: 'UserLoginSessionEvent',
        userName: session.userName,
        members: {
          ipAddress: session.clientAddress,
          userAgent: session.userAgent,
          locale: session.locale,
          sessionId: session.key,
        },
      });
    });
    return { session, token };
  }

  async #identify(userName: string, password: string, address: string): Promise<Identity> {
    const wellFormed = userName.length <= credentialLimit && password.length <= credentialLimit;
    // No event: a flood of guesses shall not push out the history of everything else.
    if (!wellFormed || this.#refuses(this.#nameOf(userName), address)) throw invalidLogin();
    if (this.#authenticating >= authenticationLimit || this.#turns.waiting(address) >= addressLimit) {
      throw fault('SystemError', { reason: 'busy' }, 'Too many sign-ins are under way; try again.');
    }
    this.#authenticating += 1;
    return this.#turns
      .run(address, () => this.#check(userName, password, address))
      .finally(() => {
        this.#authenticating -= 1;
      });
  }

  async #check(userName: string, password: string, address: string): Promise<Identity> {
    // What came before in the same moment may have been wrong too often.
    const name = this.#nameOf(userName);
    if (this.#refuses(name, address)) throw invalidLogin();
    const identity = await this.#identities.authenticate(userName, password);
    if (identity === undefined) {
      this.#throttle.failed(name, address);
      this.#failed(name);
      throw this.#refused(userName, address);
    }
    this.#throttle.succeeded(name, address);
    this.#locks?.succeeded(name);
    return identity;
  }

  #nameOf(userName: string): string {
    return this.#identities.canonicalName?.(userName) ?? userName;
  }

  #refuses(name: string, address: string): boolean {
    return this.#throttle.refuses(name, address) || this.#locks?.refuses(name) === true;
  }

  #failed(name: string): void {
    const locked = this.#locks?.failed(name);
    if (locked === undefined) return;
    const { seconds, attempts } = locked;
    const shown = name.slice(0, 128);
    this.#events.post(undefined, {
      type: 'EventEx',
      userName: shown,
      message: `The account ${shown} is locked for ${seconds} seconds after ${attempts} failed sign-ins.`,
      members: {
        eventTypeId: 'esx.audit.account.locked',
        severity: 'warning',
        arguments: [
          { _typeName: 'KeyAnyValue', key: '1', value: shown },
          { _typeName: 'KeyAnyValue', key: '2', value: String(seconds) },
          { _typeName: 'KeyAnyValue', key: '3', value: String(attempts) },
        ],
      },
    });
  }

  #refused(userName: string, ipAddress: string) {
    const name = userName.slice(0, 128);
    this.#events.post(undefined, { type: 'BadUsernameSessionEvent', userName: name, members: { ipAddress } });
    return invalidLogin();
  }

  #own(session: Session): SignedInSession {
    const own = this.#byKey.get(session.key);
    if (own === undefined) throw fault('NotAuthenticated', { object: this.ref }, 'The session is not authenticated.');
    return own;
  }

  #sweep(): void {
    this.#sweepIdle();
    this.#stopSweep = this.#clock.after(sweepInterval, () => this.#sweep());
  }

  #sweepIdle(): void {
    for (const session of [...this.#byKey.values()]) if (session.idle >= this.idleTimeout) this.end(session);
  }
}

function invalidLogin() {
  return fault('InvalidLogin', {}, 'Cannot complete login due to an incorrect user name or password.');
}

/** Path and query of a URL, in one spelling. */
function target(url: string): string | undefined {
  if (!URL.canParse(url, 'https://host/')) return undefined;
  const { pathname, searchParams } = new URL(url, 'https://host/');
  searchParams.sort();
  return `${pathname}?${searchParams}`;
}
