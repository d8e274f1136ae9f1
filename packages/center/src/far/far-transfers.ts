import { randomUUID } from 'node:crypto';
import { formatDatastorePath, joinPath, parseDatastorePath, splitPath } from '@hypostyle/services';
import { type Call, fault, type ManagedObjectReference, type RunningTask, type ServiceContent } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { FilePlace } from '../files/file-place.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import type { HostLink } from '../hosts/connection/host-link.ts';
import { referenceOf } from '../inventory/entity-document.ts';
import { datastoreArgument } from './far-events.ts';
import { FarFiles, type FarPlace } from './far-files.ts';

const methods = {
  CopyDatastoreFile_Task: { kind: 'FileManager.copyFile', disk: false, moves: false },
  MoveDatastoreFile_Task: { kind: 'FileManager.moveFile', disk: false, moves: true },
  CopyVirtualDisk_Task: { kind: 'VirtualDiskManager.copyVirtualDisk', disk: true, moves: false },
  MoveVirtualDisk_Task: { kind: 'VirtualDiskManager.moveVirtualDisk', disk: true, moves: true },
} as const;
export type TransferMethod = keyof typeof methods;

interface Input {
  readonly method: TransferMethod;
  readonly from: FarPlace;
  readonly to: FarPlace;
  /** Reference values of the datastores. */
  readonly source: string;
  readonly target: string;
  readonly force: boolean;
  /** VirtualDiskSpec of a copied disk. */
  readonly destSpec?: unknown;
  readonly arrival: string;
}

/** What a client asks for. */
export interface TransferRequest {
  readonly source: FilePlace;
  readonly target: FilePlace;
  readonly force: boolean;
  readonly destSpec?: unknown;
}

export function isTransfer(method: string): method is TransferMethod {
  return Object.hasOwn(methods, method);
}

/**
 * Copies and moves of files and disks between datastores that no host has both of: sent beside where they are to be,
 * under a name of the task's own, and given their name by the other host's own method.
 */
export class FarTransfers {
  readonly #core: CenterCore;
  readonly #forwarding: Forwarding;
  readonly #files: FarFiles;
  readonly #start: Readonly<
    Record<
      TransferMethod,
      (
        call: Call,
        request: { readonly input: Input; readonly entity: ManagedObjectReference },
      ) => Promise<ManagedObjectReference<'Task'>>
    >
  >;

  constructor(core: CenterCore, forwarding: Forwarding) {
    this.#core = core;
    this.#forwarding = forwarding;
    this.#files = new FarFiles(core);
    const define = (method: TransferMethod) =>
      core.tasks.define<Input>(methods[method].kind, {
        method,
        cancelable: true,
        run: (task, input) => this.#run(task, input, false),
        resume: (task, input) => this.#run(task, input, true),
      });
    this.#start = {
      CopyDatastoreFile_Task: define('CopyDatastoreFile_Task'),
      MoveDatastoreFile_Task: define('MoveDatastoreFile_Task'),
      CopyVirtualDisk_Task: define('CopyVirtualDisk_Task'),
      MoveVirtualDisk_Task: define('MoveVirtualDisk_Task'),
    };
  }

  /** Throws HostNotConnected where no host of one of the datastores is connected. */
  begin(call: Call, method: TransferMethod, request: TransferRequest): Promise<ManagedObjectReference<'Task'>> {
    const { source, target, force, destSpec } = request;
    const input: Input = {
      method,
      from: this.#placeOf(source),
      to: this.#placeOf(target),
      source: source.datastore.value,
      target: target.datastore.value,
      force,
      ...(destSpec === undefined ? {} : { destSpec }),
      arrival: randomUUID(),
    };
    return this.#start[method](call, { input, entity: referenceOf(target.datastore) });
  }

  async #run(task: RunningTask, input: Input, again: boolean): Promise<void> {
    const { method, from, to, arrival } = input;
    const { disk, moves } = methods[method];
    for (const { host } of [to, from])
      await this.#core.hosts.ready(await this.#core.hosts.forWork(host, { again }), task.signal);
    const { folder } = splitPath(to.path);
    // A disk has two files, which are one folder on their way.
    const staged = { ...to, path: joinPath(folder, `arriving-${arrival}`) };
    const { placed } = (task.journaled ?? {}) as { readonly placed?: boolean };
    if (placed !== true) {
      try {
        if (!again) await this.#check(input, task.signal);
        if (!(again && (await this.#files.exists(staged, task.signal)))) await this.#send(task, input, staged);
        await this.#place(task, input, staged, again);
      } catch (error) {
        if (this.#core.hosts.closed) throw error;
        await this.#clear(task, staged);
        throw error;
      }
      if (disk) await this.#clear(task, staged);
      await task.journal({ placed: true });
    }
    if (moves) {
      const name = formatDatastorePath(from);
      const remove = disk ? 'DeleteVirtualDisk_Task' : 'DeleteDatastoreFile_Task';
      await this.#step(task, from, disk, remove, { name }, { part: 'leave', again });
    }
    this.#tell(task, input);
  }

  /** What would be refused when all has come is refused before. */
  async #check({ to, force }: Input, signal: AbortSignal): Promise<void> {
    const { folder } = splitPath(to.path);
    if (folder !== '' && !(await this.#files.exists({ ...to, path: folder }, signal)))
      throw fault('FileNotFound', { file: formatDatastorePath({ ...to, path: folder }) }, 'The folder is not there.');
    if (!force && (await this.#files.exists(to, signal)))
      throw fault(
        'FileAlreadyExists',
        { file: formatDatastorePath(to) },
        `${formatDatastorePath(to)} is there already.`,
      );
  }

  #send(task: RunningTask, { method, from }: Input, staged: FarPlace): Promise<void> {
    const { disk, moves } = methods[method];
    const source = disk ? { ...from, disk: moves ? ('move' as const) : ('copy' as const) } : from;
    let total = 0;
    let done = 0;
    return this.#files.send(source, staged, {
      signal: task.signal,
      onTotal: (bytes) => {
        total = bytes;
      },
      onBytes: (count) => {
        done += count;
        if (total > 0) task.progress(Math.min(90, Math.floor((90 * done) / total)));
      },
    });
  }

  async #place(task: RunningTask, input: Input, staged: FarPlace, again: boolean): Promise<void> {
    const { method, from, to, force, destSpec } = input;
    const { disk } = methods[method];
    const options = { part: 'place', again };
    const destination = formatDatastorePath(to);
    if (!disk) {
      const args = { sourceName: formatDatastorePath(staged), destinationName: destination, force };
      await this.#step(task, to, disk, 'MoveDatastoreFile_Task', args, options);
      return;
    }
    const arrived = formatDatastorePath({ ...staged, path: joinPath(staged.path, splitPath(from.path).name) });
    const args = { sourceName: arrived, destName: destination, force };
    if (destSpec === undefined) await this.#step(task, to, disk, 'MoveVirtualDisk_Task', args, options);
    else await this.#step(task, to, disk, 'CopyVirtualDisk_Task', { ...args, destSpec }, options);
  }

  /** Takes away what came, where it did not get its name. */
  async #clear(task: RunningTask, staged: FarPlace): Promise<void> {
    try {
      const steady = new AbortController().signal;
      const link = this.#core.hosts.link(staged.host);
      if (link === undefined) return;
      await this.#core.hosts.ready(link, steady);
      if (!(await this.#files.exists(staged, steady))) return;
      const name = formatDatastorePath(staged);
      await this.#step(
        task,
        staged,
        false,
        'DeleteDatastoreFile_Task',
        { name },
        { part: 'clear', again: true, steady: true },
      );
    } catch (error) {
      this.#core.onLog('what came of a transfer stays', error);
    }
  }

  async #step(
    task: RunningTask,
    { host }: FarPlace,
    disk: boolean,
    method: string,
    args: Readonly<Record<string, unknown>>,
    options: { readonly part: string; readonly again: boolean; readonly steady?: boolean },
  ): Promise<void> {
    const link = await this.#core.hosts.forWork(host, { again: true });
    const member = (disk ? 'virtualDiskManager' : 'fileManager') satisfies keyof ServiceContent;
    const self = (at: HostLink) => {
      const manager = at.layout.content[member];
      if (manager === undefined) throw fault('NotSupported', {}, 'The host has no such manager.');
      return manager as ManagedObjectReference;
    };
    await this.#forwarding.step(task, link, self, method, args, options);
  }

  #tell(task: RunningTask, { method, from, to, source, target }: Input): void {
    const type = methods[method].moves ? 'DatastoreFileMovedEvent' : 'DatastoreFileCopiedEvent';
    const members = {
      targetFile: formatDatastorePath(to),
      sourceFile: formatDatastorePath(from),
      sourceDatastore: datastoreArgument(this.#core, source),
      succeeded: true,
    };
    const entity = referenceOf({ type: 'Datastore', value: target } as const);
    this.#core.registry.commit((draft) => task.post(draft, { type, entity, members }));
  }

  /** On a connected host that has the datastore, that of this process before others. */
  #placeOf({ datastore, path }: FilePlace): FarPlace {
    const { hosts, inventory } = this.#core;
    const having = hosts.shared.hostsOf(datastore.value).filter((host) => hosts.link(host)?.connected === true);
    const host = having.find((each) => inventory.get('HostSystem', { value: each }).address.local) ?? having[0];
    if (host === undefined)
      throw fault('HostNotConnected', {}, `No host that has '${datastore.name}' is connected; wait until one is back.`);
    return { host, datastore: datastore.name, path: parseDatastorePath(path).path };
  }
}
