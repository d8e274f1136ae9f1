import { data, type HostConnectSpec, VimFault } from '@hypostyle/vim';
import type { Command } from 'commander';
import type { CommandContext } from '../command-context.ts';
import { CliError } from '../errors.ts';
import { ask } from '../output/prompt.ts';
import { note } from '../output/terminal.ts';
import type { HostAddress } from './host-address.ts';
import { readSecret } from './secret.ts';

/** Options that say how a center signs in at a host, and which certificate it may trust. */
export interface HostCredentialOptions {
  readonly user: string;
  readonly hostPasswordFile?: string;
  readonly thumbprint?: string;
  readonly force?: boolean;
}

/** Adds them to a command. */
export function hostCredentialOptions(command: Command): Command {
  return command
    .option('--user <name>', 'account of the host', 'root')
    .option('--host-password-file <file>', "file whose first line is that account's password; - reads standard input")
    .option('--thumbprint <hex>', "SHA-1 or SHA-256 of the host's certificate, which is asked about unless told")
    .option('--force', 'take it even where another center has it');
}

/** What a center is told of a host, but for the certificate. Asks for the password. */
export async function connectSpec(
  context: CommandContext,
  { host, port }: HostAddress,
  { user, hostPasswordFile, thumbprint, force = false }: HostCredentialOptions,
): Promise<HostConnectSpec> {
  const whose = `${user} at ${host}`;
  const password = await readSecret(context, { whose, option: '--host-password-file', file: hostPasswordFile });
  return data('HostConnectSpec', {
    hostName: host,
    port,
    userName: user,
    password,
    force,
    ...(thumbprint === undefined ? {} : { sslThumbprint: thumbprint }),
  });
}

/**
 * The same with a certificate that was confirmed: by the option, or by the person once `probe` was refused with the one
 * that the host shows. Throws where nobody can be asked.
 */
export async function confirmCertificate(
  context: CommandContext,
  spec: HostConnectSpec,
  probe: (spec: HostConnectSpec) => Promise<unknown>,
): Promise<HostConnectSpec> {
  if (spec.sslThumbprint !== undefined) return spec;
  const shown = await probe(spec).then(
    () => undefined,
    (error: unknown) => {
      if (error instanceof VimFault && error.type === 'SSLVerifyFault') return String(error.detail.thumbprint);
      throw error;
    },
  );
  // The center trusts it by other means.
  if (shown === undefined) return spec;
  const { terminal, signal } = context;
  const fact = `The certificate of ${spec.hostName} has the thumbprint ${shown}.`;
  if (!terminal.input.isTTY) {
    throw new CliError('failed', `${fact} Nobody has confirmed it.`, {
      next: `Compare it with what 'hypo host status' says on that machine, then add --thumbprint ${shown}`,
    });
  }
  note(terminal, `${fact}\n'hypo host status' on that machine says the same if it is the one that you mean.`);
  const answer = await ask(terminal, 'Trust it? [y/N] ', { hidden: false, signal });
  if (/^y(es)?$/i.test(answer.trim())) return { ...spec, sslThumbprint: shown };
  throw new CliError('failed', 'The certificate is not trusted; the host was not taken in.');
}

/** Works, and says of a sign-in that the host refused that it was the host's. */
export async function tellRefusal<T>(user: string, host: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof VimFault) || error.type !== 'InvalidLogin') throw error;
    throw new CliError('failed', `${host} refuses the sign-in of ${user}.`, {
      next: 'Give its account with --user and its password with --host-password-file.',
      cause: error,
    });
  }
}
