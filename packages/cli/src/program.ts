import { serverVersion } from '@hypostyle/server';
import { Command } from 'commander';
import type { CommandContext } from './command-context.ts';
import { type CommandFile, commandFiles } from './commands/index.ts';
import { exitCodesHelp } from './errors.ts';

/** The tree of commands: of the one that a command line means, or of all where it means none that is known. */
export async function makeProgram(context: CommandContext, args: readonly string[] = []): Promise<Command> {
  const program = new Command('hypo');
  program
    .description('Virtual machines in VMware formats, on open hypervisors.')
    .version(serverVersion, '--version')
    .option('--url <url>', 'server, such as https://host:8443; the local host unless told (HYPOSTYLE_URL)')
    .option('--username <name>', 'who signs in (HYPOSTYLE_USERNAME)')
    .option('--password-file <file>', 'file whose first line is the password (or HYPOSTYLE_PASSWORD)')
    .option('--ca-file <file>', 'certificates in PEM that sign the server (HYPOSTYLE_CA_FILE)')
    .option('--fingerprint <hex>', "SHA-256 or SHA-1 of the server's certificate: trust that one alone")
    .option('--insecure', 'trust any certificate (HYPOSTYLE_INSECURE=1)')
    .option('--home <folder>', 'home of the local host: ~/.hypostyle unless told (HYPOSTYLE_HOME)')
    .option('--json', 'answer as JSON')
    .configureOutput({
      writeOut: (text) => void context.terminal.output.write(text),
      writeErr: (text) => void context.terminal.errors.write(text),
      outputError: (text, write) => write(`hypo: ${text.replace(/^error: /, '')}`),
    })
    .showSuggestionAfterError()
    .exitOverride()
    .addHelpText('after', exitCodesHelp)
    .addHelpText(
      'after',
      `
Examples:
  hypo up --detach                       a center, with this machine as its first host
  hypo deploy appliance.ova --power-on --wait-ip
  hypo ls
  hypo console appliance
  hypo host join esx2                    take another host in`,
    );
  const definitions = await Promise.all(filesFor(program, args).map((file) => file.load()));
  for (const define of definitions) define(program, context);
  return program;
}

function filesFor(program: Command, args: readonly string[]): readonly CommandFile[] {
  const [wanted] = program.parseOptions([...args]).operands;
  const file = commandFiles.find(({ names }) => wanted !== undefined && names.includes(wanted));
  return file && !file.all ? [file] : commandFiles;
}
