import { readFile } from 'node:fs/promises';
import { type ListenAddress, type RunningServer, serverVersion, startServer, writeReadyFile } from '@hypostyle/server';
import type { CommandContext } from '../command-context.ts';
import { print, printJson } from '../output/terminal.ts';

export interface HostSettings {
  /** A host alone, or a center with the host of this machine. */
  readonly mode: 'host' | 'center';
  /** Absolute. */
  readonly home: string;
  readonly listen: ListenAddress;
  /** Where the host of a center answers by itself. */
  readonly hostListen?: ListenAddress;
  /** Where disks are exported over NBD. */
  readonly nbdListen?: ListenAddress;
  /** Database of the center's state, a `postgres://` URL. */
  readonly postgres?: string;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
}

/** Serves until a signal says to stop. */
export async function serveInForeground(
  settings: HostSettings,
  { readyFile, json }: { readonly readyFile?: string; readonly json?: boolean },
  { terminal, signal }: CommandContext,
): Promise<void> {
  const server = await startServer(settings);
  const crash = (error: unknown) => {
    server.logger.fatal({ err: error }, 'an error that nothing caught; the server ends, machines run on');
    void server.close().finally(() => process.exit(1));
    // A state that nobody foresaw may not let it close.
    setTimeout(() => process.exit(1), 5_000);
  };
  process.on('uncaughtException', crash);
  process.on('unhandledRejection', crash);
  // A terminal that was closed must not end the server by its last words.
  terminal.output.on('error', () => {});
  try {
    if (readyFile !== undefined) {
      const password = (await readFile(server.passwordFile, 'utf8')).split('\n', 1)[0] ?? '';
      const { url, hostUrl, username } = server;
      const addresses = { url, ...(hostUrl === undefined ? {} : { hostUrl }) };
      await writeReadyFile(readyFile, { ...addresses, username, password, pid: process.pid });
    }
    if (json) printJson(terminal, summary(server));
    else print(terminal, greeting(server));
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  } finally {
    await server.close();
    process.off('uncaughtException', crash);
    process.off('unhandledRejection', crash);
  }
}

function summary({ url, hostUrl, username, passwordFile, home, accelerator, acceleratorReason }: RunningServer) {
  return {
    url,
    hostUrl,
    username,
    passwordFile,
    home: home.directory,
    pid: process.pid,
    accelerator,
    acceleratorReason,
  };
}

function greeting({
  url,
  hostUrl,
  username,
  passwordFile,
  home,
  accelerator,
  acceleratorReason,
}: RunningServer): string {
  const speed = accelerator === 'kvm' ? 'KVM' : `emulation, which is slow. ${acceleratorReason ?? ''}`;
  return `Hypostyle ${serverVersion} is ready.

  Address    ${url}  (API: ${url}/sdk)${hostUrl === undefined ? '' : `\n  Host       ${hostUrl}  (this machine's own endpoint; user root, the same password)`}
  User       ${username}
  Password   in ${passwordFile}
  Authority  ${home.authorityFile}  (for clients that check the certificate)
  Machines   run by ${speed}
  Log        ${home.logFile}

In another terminal:
  hypo deploy FILE.ova --power-on --wait-ip
  hypo ls${hostUrl === undefined ? '' : `\n  hypo host join HOST:PORT    take in another machine that runs 'hypo host'`}

Ctrl-C stops the server; machines run on.`;
}
