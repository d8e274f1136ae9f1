import type { Store } from '@hypostyle/contracts';
import { openStore, StoreError } from '@hypostyle/store';
import type { Logger } from 'pino';
import { composeHost } from './compose-host.ts';
import { ServerError } from './errors.ts';
import { HttpsFaces } from './faces/https-faces.ts';
import { findDaemon, removeDaemonRecord, writeDaemonRecord } from './home/daemon-record.ts';
import { type Home, openHome } from './home/home.ts';
import { administratorPassword } from './home/password.ts';
import { openRunDirectory, removeRunDirectory } from './home/run-directory.ts';
import { formatAddress, type ListenAddress } from './http/https-listener.ts';
import { openLog } from './log/log.ts';
import { loadTlsMaterial, serverNames, type TlsMaterial } from './tls/tls-material.ts';
import { serverVersion } from './version.ts';

export interface StartServerOptions {
  /** Folder of everything that this server keeps; made when missing. */
  readonly home: string;
  readonly listen: ListenAddress;
  /** One host; there is nothing else yet. */
  readonly mode: 'host';
  /** Least severe line that is logged: `info` unless told. */
  readonly logLevel?: 'debug' | 'info' | 'warn' | 'error';
}

export interface RunningServer {
  /** Such as `https://127.0.0.1:8443`: an address that works from this machine. */
  readonly url: string;
  readonly username: string;
  readonly passwordFile: string;
  readonly home: Home;
  readonly accelerator: 'kvm' | 'tcg';
  /** Why not KVM, in a sentence. */
  readonly acceleratorReason?: string;
  readonly logger: Logger;
  /** Stops answering and lets go of machines, which run on. May be called again. */
  close(): Promise<void>;
}

const userName = 'root';
const day = 86_400_000;

/** What is open so far, closed in reverse when a step fails or at the end. */
class Opened {
  readonly #steps: (() => Promise<void> | void)[] = [];

  add(close: () => Promise<void> | void): void {
    this.#steps.push(close);
  }

  async close(onError: (error: unknown) => void): Promise<void> {
    for (const close of this.#steps.splice(0).reverse()) {
      try {
        await close();
      } catch (error) {
        onError(error);
      }
    }
  }
}

/**
 * Starts a server: opens its home, adopts the machines that run, listens. Throws `ServerError` where the home, the
 * run directory or the address cannot be used, `StoreError` and `HypervisorError` where theirs cannot.
 */
export async function startServer(options: StartServerOptions): Promise<RunningServer> {
  const home = await openHome(options.home);
  const opened = new Opened();
  // The store's lock is the home's: it ends with the process, and what follows changes files of the home.
  const store = await openLocked(home);
  opened.add(() => store.close());
  const log = openLog(home.logFile, options.logLevel);
  opened.add(() => log.close());
  const { logger } = log;
  const close = () => opened.close((error) => logger.error({ err: error }, 'a part did not close'));
  try {
    return await start(options, home, store, logger, opened, close);
  } catch (error) {
    logger.error({ err: error }, 'the server could not start');
    await close();
    throw error;
  }
}

async function start(
  options: StartServerOptions,
  home: Home,
  store: Store,
  logger: Logger,
  opened: Opened,
  close: () => Promise<void>,
): Promise<RunningServer> {
  await writeDaemonRecord(home);
  opened.add(() => removeDaemonRecord(home));
  const { host: listenHost } = options.listen;
  logger.info({ version: serverVersion, pid: process.pid, home: home.directory }, 'the server starts');
  const password = await administratorPassword(home.passwordFile);
  const runDirectory = await openRunDirectory(home.directory);
  opened.add(() => removeRunDirectory(runDirectory));
  let tls = await loadTlsMaterial(home, serverNames(listenHost));
  let port = options.listen.port;
  let faces: HttpsFaces | undefined;
  opened.add(() => faces?.end());
  const host = await composeHost({
    home,
    store,
    runDirectory,
    administrator: { userName, password },
    version: serverVersion,
    port: () => port,
    sslThumbprint: () => tls.thumbprint,
    onDefect: (where, error) => logger.error({ where, err: error }, 'a defect'),
  });
  opened.add(() => host.close());
  const served = new HttpsFaces({ host, tls, version: serverVersion, logger });
  faces = served;
  opened.add(() => served.stop());
  port = await served.listen(options.listen);
  opened.add(
    renewDaily(home, listenHost, logger, (renewed) => {
      tls = renewed;
      served.renewCertificate(renewed);
    }),
  );
  const url = `https://${formatAddress(reachable(listenHost), port)}`;
  await writeDaemonRecord(home, { url, userName });
  const { accelerator, acceleratorReason } = host.hypervisorInfo;
  logger.info({ url, accelerator, acceleratorReason, machines: host.machineCounts() }, 'the server is ready');
  return {
    url,
    username: userName,
    passwordFile: home.passwordFile,
    home,
    accelerator,
    ...(acceleratorReason === undefined ? {} : { acceleratorReason }),
    logger,
    close: async () => {
      logger.info('the server stops; machines run on');
      await close();
    },
  };
}

async function openLocked(home: Home): Promise<Store> {
  try {
    return await openStore({ path: home.storeFile });
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'inUse') throw error;
    const daemon = await findDaemon(home);
    const who = daemon === undefined ? 'another process' : `process ${daemon.pid}`;
    const where = daemon?.url === undefined ? '' : ` at ${daemon.url}`;
    throw new ServerError(
      'home-in-use',
      `${home.directory} is served by ${who}${where}. Use that one, stop it with 'hypo host stop', or choose another folder with --home.`,
      { cause: error },
    );
  }
}

/** Makes the certificate anew before it ends, in a server that runs for a year; the answer stops that. */
function renewDaily(home: Home, listenHost: string, logger: Logger, use: (tls: TlsMaterial) => void): () => void {
  const timer = setInterval(() => {
    loadTlsMaterial(home, serverNames(listenHost)).then(use, (error: unknown) => {
      logger.error({ err: error }, 'the certificate could not be renewed');
    });
  }, day).unref();
  return () => clearInterval(timer);
}

/** An address of this machine for a wildcard. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}
