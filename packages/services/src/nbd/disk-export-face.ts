import { NbdServer, type NbdServerTls } from '@hypostyle/vmdk';
import type { TransferLease } from '../leases/transfer-lease.ts';
import type { TransferLeases } from '../leases/transfer-leases.ts';
import type { LeasedDisk } from '../leases/transfer-target.ts';

/** How often it is looked whether the disks of leases have clients, in milliseconds. */
const lookInterval = 10_000;

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
  readonly #open = new Map<LeasedDisk, { readonly lease: TransferLease; alone: boolean }>();
  readonly #looking: NodeJS.Timeout;
  #port: Promise<number> | undefined;

  constructor(options: DiskExportFaceOptions) {
    this.#options = options;
    this.#server = new NbdServer({
      exports: { find: (name) => this.#find(name) },
      tls: options.tls,
      onFailure: options.onFailure,
    });
    this.#looking = setInterval(() => this.#look(), lookInterval).unref();
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
    clearInterval(this.#looking);
    await this.#server.close();
  }

  async #find(name: string): Promise<LeasedDisk | undefined> {
    const [, id, fileName] = /^([0-9a-f]{32})\/([^/]+)$/.exec(name) ?? [];
    const lease = id === undefined || fileName === undefined ? undefined : this.#options.leases.target(id, fileName);
    if (lease === undefined || fileName === undefined) return undefined;
    try {
      const disk = await lease.disk(fileName, {
        release: (opened) => this.#release(opened),
        isUsed: (opened) => this.#server.connections(opened) > 0,
      });
      this.#open.set(disk, { lease, alone: false });
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

  /** Renews leases whose disks have clients. One that ends with them is over when it has had none for a while. */
  #look(): void {
    for (const [disk, entry] of this.#open) {
      if (this.#server.connections(disk) > 0) {
        entry.alone = false;
        entry.lease.renew();
      } else if (!entry.lease.endsWithClients) continue;
      else if (entry.alone) entry.lease.complete().catch((error: unknown) => this.#options.onFailure(error));
      else entry.alone = true;
    }
  }
}
