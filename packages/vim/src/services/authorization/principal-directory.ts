/** Tells whether a user or group is there, by which name it goes, and who is in which group. */
export interface PrincipalDirectory {
  /** The one name of a user or group that may be written in several ways; undefined when there is none. */
  find(principal: string, group: boolean): Promise<string | undefined>;
  /** Every group that a user is in, those that its groups are in among them. */
  groupsOf(userName: string): Promise<readonly string[]>;
  /** Tells of accounts that change; the answer takes it back. Accounts never change where it is missing. */
  watch?(watcher: PrincipalWatcher): () => void;
}

/** Told of accounts that change, by their one name. */
export interface PrincipalWatcher {
  /** Before an account goes: what it throws keeps the account. */
  removing(principal: string, group: boolean): void;
  removed(principal: string, group: boolean): Promise<void>;
  /** A user is in other groups than before. */
  regrouped(userName: string, groups: readonly string[]): void;
}
