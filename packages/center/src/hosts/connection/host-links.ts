import {
  fault,
  type HostRuntimeInfo,
  type HttpNfcLeaseInfo,
  type ManagedObjectClass,
  type ManagedObjectReference,
} from '@hypostyle/vim';
import type { CenterBase } from '../../center-base.ts';
import type {
  DatastoreDocument,
  EntityDocument,
  HostDocument,
  MachineDocument,
} from '../../inventory/entity-document.ts';
import { referenceOf } from '../../inventory/entity-document.ts';
import { type PartDocument, partCollection } from '../mirror/host-parts.ts';
import type { MachineHeir, NewMachinesPlace } from '../mirror/mirror-context.ts';
import { SharedViews } from '../mirror/shared-views.ts';
import type { ConnectionState } from './connection-overlay.ts';
import type { HostConnection, HostConnector } from './host-connection.ts';
import { HostLink } from './host-link.ts';
import { showState } from './host-presence.ts';

export interface HostLinksOptions {
  readonly core: CenterBase;
  readonly connector: HostConnector;
  /** What answers for a part of a host. */
  readonly partClass: (type: string, host: string) => ManagedObjectClass;
  /** Seconds that a host may be silent before it counts as not responding; 10 unless told. */
  readonly heartbeat?: number;
  /** Makes duplicates tellable apart. */
  readonly onDuplicate: (machine: MachineDocument, of: MachineDocument) => void;
  readonly onSameName: (datastore: DatastoreDocument) => void;
  /** Resolves when every datastore has the name that `onSameName` asked for. */
  readonly named: () => Promise<void>;
  /** Whether the host calls the datastore so because the center has just told it to. */
  readonly isAskedName: (host: string, datastore: DatastoreDocument, name: string) => boolean;
}

/** Where a reference of the center lies: which host, and what it is there. */
export interface Route {
  readonly link: HostLink;
  readonly ref: ManagedObjectReference;
}

export interface StartOptions {
  /** A connection that is made already. */
  readonly first?: HostConnection | undefined;
  readonly newMachines?: NewMachinesPlace | undefined;
  /** The state that the host shows now; undefined for one that is new. */
  readonly shown?: ConnectionState | undefined;
}

/** Lines to every host of the center. */
export class HostLinks {
  readonly shared: SharedViews;
  readonly connector: HostConnector;
  readonly #options: HostLinksOptions;
  readonly #core: CenterBase;
  readonly #links = new Map<string, HostLink>();
  readonly #parts = new Map<string, PartDocument[]>();
  /** Told when a host has another line, or none any more. */
  #changed = Promise.withResolvers<void>();
  #closed = false;

  constructor(options: HostLinksOptions) {
    this.#options = options;
    this.#core = options.core;
    this.connector = options.connector;
    this.shared = new SharedViews((host) => this.#links.get(host)?.connected === true);
  }

  /** Takes up every host that is not disconnected; each connects as it can. `known` is what was last known of anything. */
  async open(known: (value: string) => Readonly<Record<string, unknown>>): Promise<void> {
    for (const { value } of await this.#core.store.list<PartDocument>(partCollection)) {
      const parts = this.#parts.get(value.host) ?? [];
      parts.push(value);
      this.#parts.set(value.host, parts);
    }
    this.#core.registry.commit((draft) => {
      for (const { type, value, host } of [...this.#parts.values()].flat())
        draft.add(this.#options.partClass(type, host), value, known(value) as never);
    });
    for (const host of this.#core.inventory.all('HostSystem')) {
      const { runtime } = known(host.value) as { readonly runtime?: HostRuntimeInfo };
      if (!host.disconnected) this.start(host, { shown: runtime?.connectionState });
    }
  }

  /** Begins to follow a host. */
  start(host: HostDocument, { first, newMachines, shown }: StartOptions = {}): HostLink {
    const known = this.#links.get(host.value);
    if (known !== undefined) return known;
    const { connector, partClass, heartbeat = 10, onDuplicate, onSameName, isAskedName } = this.#options;
    const link: HostLink = new HostLink({
      core: this.#core,
      host: host.value,
      shared: this.shared,
      parts: this.parts(host.value),
      shown,
      ...(newMachines === undefined ? {} : { newMachines }),
      partClass: (type) => partClass(type, host.value),
      leaseInfo: (info) => leaseInfoAt(this.#core.inventory.find(host.value), info),
      heartbeat,
      onDuplicate,
      onSameName,
      isAskedName: (datastore, name) => isAskedName(host.value, datastore, name),
      heirOf: (machine) => this.#heirOf(machine),
      isElsewhere: (machine) => this.#has(machine),
      connect: (document, signal) => connector.connect(document.address, signal),
      onState: (state, why) => showState(this.#core, link, state, why),
    });
    this.#links.set(host.value, link);
    this.#tellChange();
    if (!this.#closed) link.start(first);
    return link;
  }

  /** Lets go of a host; what it shows stays as it is. Answers the line that was. */
  async stop(host: string): Promise<HostLink | undefined> {
    const link = this.#links.get(host);
    if (link === undefined) {
      this.#tellChange();
      return undefined;
    }
    this.#links.delete(host);
    this.#parts.set(host, link.mirror.parts());
    await link.close();
    // What was just being taken over has brought its parts meanwhile.
    this.#parts.set(host, link.mirror.parts());
    this.#tellChange();
    return link;
  }

  /** Parts of a host that have references. */
  parts(host: string): readonly PartDocument[] {
    return this.#links.get(host)?.mirror.parts() ?? this.#parts.get(host) ?? [];
  }

  /** Forgets a host that has left. */
  forget(host: string): void {
    this.#parts.delete(host);
    this.#tellChange();
  }

  /** True once the center ends: what breaks off then goes on at its next start. */
  get closed(): boolean {
    return this.#closed;
  }

  link(host: string): HostLink | undefined {
    return this.#links.get(host);
  }

  /** Resolves when datastores are called what they will be, or when it is no longer waited for. */
  async named(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const over = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await Promise.race([this.#options.named(), over]);
  }

  /** Resolves when a host is connected: by the line given, or by one that took its place. Throws HostNotConnected. */
  async ready(link: HostLink, signal: AbortSignal): Promise<HostLink> {
    for (let at = link; ; ) {
      try {
        await at.ready(signal);
        return at;
      } catch (error) {
        at = await this.#after(at, error, signal);
      }
    }
  }

  /** The line to a connected host. Throws HostNotConnected. */
  connected(host: string): HostLink {
    const link = this.#links.get(host);
    if (link?.connected === true) return link;
    const name = this.#core.inventory.find(host)?.name ?? host;
    throw fault('HostNotConnected', {}, `The host '${name}' is not connected; reconnect it, or wait until it is back.`);
  }

  /**
   * The line for work on a host. At the center's start the line's first attempt is waited for, and work that goes on
   * (`again`) waits until the host is back, as that may have done it. Throws HostNotConnected.
   */
  async forWork(host: string, { again = false }: { readonly again?: boolean } = {}): Promise<HostLink> {
    const link = this.#links.get(host);
    if (again && link !== undefined) return link;
    await link?.tried;
    return this.connected(host);
  }

  /** Where the thing is. Throws HostNotConnected where its host is away, ManagedObjectNotFound where it has none. */
  route(ref: ManagedObjectReference): Route {
    const document = this.#core.inventory.find(ref.value);
    if (document?.type === 'VirtualMachine') return this.#at(document.host, ref);
    if (document?.type === 'HostSystem') return this.#at(document.value, ref);
    for (const link of this.#linksOf(document === undefined ? undefined : document.value)) {
      const there = link.connected ? link.mirror.references.toHost(ref) : undefined;
      if (there !== undefined) return { link, ref: there };
    }
    throw this.#core.registry.get(ref) === undefined
      ? fault('ManagedObjectNotFound', { obj: ref }, `There is no ${ref.type} ${ref.value} here.`)
      : fault('HostNotConnected', {}, `No host of ${ref.value} is connected; wait until one is back.`);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#tellChange();
    await Promise.all([...this.#links.values()].map((link) => link.close()));
  }

  #at(host: string, ref: ManagedObjectReference): Route {
    const link = this.connected(host);
    const there = link.mirror.references.toHost(ref);
    if (there !== undefined) return { link, ref: there };
    throw fault('ManagedObjectNotFound', { obj: ref }, `The host no longer has ${ref.value}.`);
  }

  /** The line that takes a closed one's place, as where somebody reconnects the host. Throws `ended` where none will. */
  async #after(closed: HostLink, ended: unknown, signal: AbortSignal): Promise<HostLink> {
    for (;;) {
      const changed = this.#changed.promise;
      const link = this.#links.get(closed.host);
      const document = this.#core.inventory.find(closed.host);
      const isFollowed = document?.type === 'HostSystem' && !document.disconnected;
      if (signal.aborted || this.#closed || !isFollowed) throw ended;
      if (link !== undefined && link !== closed) return link;
      await changed;
    }
  }

  #tellChange(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** Lines to the hosts that have a shared thing; to all for what belongs to one. */
  #linksOf(shared: string | undefined): HostLink[] {
    const hosts = shared === undefined ? [] : this.shared.hostsOf(shared);
    if (hosts.length === 0) return [...this.#links.values()];
    return hosts.flatMap((host) => this.#links.get(host) ?? []);
  }

  /** Another connected host that has the machine registered too. */
  #heirOf(machine: MachineDocument): MachineHeir | undefined {
    for (const link of this.#links.values()) {
      const there = link.mirror.references.toHost(referenceOf(machine));
      if (link.host === machine.host || !link.connected || there === undefined) continue;
      const tellAgain = () =>
        void link.tellAgain(there).catch((error: unknown) => this.#core.onDefect(`host ${link.host}`, error));
      return { host: link.host, hostValue: there.value, tellAgain };
    }
    return undefined;
  }

  /** True when the machine's host has it; where that cannot be asked, it is taken for granted. */
  #has(machine: MachineDocument): boolean {
    const link = this.#links.get(machine.host);
    if (link?.connected !== true) return this.#core.inventory.find(machine.host) !== undefined;
    return link.mirror.references.toHost(referenceOf(machine)) !== undefined;
  }
}

/** Addresses of transfers lead to the host itself; `*` is the center's own address, where the local host answers. */
function leaseInfoAt(host: EntityDocument | undefined, info: HttpNfcLeaseInfo): HttpNfcLeaseInfo {
  if (host?.type !== 'HostSystem' || host.address.local || info.deviceUrl === undefined) return info;
  const { host: name, port } = host.address;
  const address = `${name.includes(':') ? `[${name}]` : name}${port === 443 ? '' : `:${port}`}`;
  const deviceUrl = info.deviceUrl.map((device) => ({ ...device, url: device.url.replace('://*', `://${address}`) }));
  return { ...info, deviceUrl };
}
