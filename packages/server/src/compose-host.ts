import { join } from 'node:path';
import type { Store } from '@hypostyle/contracts';
import { ControlGroups, Host } from '@hypostyle/host';
import { QemuHypervisor } from '@hypostyle/qemu';
import { loadSchema } from '@hypostyle/vim';
import type { Home } from './home/home.ts';

export interface ComposeHostOptions {
  readonly home: Home;
  readonly store: Store;
  readonly runDirectory: string;
  readonly administrator: { readonly userName: string; readonly password: string };
  readonly version: string;
  /** Where the server listens; asked once it does. */
  readonly port: () => number;
  readonly sslThumbprint: () => string;
  readonly diskExportPort: () => Promise<number>;
  readonly onDefect: (where: string, error: unknown) => void;
}

/** One host on QEMU: the only place that names a driver. */
export async function composeHost(options: ComposeHostOptions): Promise<Host> {
  const { home, store, runDirectory, administrator, version, port, sslThumbprint, diskExportPort, onDefect } = options;
  const hypervisor = new QemuHypervisor({ cacheDirectory: join(home.cacheDirectory, 'qemu') });
  return Host.open({
    schema: loadSchema(),
    store,
    hypervisor,
    processGroups: (hostUuid) => new ControlGroups({ name: `hypostyle-${hostUuid.slice(0, 8)}` }),
    runDirectory,
    defaultDatastore: { name: 'datastore1', directory: home.datastoreDirectory },
    port,
    sslThumbprint,
    diskExportPort,
    administrator,
    version,
    onDefect,
  });
}
