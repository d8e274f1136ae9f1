import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findDaemon, type Home, homeAt, parseListenAddress } from '@hypostyle/server';
import type { Command } from 'commander';
import type { CommandContext, CommandDefinition } from '../../command-context.ts';
import { optionsOf } from '../../command-context.ts';
import { homePath } from '../../connection/server-address.ts';
import { CliError } from '../../errors.ts';
import {
  addDaemonOptions,
  addListenOption,
  type DaemonOptions,
  daemonOptionsOf,
  nbdListenOf,
} from '../../host/daemon-options.ts';
import { startDetached } from '../../host/detached.ts';
import { serveInForeground } from '../../host/foreground.ts';
import { addStopAction } from '../../host/stop-command.ts';
import { print, printJson } from '../../output/terminal.ts';
import { defineHostAutostart } from './host-autostart.ts';
import { defineHostJoin } from './host-join.ts';
import { defineHostList } from './host-list.ts';
import { defineHostPresence } from './host-presence.ts';

/** `hypo host`: runs this machine as a host, and the hosts of a center. */
export const defineHost: CommandDefinition = (program, context) => {
  const host = program.command('host').description('run this machine as a host, or work with the hosts of a center');
  addDaemonOptions(addListenOption(host, context, 'server'))
    .addHelpText(
      'after',
      `
Examples:
  hypo host                                  in the foreground, until Ctrl-C
  hypo host --detach                         in the background
  hypo host --listen 0.0.0.0:443 --home /var/lib/hypostyle
  hypo host status
  hypo host stop
  hypo host join esx2                        at a center: take another host in
  hypo host ls`,
    )
    .action(async (_options: unknown, command: Command) => {
      const options = daemonOptionsOf<DaemonOptions>(command);
      const listen = parseListenAddress(options.listen);
      const home = homePath(options, context.environment);
      const settings = { mode: 'host', home, listen, ...nbdListenOf(options), logLevel: options.logLevel } as const;
      if (options.detach) await startDetached(settings, options, context);
      else await serveInForeground(settings, options, context);
    });
  defineStop(host, context);
  defineStatus(host, context);
  defineHostJoin(host, context);
  defineHostList(host, context);
  defineHostPresence(host, context);
  defineHostAutostart(host, context);
};

function defineStop(host: Command, context: CommandContext): void {
  const stop = host
    .command('stop')
    .description('end the host of the home folder; its machines run on')
    .addHelpText('after', '\nExample:\n  hypo host stop --home /var/lib/hypostyle');
  addStopAction(stop, context, 'No host');
}

function defineStatus(host: Command, context: CommandContext): void {
  host
    .command('status')
    .description('say whether a host runs for the home folder, and where')
    .addHelpText('after', '\nExample:\n  hypo host status --json')
    .action(async (_options: unknown, command: Command) => {
      const options = optionsOf(command);
      const home = homeAt(homePath(options, context.environment));
      const daemon = await findDaemon(home);
      if (daemon === undefined) {
        if (options.json) printJson(context.terminal, { running: false, home: home.directory });
        throw new CliError('unreachable', `No host runs for ${home.directory}.`, {
          next: "Start one with 'hypo host --detach'.",
        });
      }
      const { pid, url, hostUrl } = daemon;
      const thumbprint = await ownThumbprint(home);
      if (options.json)
        printJson(context.terminal, { running: true, home: home.directory, pid, url, hostUrl, thumbprint });
      else {
        print(context.terminal, `${url ?? 'The host starts'} (process ${pid}, home ${home.directory})`);
        if (hostUrl !== undefined) print(context.terminal, `Its own host answers at ${hostUrl}`);
        if (thumbprint !== undefined) print(context.terminal, `Thumbprint of its certificate: ${thumbprint}`);
      }
    });
}

/** SHA-1 of the server's certificate, as centers and clients of the interface show it. */
async function ownThumbprint({ tlsDirectory }: Home): Promise<string | undefined> {
  try {
    return new X509Certificate(await readFile(join(tlsDirectory, 'server.crt'))).fingerprint;
  } catch {
    // It is being made, or belongs to somebody else.
    return undefined;
  }
}
