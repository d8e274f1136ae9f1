import type { NbdExport } from '@hypostyle/vmdk';

export interface ReceiveOptions {
  /** Bytes that the client announced; absent for a chunked body. */
  readonly contentLength?: number;
  /** Fires when the client goes away or the lease ends: clean up and reject. */
  readonly signal: AbortSignal;
  /** Call it while working without reading the body, such as at a long fsync: it renews the lease. */
  readonly onBytes: (count: number) => void;
}

/** The content of a target as a part of a file of this computer. */
export interface LocalContent {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
  /** How it is called, such as `disk1.vmdk in appliance.ova`. */
  readonly name: string;
  /** What it must digest to, where its manifest is known. */
  readonly digest?: { readonly algorithm: 'sha1' | 'sha256' | 'sha512'; readonly expected: string };
}

export interface ProvideOptions {
  readonly signal: AbortSignal;
}

/** A disk that is open for clients which read it, or write it, at random. Its change maps are told to them. */
export interface LeasedDisk extends NbdExport {
  close(): Promise<void>;
}

/** One file or disk of a lease. With `receive` it must arrive before the lease completes; with `provide` it can be got. */
export interface TransferTarget {
  /** `importKey` of its URL: OvfFileItem.deviceId for an import. Unique in the lease. */
  readonly deviceId: string;
  /** `key` of its URL, such as `/vm-7/VirtualLsiLogicController0:0`. */
  readonly key: string;
  /** Last part of its URL, such as `disk-0.vmdk`. Unique in the lease. */
  readonly fileName: string;
  readonly disk: boolean;
  readonly capacityBytes?: number;
  /** Bytes that a download will have, where that is known. */
  readonly fileSize?: number;
  /** Name of the file in an export. */
  readonly targetId?: string;
  readonly datastoreKey?: string;
  /** A disk that may stay blank: the lease completes when nothing was ever sent to it. */
  readonly optional?: boolean;
  /** Resolves when everything is durable. A rejected one must have cleaned up; it may be called again. */
  receive?(body: AsyncIterable<Uint8Array>, options: ReceiveOptions): Promise<void>;
  /**
   * Takes the content from a file of this computer, without having it read by a client. False: it cannot be taken so,
   * and `receive` is to have its bytes. Resolves, rejects and cleans up as `receive`.
   */
  adopt?(file: LocalContent, options: ReceiveOptions): Promise<boolean>;
  provide?(options: ProvideOptions): AsyncIterable<Uint8Array>;
  /** Opens the disk for clients that go about in it, such as by NBD. Called once a lease at most. */
  openDisk?(): Promise<LeasedDisk>;
}
