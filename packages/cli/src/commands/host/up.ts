import { parseListenAddress } from '@hypostyle/server';
import type { Command } from 'commander';
import type { CommandDefinition } from '../../command-context.ts';
import { homePath } from '../../connection/server-address.ts';
import {
  addDaemonOptions,
  addListenOption,
  type DaemonOptions,
  daemonOptionsOf,
  nbdListenOf,
} from '../../host/daemon-options.ts';
import { startDetached } from '../../host/detached.ts';
import { serveInForeground } from '../../host/foreground.ts';
import { hostAddressBeside, usualHostPort } from '../../host/free-port.ts';
import { addStopAction } from '../../host/stop-command.ts';

interface UpOptions extends DaemonOptions {
  readonly hostListen?: string;
  readonly postgres?: string;
}

/** `hypo up`: a center, with this machine as its first host. */
export const defineUp: CommandDefinition = (program, context) => {
  const up = program
    .command('up')
    .description('run a center with this machine as its first host; machines run on when it stops');
  addListenOption(up, context, 'center')
    .option(
      '--host-listen <host:port>',
      `where this machine's host answers by itself; port ${usualHostPort} unless told, or any when that is taken`,
    )
    .option('--postgres <url>', "keep the center's state in PostgreSQL; also HYPOSTYLE_POSTGRES");
  addDaemonOptions(up)
    .addHelpText(
      'after',
      `
Examples:
  hypo up                                    in the foreground, until Ctrl-C
  hypo up --detach                           in the background
  hypo up --listen 0.0.0.0:443 --host-listen 0.0.0.0:8443 --home /var/lib/hypostyle
  hypo down`,
    )
    .action(async (_options: unknown, command: Command) => {
      const options = daemonOptionsOf<UpOptions>(command);
      const postgres = options.postgres ?? context.environment.HYPOSTYLE_POSTGRES;
      const listen = parseListenAddress(options.listen);
      const settings = {
        mode: 'center',
        home: homePath(options, context.environment),
        listen,
        hostListen:
          options.hostListen === undefined ? await hostAddressBeside(listen) : parseListenAddress(options.hostListen),
        ...(postgres ? { postgres } : {}),
        ...nbdListenOf(options),
        logLevel: options.logLevel,
      } as const;
      if (options.detach) await startDetached(settings, options, context);
      else await serveInForeground(settings, options, context);
    });
  const down = program
    .command('down')
    .description('end the center or host of the home folder; machines run on')
    .addHelpText('after', '\nExample:\n  hypo down --home /var/lib/hypostyle');
  addStopAction(down, context, 'Nothing');
};
