import { fault } from '../../runtime/fault.ts';
import type { PrincipalDirectory } from '../authorization/principal-directory.ts';
import type { Persistence } from '../persistence.ts';
import type { Identity, IdentityProvider } from '../sessions/identity-provider.ts';
import { hashPassword, type PasswordHash, verifyPassword } from './password-hash.ts';

/** A user or group as others see it. */
export interface Account {
  readonly name: string;
  readonly group: boolean;
  readonly description: string;
  /** For a user, its groups; for a group, none. */
  readonly groups: readonly string[];
}

interface AccountRecord extends Account {
  readonly password?: PasswordHash;
}

export interface LocalAccountsOptions {
  readonly persistence: Persistence;
  /** Cost of scrypt for new passwords, a power of two; tests lower it. */
  readonly passwordCost?: number;
}

const collection = 'accounts';
const namePattern = /^[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,63}$/;
const passwordLimit = { least: 7, most: 1_024 };

/** Users and groups of this server itself. */
export class LocalAccounts implements IdentityProvider, PrincipalDirectory {
  readonly #persistence: Persistence;
  readonly #cost: number | undefined;
  readonly #accounts = new Map<string, AccountRecord>();
  /** What the password of an unknown name is compared with, so that it takes as long. */
  readonly #decoy: PasswordHash;
  /** Changes go one after another. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor({ persistence, passwordCost }: LocalAccountsOptions, decoy: PasswordHash) {
    this.#persistence = persistence;
    this.#cost = passwordCost;
    this.#decoy = decoy;
  }

  static async open(options: LocalAccountsOptions): Promise<LocalAccounts> {
    const accounts = new LocalAccounts(options, await hashPassword('', options.passwordCost));
    for (const { value } of await options.persistence.list<AccountRecord>(collection)) {
      accounts.#accounts.set(key(value), value);
    }
    return accounts;
  }

  get empty(): boolean {
    return this.#accounts.size === 0;
  }

  list(): Account[] {
    return [...this.#accounts.values()].map(({ password: _password, ...account }) => account);
  }

  async authenticate(userName: string, password: string): Promise<Identity | undefined> {
    const account = this.#accounts.get(key({ name: userName, group: false }));
    const right = await verifyPassword(password, account?.password ?? this.#decoy);
    if (!right || account?.password === undefined) return undefined;
    return { userName: account.name, fullName: account.description || account.name, groups: account.groups };
  }

  async exists(principal: string, group: boolean): Promise<boolean> {
    return this.#accounts.has(key({ name: principal, group }));
  }

  async groupsOf(userName: string): Promise<readonly string[]> {
    return this.#accounts.get(key({ name: userName, group: false }))?.groups ?? [];
  }

  /** Fails with AlreadyExists, or InvalidArgument when name or password will not do. */
  async createUser(name: string, password: string, description = ''): Promise<void> {
    checkName(name);
    checkPassword(password);
    await this.#inTurn(async () => {
      if (this.#accounts.has(key({ name, group: false })))
        throw fault('AlreadyExists', { name }, `The user ${name} exists.`);
      const hash = await hashPassword(password, this.#cost);
      await this.#keep([{ name, group: false, description, groups: [], password: hash }]);
    });
  }

  /** Changes what is given. Fails with UserNotFound. */
  async updateUser(name: string, change: { readonly password?: string; readonly description?: string }): Promise<void> {
    if (change.password !== undefined) checkPassword(change.password);
    await this.#inTurn(async () => {
      const user = this.#account(name, false);
      const password = change.password === undefined ? user.password : await hashPassword(change.password, this.#cost);
      const { description = user.description } = change;
      await this.#keep([{ ...user, description, ...(password === undefined ? {} : { password }) }]);
    });
  }

  /** Fails with UserNotFound. */
  async removeUser(name: string): Promise<void> {
    await this.#inTurn(async () => this.#remove(this.#account(name, false)));
  }

  /** Fails with AlreadyExists. */
  async createGroup(name: string, description = ''): Promise<void> {
    checkName(name);
    await this.#inTurn(async () => {
      if (this.#accounts.has(key({ name, group: true })))
        throw fault('AlreadyExists', { name }, `The group ${name} exists.`);
      await this.#keep([{ name, group: true, description, groups: [] }]);
    });
  }

  /** Fails with UserNotFound. */
  async removeGroup(name: string): Promise<void> {
    await this.#inTurn(async () => {
      const group = this.#account(name, true);
      const members = [...this.#accounts.values()].filter((account) => account.groups.includes(name));
      if (members.length > 0) {
        await this.#keep(members.map((user) => ({ ...user, groups: user.groups.filter((other) => other !== name) })));
      }
      await this.#remove(group);
    });
  }

  /** Fails with UserNotFound, or AlreadyExists for a member. */
  async assign(userName: string, groupName: string): Promise<void> {
    await this.#inTurn(async () => {
      const user = this.#account(userName, false);
      this.#account(groupName, true);
      if (user.groups.includes(groupName))
        throw fault('AlreadyExists', { name: userName }, 'The user is in the group.');
      await this.#keep([{ ...user, groups: [...user.groups, groupName] }]);
    });
  }

  /** Fails with UserNotFound, also for a user who is no member. */
  async unassign(userName: string, groupName: string): Promise<void> {
    await this.#inTurn(async () => {
      const user = this.#account(userName, false);
      if (!user.groups.includes(groupName)) throw userNotFound(userName);
      await this.#keep([{ ...user, groups: user.groups.filter((other) => other !== groupName) }]);
    });
  }

  #account(name: string, group: boolean): AccountRecord {
    const account = this.#accounts.get(key({ name, group }));
    if (account === undefined) throw userNotFound(name);
    return account;
  }

  async #keep(records: readonly AccountRecord[]): Promise<void> {
    await this.#persistence.transact(records.map((value) => ({ put: { collection, key: key(value), value } })));
    for (const record of records) this.#accounts.set(key(record), record);
  }

  async #remove(record: AccountRecord): Promise<void> {
    await this.#persistence.transact([{ delete: { collection, key: key(record) } }]);
    this.#accounts.delete(key(record));
  }

  async #inTurn(change: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(change);
    this.#turn = turn.catch(() => {});
    await turn;
  }
}

function key({ name, group }: { readonly name: string; readonly group: boolean }): string {
  return `${group ? 'group' : 'user'} ${name}`;
}

function checkName(name: string): void {
  if (!namePattern.test(name)) {
    throw fault('InvalidArgument', { invalidProperty: 'id' }, 'The name of the account is not valid.');
  }
}

function checkPassword(password: string): void {
  if (password.length < passwordLimit.least || password.length > passwordLimit.most) {
    const { least, most } = passwordLimit;
    throw fault('InvalidArgument', { invalidProperty: 'password' }, `A password has ${least} to ${most} characters.`);
  }
}

function userNotFound(principal: string) {
  return fault('UserNotFound', { principal, unresolved: false }, `There is no account ${principal}.`);
}
