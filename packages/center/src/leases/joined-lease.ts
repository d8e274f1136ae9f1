import { faults } from '@hypostyle/services';
import {
  asFault,
  type Call,
  fault,
  type HttpNfcLeaseDeviceUrl,
  type HttpNfcLeaseInfo,
  type HttpNfcLeaseManifestEntry,
  type HttpNfcLeaseSourceFile,
  type LocalizedMethodFault,
  localizedFault,
  type ManagedObjectClass,
  type ManagedObjectReference,
  type MethodTable,
  type Session,
  systemClock,
  VimFault,
} from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { allowedFile } from './lease-methods.ts';

type LeaseReference = ManagedObjectReference<'HttpNfcLease'>;
type Values = Readonly<Record<string, unknown>>;

/** Files that one of the joined leases is to fetch. */
export interface PullPart {
  readonly lease: LeaseReference;
  readonly files: readonly HttpNfcLeaseSourceFile[];
}

export interface JoinedLeaseOptions {
  /** Only it sees the lease. */
  readonly owner: Session | undefined;
  /** What is imported or exported. */
  readonly entity: ManagedObjectReference;
  /** Comes once all parts are complete, before the lease is done; when it rejects the lease is in error. */
  readonly beforeDone?: () => Promise<void>;
  /** Begins the task by which the joined leases fetch files. */
  readonly pull: (call: Call, parts: readonly PullPart[]) => Promise<ManagedObjectReference<'Task'>>;
}

/** How long an ended lease stays an object. */
const retentionMilliseconds = 600_000;

interface Part {
  readonly lease: LeaseReference;
  /** Comes before the device ids of this part. */
  readonly path: string;
}

/** One lease over those of several machines, on one host or on many: ready with the last of them, done when all are. */
export class JoinedLease {
  readonly ref: LeaseReference;
  readonly #core: CenterCore;
  readonly #options: JoinedLeaseOptions;
  readonly #parts: Part[] = [];
  readonly #ended = Promise.withResolvers<void>();
  readonly #stopLooking: () => void;
  #all = false;
  #aborting: Promise<void> | undefined;
  #state: 'initializing' | 'ready' | 'done' | 'error' = 'initializing';

  constructor(core: CenterCore, options: JoinedLeaseOptions) {
    this.#core = core;
    this.#options = options;
    const { owner } = options;
    this.ref = core.registry.commit((draft) =>
      draft.add(
        this.#class(),
        core.numbers.mint('httpNfcLease-'),
        {
          initializeProgress: 0,
          transferProgress: 0,
          mode: 'pushOrGet',
          capabilities: { _typeName: 'HttpNfcLeaseCapabilities', pullModeSupported: true, corsSupported: false },
          state: 'initializing',
        },
        owner === undefined ? {} : { owner },
      ),
    );
    this.#stopLooking = core.registry.onCommit(() => this.#look());
    this.#ended.promise.catch(() => {});
  }

  /** Resolves when it is done; rejects with why it is in error. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  add(lease: LeaseReference, path: string): void {
    this.#parts.push({ lease, path });
  }

  /** No more leases come: it is ready when they are. */
  complete(): void {
    this.#all = true;
    this.#look();
  }

  /** Ends it and all of its parts, and is in error once they are; no failure where it has ended already. */
  async abort(reason: VimFault): Promise<void> {
    if (this.#state === 'done' || this.#state === 'error') return;
    this.#aborting ??= this.#each('HttpNfcLeaseAbort', { fault: localizedFault(reason) }).then(
      () => this.#end('error', reason),
      () => this.#end('error', reason),
    );
    await this.#aborting;
  }

  #class(): ManagedObjectClass<'HttpNfcLease'> {
    const methods: MethodTable<'HttpNfcLease'> = {
      HttpNfcLeaseComplete: async () => {
        this.#mustBeReady();
        try {
          await this.#each('HttpNfcLeaseComplete', {});
          await this.#options.beforeDone?.();
        } catch (error) {
          await this.abort(asFault(error));
          throw error;
        }
        this.#end('done');
      },
      HttpNfcLeaseAbort: (_, { fault: given }) => this.abort(given === undefined ? aborted() : givenFault(given)),
      HttpNfcLeaseProgress: async (_, { percent }) => {
        if (this.#state !== 'ready') return;
        await this.#each('HttpNfcLeaseProgress', { percent });
        this.#core.registry.commit((draft) => draft.set(this.ref, { transferProgress: percent }));
      },
      HttpNfcLeaseGetManifest: async () => {
        const all = await this.#each('HttpNfcLeaseGetManifest', {});
        return all.flatMap((entries, index) =>
          ((entries ?? []) as HttpNfcLeaseManifestEntry[]).map((entry) => ({
            ...entry,
            key: this.#keyOf(this.#parts[index], entry.key),
          })),
        );
      },
      HttpNfcLeaseSetManifestChecksumType: async (_, { deviceUrlsToChecksumTypes = [] }) => {
        for (const part of this.#parts) {
          const given = this.#urlsOf(part).flatMap(({ key }) =>
            deviceUrlsToChecksumTypes
              .filter((each) => each.key === this.#keyOf(part, key))
              .map((each) => ({ ...each, key })),
          );
          if (given.length > 0)
            await this.#call(part, 'HttpNfcLeaseSetManifestChecksumType', { deviceUrlsToChecksumTypes: given });
        }
      },
      HttpNfcLeasePullFromUrls_Task: (call, { files = [] }) => {
        this.#mustBeReady();
        return this.#options.pull(call, this.#shared(call, files));
      },
      HttpNfcLeaseProbeUrls: async (call, { files = [], timeout }) => {
        const answers = new Map<HttpNfcLeaseSourceFile, unknown>();
        for (const { lease, files: own } of this.#shared(call, files)) {
          const part = this.#parts.find((one) => one.lease.value === lease.value) as Part;
          const found = (await this.#call(part, 'HttpNfcLeaseProbeUrls', { files: own, timeout })) as unknown[];
          own.forEach((file, index) => {
            answers.set(file, found[index]);
          });
        }
        return [...answers.values()] as never;
      },
    };
    return { type: 'HttpNfcLease', methods };
  }

  /** Each file to the lease of its device, by that one's own name for it. Throws InvalidArgument. */
  #shared(call: Call, files: readonly HttpNfcLeaseSourceFile[]): PullPart[] {
    const parts = new Map<Part, HttpNfcLeaseSourceFile[]>();
    for (const file of files) {
      const part = this.#parts.find((one) =>
        this.#urlsOf(one).some(({ importKey }) => `${one.path}${importKey}` === file.targetDeviceId),
      );
      if (part === undefined)
        throw faults.invalidArgument('files.targetDeviceId', `The lease has no device '${file.targetDeviceId}'.`);
      const allowed = allowedFile(this.#core, { call, lease: part.lease }, file);
      const own = { ...allowed, targetDeviceId: file.targetDeviceId.slice(part.path.length) };
      parts.set(part, [...(parts.get(part) ?? []), own]);
    }
    return [...parts].map(([{ lease }, own]) => ({ lease, files: own }));
  }

  #mustBeReady(): void {
    if (this.#state !== 'ready' || this.#aborting !== undefined)
      throw fault('InvalidState', {}, `The lease is ${this.#state}.`);
  }

  /** Takes over what has become of the parts. */
  #look(): void {
    if (this.#state === 'done' || this.#state === 'error' || this.#aborting !== undefined) return;
    const states = this.#parts.map(({ lease }) => this.#core.registry.get(lease)?.value('state'));
    const failed = states.findIndex((state) => state === 'error' || state === undefined);
    if (failed >= 0) void this.abort(this.#faultOf(this.#parts[failed]));
    else if (this.#all && this.#state === 'initializing' && states.every((state) => state === 'ready')) {
      this.#state = 'ready';
      this.#core.registry.commit((draft) =>
        draft.set(this.ref, { state: 'ready', initializeProgress: 100, info: this.#info() }),
      );
    }
  }

  #info(): HttpNfcLeaseInfo {
    const infos = this.#parts.map(({ lease }) => this.#core.registry.get(lease)?.value('info') as HttpNfcLeaseInfo);
    return {
      _typeName: 'HttpNfcLeaseInfo',
      lease: this.ref,
      entity: this.#options.entity as never,
      deviceUrl: this.#parts.flatMap((part) =>
        this.#urlsOf(part).map((url) => ({
          ...url,
          key: this.#keyOf(part, url.key),
          importKey: `${part.path}${url.importKey}`,
        })),
      ),
      totalDiskCapacityInKB: infos.reduce((sum, info) => sum + Number(info.totalDiskCapacityInKB), 0),
      leaseTimeout: Math.min(...infos.map(({ leaseTimeout }) => leaseTimeout)),
    };
  }

  /** Hosts number their machines each by itself: here the machine has the center's reference. */
  #keyOf(part: Part | undefined, key: string): string {
    const info = part && (this.#core.registry.get(part.lease)?.value('info') as HttpNfcLeaseInfo | undefined);
    return `/${info?.entity.value ?? ''}${key.slice(key.indexOf('/', 1))}`;
  }

  #urlsOf({ lease }: Part): readonly HttpNfcLeaseDeviceUrl[] {
    return (this.#core.registry.get(lease)?.value('info') as HttpNfcLeaseInfo | undefined)?.deviceUrl ?? [];
  }

  #faultOf(part: Part | undefined): VimFault {
    const error = part && (this.#core.registry.get(part.lease)?.value('error') as LocalizedMethodFault | undefined);
    return error === undefined ? aborted() : givenFault(error);
  }

  #end(state: 'done' | 'error', reason?: VimFault): void {
    this.#state = state;
    this.#stopLooking();
    if (this.#core.registry.get(this.ref) !== undefined)
      this.#core.registry.commit((draft) =>
        draft.set(this.ref, { state, ...(reason === undefined ? {} : { error: localizedFault(reason) }) }),
      );
    // It can still be looked at for a while, as every other lease.
    systemClock.after(retentionMilliseconds, () =>
      this.#core.registry.commit((draft) => {
        if (draft.has(this.ref)) draft.remove(this.ref);
      }),
    );
    if (reason === undefined) this.#ended.resolve();
    else this.#ended.reject(reason);
  }

  async #each(method: string, args: Values): Promise<unknown[]> {
    const ends = await Promise.allSettled(this.#parts.map((part) => this.#call(part, method, args)));
    return ends.map((end) => {
      if (end.status === 'rejected') throw end.reason;
      return end.value;
    });
  }

  async #call({ lease }: Part, method: string, args: Values): Promise<unknown> {
    const { link, ref } = this.#core.hosts.route(lease);
    const answer = await link.call(ref, method, args);
    if (method !== 'HttpNfcLeaseProgress') await link.caughtUp();
    return answer;
  }
}

function aborted(): VimFault {
  return fault('RequestCanceled', {}, 'The lease was aborted.');
}

function givenFault({ fault: detail, localizedMessage }: LocalizedMethodFault): VimFault {
  const type = (detail as { readonly _typeName?: string })._typeName ?? 'MethodFault';
  return new VimFault(type, detail, localizedMessage ?? 'The lease was aborted.');
}
