import { randomBytes } from 'node:crypto';
import {
  asFault,
  type Call,
  type Clock,
  type HttpNfcLeaseDeviceUrl,
  type HttpNfcLeaseInfo,
  type HttpNfcLeaseProbeResult,
  type HttpNfcLeaseSourceFile,
  type LocalizedMethodFault,
  localizedFault,
  type ManagedObjectClass,
  type ManagedObjectReference,
  type Registry,
  type Session,
  VimFault,
} from '@hypostyle/vim';
import { faults } from '../errors.ts';
import { isChecksumType } from './transfer-digest.ts';
import { type LeaseOwner, TransferLease } from './transfer-lease.ts';
import type { TransferTarget } from './transfer-target.ts';

export interface LeasedContents {
  /** The machine that is imported or exported. */
  readonly entity: ManagedObjectReference<'ManagedEntity'>;
  readonly targets: readonly TransferTarget[];
}

/** What a lease is for: known already, or prepared while the lease is `initializing`. */
export type LeaseRequest = LeaseOwner & {
  /** Only it sees the lease; everybody who may see the root folder, without one. */
  readonly session?: Session | undefined;
  /** It is over when the clients of its disks have left. Default: false. */
  readonly endsWithClients?: boolean;
} & (LeasedContents | { readonly prepare: (signal: AbortSignal) => Promise<LeasedContents> });

export interface OpenedLease {
  readonly ref: ManagedObjectReference<'HttpNfcLease'>;
  /** Path of its URLs, with 128 random bits: `/nfc/<id>`. */
  readonly path: string;
  /** Resolves when the lease is done or in error, cleaned up. */
  readonly ended: Promise<void>;
  /** Resolves when it can be used, or has ended before it could. */
  readonly ready: Promise<void>;
  /** Ends it; no failure where it has ended already. */
  abort(reason: VimFault): Promise<void>;
  /** Ends one that `endsWithClients` and had some, where none is left; undefined, and nothing, else. Never rejects. */
  endUnused(): Promise<void> | undefined;
}

/** How content is brought that a client only names. */
export interface LeasePulling {
  /** HttpNfcLeasePullFromUrls_Task. */
  begin(
    call: Call,
    lease: TransferLease,
    files: readonly HttpNfcLeaseSourceFile[],
  ): Promise<ManagedObjectReference<'Task'>>;
  /** HttpNfcLeaseProbeUrls; seconds. */
  probe(
    call: Call,
    files: readonly HttpNfcLeaseSourceFile[],
    timeout: number,
  ): Promise<readonly HttpNfcLeaseProbeResult[]>;
}

export interface TransferLeasesOptions {
  readonly registry: Registry;
  readonly clock: Clock;
  /** SHA-1 of the server's certificate, `AB:CD:…`; empty where there is none. */
  readonly sslThumbprint?: string;
  /** 300 by default. */
  readonly timeoutSeconds?: number;
  /** How long an ended lease can still be looked at; 600 by default. */
  readonly retentionSeconds?: number;
  readonly onDefect?: (error: unknown) => void;
  /** Absent: leases cannot pull. */
  readonly pulling?: LeasePulling;
}

/** Every HttpNfcLease: the managed objects, and their files by URL. A lease lives on when its session ends. */
export class TransferLeases {
  readonly #options: Required<Omit<TransferLeasesOptions, 'pulling'>> & Pick<TransferLeasesOptions, 'pulling'>;
  readonly #byId = new Map<string, TransferLease>();
  readonly #byReference = new Map<string, TransferLease>();
  readonly #class: ManagedObjectClass<'HttpNfcLease'>;
  readonly #forgetting = new Set<() => void>();
  #last = 0;

  constructor(options: TransferLeasesOptions) {
    this.#options = { sslThumbprint: '', timeoutSeconds: 300, retentionSeconds: 600, onDefect: () => {}, ...options };
    this.#class = {
      type: 'HttpNfcLease',
      methods: {
        HttpNfcLeaseComplete: (call) => this.#lease(call).complete(),
        HttpNfcLeaseAbort: (call, { fault }) => this.#lease(call).abort(fault && givenFault(fault)),
        HttpNfcLeaseProgress: (call, { percent }) => this.#lease(call).progress(percent),
        HttpNfcLeaseGetManifest: (call) => this.#lease(call).manifest(),
        HttpNfcLeaseSetManifestChecksumType: (call, { deviceUrlsToChecksumTypes = [] }) => {
          for (const { key, value } of deviceUrlsToChecksumTypes) {
            if (!isChecksumType(value)) {
              throw faults.invalidArgument('deviceUrlsToChecksumTypes', `The checksum type ${value} is unknown.`);
            }
            this.#lease(call).setChecksumType(key, value);
          }
        },
        HttpNfcLeasePullFromUrls_Task: (call, { files = [] }) => {
          const { pulling } = this.#options;
          if (pulling === undefined) throw faults.notSupported('Pulling from URLs is not supported.');
          return pulling.begin(call, this.#lease(call), files);
        },
        HttpNfcLeaseProbeUrls: (call, { files = [], timeout }) => {
          const { pulling } = this.#options;
          if (pulling === undefined) throw faults.notSupported('Pulling from URLs is not supported.');
          return pulling.probe(call, files, timeout ?? 0);
        },
      },
    };
  }

  /** Opens a lease and answers at once. File names of targets must differ. */
  open(request: LeaseRequest): OpenedLease {
    const { registry, clock, timeoutSeconds, onDefect } = this.#options;
    const id = randomBytes(16).toString('hex');
    const value = this.#freeReference();
    const ref = registry.commit((draft) =>
      draft.add(
        this.#class,
        value,
        {
          initializeProgress: 0,
          transferProgress: 0,
          mode: 'pushOrGet',
          capabilities: {
            _typeName: 'HttpNfcLeaseCapabilities',
            pullModeSupported: this.#options.pulling !== undefined,
            corsSupported: false,
          },
          state: 'initializing',
        },
        request.session === undefined ? {} : { owner: request.session },
      ),
    );
    let info: HttpNfcLeaseInfo | undefined;
    const ready = Promise.withResolvers<void>();
    const lease = new TransferLease({
      clock,
      timeoutSeconds,
      endsWithClients: request.endsWithClients ?? false,
      owner: request,
      onDefect,
      onChange: (changed) => {
        registry.commit((draft) =>
          draft.set(ref, {
            state: changed.state,
            transferProgress: changed.transferProgress,
            ...(info === undefined ? {} : { info, initializeProgress: 100 }),
            ...(changed.error === undefined ? {} : { error: localizedFault(changed.error) }),
          }),
        );
        if (changed.state !== 'initializing') ready.resolve();
        if (changed.state === 'done' || changed.state === 'error') this.#retire(id, ref);
      },
    });
    this.#byId.set(id, lease);
    this.#byReference.set(value, lease);
    const begin = (contents: LeasedContents) => {
      info = this.#info(ref, id, contents);
      lease.start(contents.targets);
    };
    if ('prepare' in request) {
      this.#prepare(lease, request.prepare, begin);
    } else {
      begin(request);
    }
    const abort = (reason: VimFault) => lease.abort(reason).catch(onDefect);
    const endUnused = () => (lease.isUnused ? lease.complete().catch(onDefect) : undefined);
    return { ref, path: `/nfc/${id}`, ended: lease.ended, ready: ready.promise, abort, endUnused };
  }

  /** The lease of a URL `/nfc/<id>/<fileName>`, if it has that file; an ended one too, until it is forgotten. */
  target(id: string, fileName: string): TransferLease | undefined {
    const lease = this.#byId.get(id);
    return lease?.has(fileName) ? lease : undefined;
  }

  /** Aborts every open lease, with cleaning up: for the end of the process. */
  async close(): Promise<void> {
    const reason = faults.canceled('The server is being stopped.');
    await Promise.allSettled([...this.#byId.values()].map((lease) => lease.abort(reason)));
    for (const cancel of this.#forgetting) cancel();
    this.#forgetting.clear();
  }

  #prepare(
    lease: TransferLease,
    prepare: (signal: AbortSignal) => Promise<LeasedContents>,
    begin: (contents: LeasedContents) => void,
  ): void {
    const work = (async () => {
      // After `open` has answered.
      await Promise.resolve();
      begin(await prepare(lease.signal));
    })();
    lease.waitFor(work).catch((error: unknown) => lease.abort(asFault(error)).catch(this.#options.onDefect));
  }

  #freeReference(): string {
    const { registry } = this.#options;
    let value: string;
    do {
      this.#last += 1;
      value = `lease-${this.#last}`;
    } while (registry.byValue(value) !== undefined);
    return value;
  }

  #lease(call: Call): TransferLease {
    const lease = this.#byReference.get(call.self.ref.value);
    if (lease === undefined) throw faults.invalidState('The lease has ended.');
    return lease;
  }

  #info(ref: ManagedObjectReference<'HttpNfcLease'>, id: string, contents: LeasedContents): HttpNfcLeaseInfo {
    const bytes = contents.targets.reduce((sum, target) => sum + (target.capacityBytes ?? 0), 0);
    return {
      _typeName: 'HttpNfcLeaseInfo',
      lease: ref,
      entity: contents.entity,
      deviceUrl: contents.targets.map((target) => this.#deviceUrl(id, target)),
      totalDiskCapacityInKB: Math.ceil(bytes / 1024),
      leaseTimeout: this.#options.timeoutSeconds,
    };
  }

  #deviceUrl(id: string, target: TransferTarget): HttpNfcLeaseDeviceUrl {
    return {
      _typeName: 'HttpNfcLeaseDeviceUrl',
      key: target.key,
      importKey: target.deviceId,
      // Clients put the address that they reached us by in place of the star.
      url: `https://*/nfc/${id}/${encodeURIComponent(target.fileName)}`,
      sslThumbprint: this.#options.sslThumbprint,
      disk: target.disk,
      ...(target.targetId === undefined ? {} : { targetId: target.targetId }),
      ...(target.datastoreKey === undefined ? {} : { datastoreKey: target.datastoreKey }),
      ...(target.fileSize === undefined ? {} : { fileSize: target.fileSize }),
    };
  }

  #retire(id: string, ref: ManagedObjectReference<'HttpNfcLease'>): void {
    const { clock, registry, retentionSeconds } = this.#options;
    const cancel = clock.after(retentionSeconds * 1000, () => {
      this.#forgetting.delete(cancel);
      this.#byId.delete(id);
      this.#byReference.delete(ref.value);
      registry.commit((draft) => {
        if (draft.has(ref)) draft.remove(ref);
      });
    });
    this.#forgetting.add(cancel);
  }
}

function givenFault({ fault, localizedMessage }: LocalizedMethodFault): VimFault {
  const type = (fault as { readonly _typeName?: string })._typeName ?? 'MethodFault';
  return new VimFault(type, fault, localizedMessage ?? 'The client aborted the lease.');
}
