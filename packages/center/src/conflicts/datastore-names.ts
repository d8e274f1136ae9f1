import { type DatastoreSummary, Turns, VimFault } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { HostLink } from '../hosts/connection/host-link.ts';
import { type DatastoreDocument, type EntityDocument, referenceOf } from '../inventory/entity-document.ts';

/**
 * Keeps names of datastores true: one name within a datacenter, and the same on every host that has the datastore.
 * What a host calls otherwise is renamed there, as paths are written with these names.
 */
export class DatastoreNames {
  readonly #core: CenterCore;
  readonly #turns = new Turns();
  /** Names that hosts are just told to use, by host and datastore. */
  readonly #asked = new Map<string, string>();

  constructor(core: CenterCore) {
    this.#core = core;
  }

  /** Looks after the name of a datastore, in its own time: when its hosts are connected, after others before it. */
  settle({ value }: DatastoreDocument): void {
    this.#turns
      .take(() => this.#settle(value))
      .catch((error: unknown) => {
        if (this.#core.hosts.closed) return;
        this.#core.onLog(`the datastore ${value} was not renamed`, error);
      });
  }

  /** Resolves when all that is to be looked after now has been. */
  settled(): Promise<void> {
    return this.#turns.take(async () => {});
  }

  /** Whether a host calls a datastore so because it was just told to: that is nobody's wish there. */
  isAsked(host: string, { value }: DatastoreDocument, name: string): boolean {
    return this.#asked.get(`${host} ${value}`) === name;
  }

  async #settle(value: string): Promise<void> {
    const { inventory, hosts } = this.#core;
    // The change that it was told in is shown first.
    await inventory.edit(() => {});
    const before = inventory.find(value);
    if (before?.type !== 'Datastore') return;
    const links = hosts.shared.hostsOf(value).flatMap((host) => hosts.link(host) ?? []);
    // A host that is taken over just now counts once it is here; one that is away is told anew when it is back.
    const patience = AbortSignal.timeout(10_000);
    await Promise.all(links.map((link) => link.connected || link.ready(patience).catch(() => {})));
    const document = inventory.find(value);
    if (document?.type !== 'Datastore') return;
    const newName = this.#freeName(document);
    for (const link of links) if (link.connected) await this.#rename(link, document, newName);
  }

  async #rename(link: HostLink, document: DatastoreDocument, newName: string): Promise<void> {
    const { hosts, events } = this.#core;
    const summary = hosts.shared.view(document.value, link.host)?.summary as DatastoreSummary | undefined;
    const there = link.mirror.references.toHost(referenceOf(document));
    if (summary === undefined || summary.name === newName || there === undefined) return;
    const asked = `${link.host} ${document.value}`;
    // A number behind the name is news, which the center learns from the host.
    if (newName === document.name) this.#asked.set(asked, newName);
    try {
      await link.call(there, 'RenameDatastore', { newName });
      await link.caughtUp();
    } catch (error) {
      // Away: it is told anew when it is back.
      if (error instanceof VimFault && error.type === 'HostNotConnected') return;
      throw error;
    } finally {
      this.#asked.delete(asked);
    }
    events.post(undefined, {
      type: 'DatastoreRenamedOnHostEvent',
      entity: { type: 'HostSystem', value: link.host },
      members: { oldName: summary.name, newName },
    });
  }

  /** The datastore's name, or with the first free number behind it where another one of its datacenter has it. */
  #freeName(document: DatastoreDocument): string {
    const { inventory } = this.#core;
    const datacenter = inventory.above(document.value, ['Datacenter']);
    const below = (folder: string): EntityDocument[] =>
      inventory.children(folder).flatMap((child) => (child.type === 'Folder' ? below(child.value) : [child]));
    const others = datacenter === undefined ? [] : below(datacenter.datastoreFolder);
    const taken = new Set(others.filter(({ value }) => value !== document.value).map(({ name }) => name));
    if (!taken.has(document.name)) return document.name;
    const plain = document.name.replace(/ \(\d+\)$/, '');
    for (let number = 1; ; number += 1) {
      const name = `${plain} (${number})`;
      if (!taken.has(name)) return name;
    }
  }
}
