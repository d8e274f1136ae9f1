/** How the names of accounts are written. */
export interface AccountNaming {
  /** Domain that every account is of, such as `vsphere.local`; a host's accounts have none. */
  readonly domain?: string;
  /** Plain names that people type for an account, by alias: `{ root: 'administrator' }`. */
  readonly aliases?: Readonly<Record<string, string>>;
}

/** The one name of each account: names compare without regard to case, and may carry the domain in either way. */
export class AccountNames {
  readonly domain: string | undefined;
  readonly #aliases: ReadonlyMap<string, string>;

  constructor({ domain, aliases = {} }: AccountNaming) {
    this.domain = domain;
    this.#aliases = new Map(Object.entries(aliases).map(([alias, name]) => [alias.toLowerCase(), name.toLowerCase()]));
  }

  /** What an account is known by inside: no domain, small letters. Undefined for a name of another domain. */
  key(written: string, group: boolean): string | undefined {
    const plain = this.#plain(written)?.toLowerCase();
    if (plain === undefined) return undefined;
    return group ? plain : (this.#aliases.get(plain) ?? plain);
  }

  /** The name without the domain, in the case that it is written; undefined for a name of another domain. */
  #plain(written: string): string | undefined {
    const { domain } = this;
    if (domain === undefined) return written;
    const at = written.lastIndexOf('@');
    if (at >= 0) return isSame(written.slice(at + 1), domain) ? written.slice(0, at) : undefined;
    const slash = written.indexOf('\\');
    if (slash < 0) return written;
    return isSame(written.slice(0, slash), domain) ? written.slice(slash + 1) : undefined;
  }

  /** The name to keep of one that is new; undefined for a name of another domain. */
  stored(written: string): string | undefined {
    return this.#plain(written);
  }

  /**
   * The name as sessions, permissions and events have it: `VSPHERE.LOCAL\\Administrator`, as clients compare it with what
   * they were told.
   */
  shown(stored: string): string {
    return this.domain === undefined ? stored : `${this.domain.toUpperCase()}\\${stored}`;
  }
}

function isSame(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
