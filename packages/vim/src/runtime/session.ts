/** Who is signed in. Filters, views and collectors hang on it, and go with it. */
export interface Session {
  /** UserSession.key: public, listed by SessionManager. */
  readonly key: string;
  readonly userName: string;
  readonly fullName: string;
  /** Groups that the user is in, for permissions given to groups. */
  readonly groups?: readonly string[];
  readonly loginTime: string;
  readonly locale: string;
  readonly clientAddress: string;
  readonly userAgent: string;
  /** Whom it names beside itself is believed: `CallContext.realUser`. */
  readonly mayActForOthers?: boolean;
  /** True once signed out or expired. */
  readonly ended: boolean;
  /** Runs `dispose` when the session ends; the answer takes it back. */
  onEnd(dispose: () => void): () => void;
  /** Told that a call begins, which keeps the session from going idle until the answer says that it is over. */
  enter?(): () => void;
}
