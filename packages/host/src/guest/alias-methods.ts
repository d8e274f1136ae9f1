import {
  actingUser,
  type Call,
  data,
  fault,
  type GuestAuthentication,
  type ManagedObjectReference,
  type MethodTable,
} from '@hypostyle/vim';
import type { MachineRecord } from '../machine/record/machine-record.ts';
import { certificateOf, type KeptAlias, listed, parseAliases, subjectName, subjectOf, withAlias } from './aliases.ts';
import type { GuestAccess } from './guest-access.ts';
import { guestFaults } from './guest-faults.ts';

interface On {
  readonly vm: ManagedObjectReference;
  readonly auth: GuestAuthentication;
}

/** The guest's administrator, whose the kept aliases are. */
const administrator = { userName: 'root', password: undefined } as const;

/** GuestAliasManager: what is kept in the guest, for it to know. SAML tokens are taken by nobody here yet. */
export function aliasMethods(access: GuestAccess): MethodTable<'GuestAliasManager'> {
  const { shell } = access;
  /** Checks who asks: an account's aliases are its own business, and the administrator's. */
  const enter = async (call: Call, { vm, auth }: On, account: string): Promise<MachineRecord> => {
    const { machine, user } = access.of(call, vm, auth);
    await shell.run(machine, user, { operation: 'nothing' });
    if (user.userName !== account && user.userName !== administrator.userName)
      throw guestFaults.denied(`aliases of ${account} are for ${account} and root`);
    if (!/^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,255}$/.test(account))
      throw guestFaults.argument('username', 'That is no name of an account.');
    return machine;
  };
  const read = async (machine: MachineRecord, account: string): Promise<KeptAlias[]> => {
    const text = await shell
      .run(machine, administrator, { operation: 'readAliases', parameters: [account], file: account })
      .catch((error: unknown) => {
        throw (error as { type?: string }).type === 'FileNotFound'
          ? guestFaults.argument('username', `The guest has no account ${account}.`)
          : error;
      });
    return parseAliases(text.toString('utf8'));
  };
  const write = async (call: Call, machine: MachineRecord, account: string, aliases: readonly KeptAlias[]) => {
    const data = Buffer.from(JSON.stringify(aliases));
    await shell.run(machine, administrator, { operation: 'writeAliases', parameters: [account], data, file: account });
    access.say(machine, actingUser(call), `Aliases of ${account} in the guest were changed`);
  };
  const everybody = async (machine: MachineRecord): Promise<Map<string, KeptAlias[]>> => {
    const parts = (await shell.run(machine, administrator, { operation: 'readAllAliases' }))
      .toString('utf8')
      .split('\0');
    const found = new Map<string, KeptAlias[]>();
    for (let at = 0; at + 1 < parts.length; at += 2) found.set(parts[at] ?? '', parseAliases(parts[at + 1] ?? ''));
    return found;
  };
  const without = async (call: Call, on: On, account: string, gone: (alias: KeptAlias) => boolean) => {
    const machine = await enter(call, on, account);
    const aliases = await read(machine, account);
    const rest = aliases.filter((alias) => !gone(alias));
    if (rest.length === aliases.length) throw guestFaults.argument('base64Cert', `${account} has no such alias.`);
    await write(call, machine, account, rest);
  };

  return {
    AddGuestAlias: async (call, { username, mapCert, base64Cert, aliasInfo, ...on }) => {
      const certificate = certificateOf(base64Cert);
      const machine = await enter(call, on, username);
      const aliases = withAlias(await read(machine, username), certificate, mapCert, aliasInfo);
      if (mapCert) {
        for (const [account, theirs] of await everybody(machine)) {
          if (account === username || !theirs.some((each) => each.mapped && each.certificate === certificate)) continue;
          throw fault('GuestMultipleMappings', {}, `The certificate is mapped to ${account} already.`);
        }
      }
      await write(call, machine, username, aliases);
    },
    RemoveGuestAlias: (call, { username, base64Cert, subject, ...on }) => {
      const certificate = certificateOf(base64Cert);
      const name = subjectName(subject);
      return without(call, on, username, (each) => each.certificate === certificate && each.subject === name);
    },
    RemoveGuestAliasByCert: (call, { username, base64Cert, ...on }) => {
      const certificate = certificateOf(base64Cert);
      return without(call, on, username, (each) => each.certificate === certificate);
    },
    ListGuestAliases: async (call, { username, ...on }) => {
      const machine = await enter(call, on, username);
      return listed(await read(machine, username));
    },
    ListGuestMappedAliases: async (call, { vm, auth }) => {
      const { machine, user } = access.of(call, vm, auth);
      await shell.run(machine, user, { operation: 'nothing' });
      return [...(await everybody(machine))].flatMap(([username, aliases]) =>
        [
          ...Map.groupBy(
            aliases.filter(({ mapped }) => mapped),
            ({ certificate }) => certificate,
          ),
        ].map(([base64Cert, group]) =>
          data('GuestMappedAliases', { base64Cert, username, subjects: group.map(subjectOf) }),
        ),
      );
    },
  };
}
