import type { HostCore } from '../host-core.ts';
import { refreshFiles } from '../machine/files/refresh-files.ts';
import type { Datastore } from './datastore.ts';
import { type DatastoreSpace, spaceOf } from './datastores.ts';

/** Milliseconds between looks, and until what changed little is told too. */
const lookInterval = 5_000;
const exactInterval = 30_000;
/** Part of a datastore, and bytes, by which its free space changes little. */
const smallPart = 1_000;
const smallBytes = 256 * 2 ** 20;
/** Machines that run whose files are looked at in one turn. */
const machinesAtOnce = 32;

interface Seen {
  readonly space: DatastoreSpace | undefined;
  readonly at: number;
}

/** Keeps the space of datastores, and the room that the files of running machines take, true within seconds. */
export class StorageWatch {
  readonly #core: HostCore;
  readonly #show: (datastore: Datastore, space: DatastoreSpace | undefined) => void;
  readonly #seen = new Map<Datastore, Seen>();
  readonly #timer: NodeJS.Timeout;
  #looking = false;
  /** The last machine that was looked at. */
  #last = '';

  constructor(core: HostCore, show: (datastore: Datastore, space: DatastoreSpace | undefined) => void) {
    this.#core = core;
    this.#show = show;
    this.#timer = setInterval(() => {
      this.#look().catch((error: unknown) => core.onDefect('space of datastores', error));
    }, lookInterval);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    // A datastore that does not answer is not asked twice.
    if (this.#looking) return;
    this.#looking = true;
    try {
      const datastores = this.#core.datastores.all();
      for (const known of this.#seen.keys()) if (!datastores.includes(known)) this.#seen.delete(known);
      await Promise.all(datastores.map((datastore) => this.#lookAt(datastore)));
      for (const id of this.#nextMachines()) await refreshFiles(this.#core, id);
    } finally {
      this.#looking = false;
    }
  }

  async #lookAt(datastore: Datastore): Promise<void> {
    const space = await spaceOf(datastore);
    const seen = this.#seen.get(datastore);
    const now = Date.now();
    if (seen !== undefined && now - seen.at < exactInterval && !isWorthTelling(seen.space, space)) return;
    this.#seen.set(datastore, { space, at: now });
    this.#show(datastore, space);
  }

  /** Those that run, some in each turn. */
  #nextMachines(): string[] {
    const running = [...this.#core.machines.all()].filter(({ powerState }) => powerState === 'poweredOn');
    const at = running.findIndex(({ id }) => id === this.#last) + 1;
    const next = [...running.slice(at), ...running.slice(0, at)].slice(0, machinesAtOnce).map(({ id }) => id);
    this.#last = next.at(-1) ?? '';
    return next;
  }
}

/** Whether it changed by more than other programs on the same file system move it all the time. */
function isWorthTelling(before: DatastoreSpace | undefined, now: DatastoreSpace | undefined): boolean {
  if (before === undefined || now === undefined) return before !== now;
  if (before.capacityBytes !== now.capacityBytes) return true;
  return Math.abs(before.freeBytes - now.freeBytes) >= Math.min(now.capacityBytes / smallPart, smallBytes);
}
