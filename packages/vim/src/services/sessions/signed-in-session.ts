import { randomUUID } from 'node:crypto';
import type { DataTypes } from '../../generated/types.ts';
import type { Session } from '../../runtime/session.ts';
import { type Clock, dateTime } from '../clock.ts';
import type { Identity } from './identity-provider.ts';

/** From where somebody signed in. */
export interface SessionOrigin {
  readonly clientAddress: string;
  readonly userAgent: string;
}

/** How a session came to be: by a password or ticket, by an extension's certificate, or by the process itself. */
export type SessionKind = 'user' | 'extension' | 'internal';

/** A session of this server. */
export class SignedInSession implements Session {
  readonly key = randomUUID();
  readonly userName: string;
  readonly fullName: string;
  groups: readonly string[];
  readonly loginTime: string;
  readonly clientAddress: string;
  readonly userAgent: string;
  readonly kind: SessionKind;
  locale: string;
  callCount = 0;
  readonly #clock: Clock;
  readonly #disposers = new Set<() => void>();
  #callsUnderWay = 0;
  #lastActive: number;
  #ended = false;

  constructor(clock: Clock, identity: Identity, origin: SessionOrigin, locale: string, kind: SessionKind = 'user') {
    this.#clock = clock;
    this.userName = identity.userName;
    this.fullName = identity.fullName;
    this.groups = identity.groups;
    this.clientAddress = origin.clientAddress;
    // As long as an honest one; it is a stranger's text.
    this.userAgent = origin.userAgent.slice(0, 512);
    this.locale = locale;
    this.kind = kind;
    this.loginTime = dateTime(clock);
    this.#lastActive = clock.now();
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Extensions and the process itself say who asked them; whoever signs in by password speaks for themselves. */
  get mayActForOthers(): boolean {
    return this.kind !== 'user';
  }

  /** Milliseconds since the last call ended; 0 while one is under way, and for the process itself. */
  get idle(): number {
    return this.#callsUnderWay > 0 || this.kind === 'internal' ? 0 : this.#clock.now() - this.#lastActive;
  }

  renew(): void {
    this.#lastActive = this.#clock.now();
  }

  enter(): () => void {
    this.#callsUnderWay += 1;
    this.callCount += 1;
    this.renew();
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#callsUnderWay -= 1;
      this.renew();
    };
  }

  onEnd(dispose: () => void): () => void {
    if (this.#ended) {
      dispose();
      return () => {};
    }
    this.#disposers.add(dispose);
    return () => this.#disposers.delete(dispose);
  }

  /** Ends it; answers the errors of disposers, all of which ran. */
  end(): unknown[] {
    this.#ended = true;
    const errors: unknown[] = [];
    for (const dispose of this.#disposers) {
      try {
        dispose();
      } catch (error) {
        errors.push(error);
      }
    }
    this.#disposers.clear();
    return errors;
  }

  toUserSession(): DataTypes['UserSession'] {
    const active = this.#callsUnderWay > 0 ? this.#clock.now() : this.#lastActive;
    return {
      _typeName: 'UserSession',
      key: this.key,
      userName: this.userName,
      fullName: this.fullName,
      loginTime: this.loginTime,
      lastActiveTime: new Date(active).toISOString(),
      locale: this.locale,
      messageLocale: 'en',
      extensionSession: this.kind === 'extension',
      ipAddress: this.clientAddress,
      userAgent: this.userAgent,
      callCount: this.callCount,
    };
  }
}
