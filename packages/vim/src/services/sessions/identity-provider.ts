/** Somebody who proved who they are. */
export interface Identity {
  readonly userName: string;
  readonly fullName: string;
  readonly groups: readonly string[];
}

/** Tells who a name and password belong to. */
export interface IdentityProvider {
  /**
   * The identity, or undefined when the name is unknown or the password wrong: both take the same time.
   * Rejects only when it cannot tell.
   */
  authenticate(userName: string, password: string): Promise<Identity | undefined>;
  /** Who a name stands for, without a password: for impersonation. Undefined when unknown. */
  identity?(userName: string): Promise<Identity | undefined>;
  /** The one name of a user who may be written in several ways; the name itself when unknown. */
  canonicalName?(userName: string): string;
}
