import { NbdServer, type NbdServerTls } from '@hypostyle/vmdk';
import type { TransferLease } from '../leases/transfer-lease.ts';
import type { TransferLeases } from '../leases/transfer-leases.ts';
import type { LeasedDisk } from '../leases/transfer-target.ts';

/** A lease whose disk has clients is renewed this often, in milliseconds. */
const renewalInterval = 20_000;

export interface DiskExportFaceOptions {
  readonly leases: TransferLeases;
  /** Address to listen on. Port 0: any free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Key and certificate as they are at the moment. */
  readonly tls: () => NbdServerTls;
  /** Told of clients that failed. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * The disks of leases over NBD with TLS. An export is called `<id>/<file>` as in the lease's URLs, `/nfc/<id>/<file>`:
 * whoever knows the name may read, until the lease ends. Nothing is listed.
 */
export class DiskExportFace {
  readonly #options: DiskExportFaceOptions;
  readonly #server: NbdServer;
  readonly #open = new Map<LeasedDisk, TransferLease>();
  readonly #renewal: NodeJS.Timeout;
  #port: Promise<number> | undefined;

  constructor(options: DiskExportFaceOptions) {
    this.#options = options;
    this.#server = new NbdServer({
      exports: { find: (name) => this.#find(name) },
      tls: options.tls,
      onFailure: options.onFailure,
    });
    this.#renewal = setInterval(() => this.#renew(), renewalInterval).unref();
  }

  /** Where it listens, from the first question on: a server whose disks nobody wants has no port open for them. */
  port(): Promise<number> {
    const { host, port } = this.#options.listen;
    this.#port ??= this.#server.listenTcp(host, port).catch((error: unknown) => {
      this.#port = undefined;
      throw error;
    });
    return this.#port;
  }

  async close(): Promise<void> {
    clearInterval(this.#renewal);
    await this.#server.close();
  }

  async #find(name: string): Promise<LeasedDisk | undefined> {
    const [, id, fileName] = /^([0-9a-f]{32})\/([^/]+)$/.exec(name) ?? [];
    const lease = id === undefined || fileName === undefined ? undefined : this.#options.leases.target(id, fileName);
    if (lease === undefined || fileName === undefined) return undefined;
    try {
      const disk = await lease.disk(fileName, (opened) => this.#release(opened));
      this.#open.set(disk, lease);
      return disk;
    } catch (error) {
      // Its client is told that there is no such export; the reason is for whoever runs the server.
      this.#options.onFailure(error);
      return undefined;
    }
  }

  async #release(disk: LeasedDisk): Promise<void> {
    this.#open.delete(disk);
    await this.#server.end(disk);
  }

  #renew(): void {
    for (const [disk, lease] of this.#open) if (this.#server.connections(disk) > 0) lease.renew();
  }
}
