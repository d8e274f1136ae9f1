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

/** A session of this server. */
export class SignedInSession implements Session {
  readonly key = randomUUID();
  readonly userName: string;
  readonly fullName: string;
  readonly groups: readonly string[];
  readonly loginTime: string;
  readonly clientAddress: string;
  readonly userAgent: string;
  locale: string;
  callCount = 0;
  readonly #clock: Clock;
  readonly #disposers = new Set<() => void>();
  #callsUnderWay = 0;
  #lastActive: number;
  #ended = false;

  constructor(clock: Clock, identity: Identity, origin: SessionOrigin, locale: string) {
    this.#clock = clock;
    this.userName = identity.userName;
    this.fullName = identity.fullName;
    this.groups = identity.groups;
    this.clientAddress = origin.clientAddress;
    // As long as an honest one; it is a stranger's text.
    this.userAgent = origin.userAgent.slice(0, 512);
    this.locale = locale;
    this.loginTime = dateTime(clock);
    this.#lastActive = clock.now();
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Milliseconds since the last call ended; 0 while one is under way. */
  get idle(): number {
    return this.#callsUnderWay > 0 ? 0 : this.#clock.now() - this.#lastActive;
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
      extensionSession: false,
      ipAddress: this.clientAddress,
      userAgent: this.userAgent,
      callCount: this.callCount,
    };
  }
}
