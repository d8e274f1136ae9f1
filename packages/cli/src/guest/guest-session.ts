import type { GuestAuthentication, ManagedObjectReference } from '@hypostyle/vim';
import { type Command, Option } from 'commander';
import { type CommandContext, onServer, optionsOf } from '../command-context.ts';
import { readSecret } from '../connection/secret.ts';
import type { ServerSession } from '../connection/server-session.ts';
import { CliError } from '../errors.ts';
import { findMachine } from '../inventory/find-object.ts';
import { withName } from '../inventory/run-task.ts';

/** One guest, as one of its users. */
export interface GuestSession {
  readonly server: ServerSession;
  readonly machine: { readonly ref: ManagedObjectReference<'VirtualMachine'>; readonly name: string };
  readonly auth: GuestAuthentication;
  readonly files: ManagedObjectReference<'GuestFileManager'>;
  readonly processes: ManagedObjectReference<'GuestProcessManager'>;
  readonly authentication: ManagedObjectReference<'GuestAuthManager'>;
}

/** Variables that tell who acts in guests: `name:password`, as users of other tools have it, or the two apart. */
const loginVariables = ['HYPOSTYLE_GUEST_LOGIN', 'GOVC_GUEST_LOGIN'] as const;

/** Adds what every command about a guest takes: the machine, and who acts in it. */
export function guestCommand(parent: Command, name: string, description: string): Command {
  return parent
    .command(name)
    .description(description)
    .argument('<machine>', 'name, path or id of the machine')
    .addOption(
      new Option('-l, --login <user>', 'user of the guest; its password is asked for, or comes by --login-file'),
    )
    .addOption(new Option('--login-file <file>', 'file with the password of the user, - for the standard input'));
}

/** Works in the guest that a command names, as the user that it names; faults tell the machine. */
export async function inGuest<T>(
  command: Command,
  context: CommandContext,
  machineName: string,
  work: (guest: GuestSession) => Promise<T>,
): Promise<T> {
  const { login, loginFile } = optionsOf<{ login?: string; loginFile?: string }>(command);
  const auth = await authentication(context, login, loginFile);
  return onServer(command, context, async (server) => {
    const machine = await findMachine(server, machineName);
    const { guestOperationsManager } = await server.client.content();
    if (guestOperationsManager === undefined) throw new CliError('failed', 'The server does nothing in guests.');
    const [manager] = await server.client.retrieve(guestOperationsManager, [
      'fileManager',
      'processManager',
      'authManager',
    ]);
    const { fileManager, processManager, authManager } = manager?.values ?? {};
    if (!fileManager || !processManager || !authManager)
      throw new CliError('failed', 'The server does nothing in guests.');
    try {
      return await work({
        server,
        machine,
        auth,
        files: fileManager,
        processes: processManager,
        authentication: authManager,
      });
    } catch (error) {
      throw withName(machine.name, error);
    }
  });
}

async function authentication(
  context: CommandContext,
  login: string | undefined,
  file: string | undefined,
): Promise<GuestAuthentication> {
  const { environment } = context;
  const variable = loginVariables.map((name) => environment[name]).find((value) => value !== undefined && value !== '');
  const colon = variable?.indexOf(':') ?? -1;
  const known = variable !== undefined && colon > 0 ? variable.slice(0, colon) : variable;
  const username = login ?? known;
  if (username === undefined)
    throw new CliError('usage', 'It is not said who acts in the guest.', {
      next: 'Give --login USER, or set HYPOSTYLE_GUEST_LOGIN to USER:PASSWORD.',
    });
  const own = variable !== undefined && colon > 0 && username === known && file === undefined;
  const password = own
    ? variable.slice(colon + 1)
    : await readSecret(context, { whose: `${username} in the guest`, option: '--login-file', file });
  return { _typeName: 'NamePasswordAuthentication', interactiveSession: false, username, password } as never;
}
