import type { Store } from '@hypostyle/contracts';
import { DiskExportFace } from '@hypostyle/services';
import { openPostgresStore, openStore, StoreError } from '@hypostyle/store';
import type { Logger } from 'pino';
import { composeCenter } from './compose-center.ts';
import { composeHost } from './compose-host.ts';
import { ServerError } from './errors.ts';
import { Door, reachable } from './faces/door.ts';
import { findDaemon, removeDaemonRecord, writeDaemonRecord } from './home/daemon-record.ts';
import { type Home, openHome } from './home/home.ts';
import { administratorPassword } from './home/password.ts';
import { openRunDirectory, removeRunDirectory } from './home/run-directory.ts';
import { formatAddress, type ListenAddress } from './http/listen-address.ts';
import { openLog } from './log/log.ts';
import { KeptTls } from './tls/kept-tls.ts';
import { serverNames } from './tls/tls-material.ts';
import { serverVersion } from './version.ts';

export interface StartServerOptions {
  /** Folder of everything that this server keeps; made when missing. */
  readonly home: string;
  readonly listen: ListenAddress;
  /** A host alone, or a center with the host of this machine. */
  readonly mode: 'host' | 'center';
  /** Where the host of a center answers by itself; any free port of the same address unless told. */
  readonly hostListen?: ListenAddress;
  /** Where disks are exported over NBD; any free port of the same address unless told. Open once they are asked for. */
  readonly nbdListen?: ListenAddress;
  /** The center's state in this PostgreSQL database rather than in the home: a `postgres://` URL. */
  readonly postgres?: string;
  /** Least severe line that is logged: `info` unless told. */
  readonly logLevel?: 'debug' | 'info' | 'warn' | 'error';
}

export interface RunningServer {
  /** Such as `https://127.0.0.1:8443`: an address that works from this machine. */
  readonly url: string;
  readonly username: string;
  /** The host's own address, where `url` is its center's. */
  readonly hostUrl?: string;
  readonly passwordFile: string;
  readonly home: Home;
  readonly accelerator: 'kvm' | 'tcg';
  /** Why not KVM, in a sentence. */
  readonly acceleratorReason?: string;
  readonly logger: Logger;
  /** Stops answering and lets go of machines, which run on. May be called again. */
  close(): Promise<void>;
}

/** Names that people type. */
const hostUserName = 'root';
const centerUserName = 'administrator@vsphere.local';

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
  const names = serverNames(listenHost);
  const tls = await KeptTls.open(home, names, (error) =>
    logger.error({ err: error }, 'the certificate was not renewed'),
  );
  opened.add(() => tls.close());
  const isCenter = options.mode === 'center';
  const hostDoor = new Door(isCenter ? (options.hostListen ?? { host: listenHost, port: 0 }) : options.listen);
  const onDefect = (where: string, error: unknown) => logger.error({ where, err: error }, 'a defect');
  opened.add(() => hostDoor.end());
  // Asked for once there is a host whose disks are wanted.
  let diskExports: DiskExportFace | undefined;
  const host = await composeHost({
    home,
    store,
    runDirectory,
    administrator: { userName: hostUserName, password },
    version: serverVersion,
    port: () => hostDoor.port,
    sslThumbprint: () => tls.material.thumbprint,
    diskExportPort: async () => {
      if (diskExports === undefined) throw new ServerError('address-unavailable', 'The server is only starting.');
      return diskExports.port();
    },
    onDefect,
  });
  opened.add(() => host.close());
  diskExports = new DiskExportFace({
    leases: host.leases,
    listen: options.nbdListen ?? { host: listenHost, port: 0 },
    tls: () => ({ key: tls.material.key, cert: tls.material.certificateChain }),
    onFailure: (error) => logger.warn({ err: error }, 'a disk was not served'),
  });
  const face = diskExports;
  opened.add(() => face.close());
  const shared = { tls, version: serverVersion, logger };
  await hostDoor.open({ ...shared, endpoint: host, asksForCertificates: true });
  opened.add(() => hostDoor.stop());
  let door = hostDoor;
  if (isCenter) {
    door = new Door(options.listen);
    const centerDoor = door;
    const centerStore = await openCenterStore(home, options.postgres, logger);
    opened.add(() => centerStore.close());
    opened.add(() => centerDoor.end());
    const center = await composeCenter({
      home,
      store: centerStore,
      host,
      hostAdministrator: hostUserName,
      administrator: { userName: centerUserName, password },
      version: serverVersion,
      url: () => `https://${formatAddress(reachable(listenHost), options.listen.port)}/sdk`,
      port: () => centerDoor.port,
      sslThumbprint: () => tls.material.thumbprint,
      onDefect,
      onLog: (what, why) => logger.warn({ err: why }, what),
    });
    opened.add(() => center.close());
    await centerDoor.open({ ...shared, endpoint: center });
    opened.add(() => centerDoor.stop());
  }
  const userName = isCenter ? centerUserName : hostUserName;
  const url = door.url;
  const own = isCenter ? { hostUrl: hostDoor.url } : {};
  await writeDaemonRecord(home, { url, userName, ...own });
  const { accelerator, acceleratorReason } = host.hypervisorInfo;
  logger.info({ url, accelerator, acceleratorReason, machines: host.machineCounts() }, 'the server is ready');
  return {
    url,
    username: userName,
    ...own,
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
      `${home.directory} is served by ${who}${where}. Use that one, stop it with 'hypo down', or choose another folder with --home.`,
      { cause: error },
    );
  }
}

async function openCenterStore(home: Home, postgres: string | undefined, logger: Logger): Promise<Store> {
  if (postgres === undefined) return openStore({ path: home.centerStoreFile });
  return openPostgresStore({
    connection: postgres,
    namespace: 'hypostyle_center',
    onLost: (error) => {
      // Another center owns the state now: whatever this one still did would be lost, or done twice.
      logger.fatal({ err: error }, 'the database belongs to another process; this one ends, machines run on');
      process.exit(1);
    },
  });
}
