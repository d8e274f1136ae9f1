import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Clock,
  loadSchema,
  type ManagedObjectReference,
  type ManagedTypes,
  MemoryPersistence,
  type Session,
  type TaskInfo,
  VimFault,
} from '@hypostyle/vim';
import { Host, type HostOptions } from '../host.ts';
import { FakeComputer } from './fake-engine.ts';
import { FakeHypervisor } from './fake-hypervisor.ts';
import { fillDatastore } from './filled-datastore.ts';
import { processOf } from './mortal-files.ts';
import { MortalStore } from './mortal-store.ts';

const schema = loadSchema();

export const vmFolder: ManagedObjectReference<'Folder'> = { type: 'Folder', value: 'ha-folder-vm' };
export const rootPool = { type: 'ResourcePool', value: 'ha-root-pool' } as const;

/** Who the host is; its name is that of the machine, and its UUID a random one, unless told. */
export interface ComputerIdentity {
  readonly name?: string;
  readonly uuid?: string;
}

/** What stays when a daemon ends: folders, the store's disk, engines. */
export class Computer {
  readonly directory: string;
  disk = new MemoryPersistence();
  readonly engines = new FakeComputer();
  readonly defects: unknown[] = [];
  /** Time of its performance samples; the true one unless told. */
  clock: Clock | undefined;
  /** Which start of the computer it is: engines of one do not outlive it. */
  booted = 1;
  /** What holds its engines; nothing unless told. */
  processGroups: HostOptions['processGroups'];

  /** What is done to the hypervisor of each process before it begins. */
  prepare: (hypervisor: FakeHypervisor) => void = () => {};

  readonly #identity: ComputerIdentity;
  readonly #daemons: Daemon[] = [];

  private constructor(directory: string, identity: ComputerIdentity) {
    this.directory = directory;
    this.#identity = identity;
  }

  /** A computer of its own: its UUID is its own unless told. */
  static async make(identity: ComputerIdentity = {}): Promise<Computer> {
    return new Computer(await mkdtemp(join(tmpdir(), 'hypostyle-host-')), identity);
  }

  get datastore(): string {
    return join(this.directory, 'datastore');
  }

  /** Puts machines `vm-1`, `vm-2` … with one disk each on the datastore: they are registered at the next start. */
  async fill(count: number, prefix = 'vm-'): Promise<void> {
    await fillDatastore(this.disk, this.datastore, count, prefix);
  }

  async start(prepare = this.prepare): Promise<Daemon> {
    const store = new MortalStore(this.disk);
    const hypervisor = new FakeHypervisor(this.engines, store.gate);
    prepare(hypervisor);
    const open = () =>
      Host.open({
        schema,
        store,
        hypervisor,
        runDirectory: join(this.directory, 'run'),
        defaultDatastore: { name: 'datastore1', directory: this.datastore },
        administrator: { userName: 'root', password: 'Very-secret-1' },
        ...this.#identity,
        ...(this.clock === undefined ? {} : { clock: this.clock }),
        ...(this.processGroups === undefined ? {} : { processGroups: this.processGroups }),
        computerStart: async () => `start ${this.booted}`,
        version: '0.1.0',
        port: () => 443,
        sslThumbprint: () => '',
        diskExportPort: async () => 10_809,
        onDefect: (where, error) => this.defects.push([where, error]),
      });
    const host = await processOf.run(store, open);
    const daemon = new Daemon(host, store, hypervisor);
    this.#daemons.push(daemon);
    return daemon;
  }

  /** Ends what a test that failed left running, so that its file ends too, and removes the folders. */
  async remove(): Promise<void> {
    for (const daemon of this.#daemons) await daemon.end();
    await this.engines.exports.close();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** One process of the management service. */
export class Daemon {
  readonly host: Host;
  readonly store: MortalStore;
  readonly hypervisor: FakeHypervisor;
  readonly #sessions = new Map<string, Session>();

  constructor(host: Host, store: MortalStore, hypervisor: FakeHypervisor) {
    this.host = host;
    this.store = store;
    this.hypervisor = hypervisor;
  }

  /** Ends the process at once: nothing that it was doing goes on. */
  die(): void {
    this.store.die();
    this.bury();
  }

  /** Closes the host, unless the process dies before that is done. */
  async end(): Promise<void> {
    await Promise.race([this.host.close().catch(() => {}), this.store.died]);
  }

  /** Work that others begin in this process. */
  within<R>(work: () => R): R {
    return processOf.run(this.store, work);
  }

  /** Stops the timers of a process that died: its other work has stopped by itself. */
  bury(): void {
    this.host.close().catch(() => {});
  }

  async call(
    self: ManagedObjectReference,
    name: string,
    args: Record<string, unknown> = {},
    userName = 'root',
  ): Promise<unknown> {
    const session = this.#sessions.get(userName) ?? sessionOf(userName);
    this.#sessions.set(userName, session);
    const method = schema.method(name);
    if (method === undefined) throw new Error(`no method ${name}`);
    const invoke = () =>
      this.host.dispatcher.invoke({
        self,
        method,
        args,
        session,
        version: '8.0.3.0',
        signal: new AbortController().signal,
        connection: { clientAddress: '192.0.2.1', userAgent: 'test', establish: () => {}, release: () => {} } as never,
      });
    const { value } = await processOf.run(this.store, invoke);
    return value;
  }

  /** Calls a method that answers a task, and waits for its end; throws the task's fault. */
  async task(self: ManagedObjectReference, name: string, args: Record<string, unknown> = {}): Promise<unknown> {
    return this.outcome((await this.call(self, name, args)) as ManagedObjectReference<'Task'>);
  }

  async outcome(task: ManagedObjectReference<'Task'>): Promise<unknown> {
    const { error, result } = await this.finished(task);
    if (error !== undefined)
      throw new VimFault(error.fault._typeName ?? '', error.fault, error.localizedMessage ?? 'failed');
    return result;
  }

  async finished(task: ManagedObjectReference<'Task'>): Promise<TaskInfo> {
    for (;;) {
      const info = this.host.registry.read(task, 'info') as TaskInfo;
      if (info.state === 'success' || info.state === 'error') return info;
      await this.#commit();
    }
  }

  /** Waits until no task is queued or runs; throws when the process has died. */
  async idle(): Promise<void> {
    for (;;) {
      if (this.store.dead) throw new Error('The process has died: what it was doing never ends.');
      if (this.tasks().every(({ state }) => state === 'success' || state === 'error')) return;
      await Promise.race([this.#commit(), this.store.died]);
    }
  }

  /** Tasks that clients find, of a method where one is named. */
  tasks(method?: string): TaskInfo[] {
    const manager: ManagedObjectReference<'TaskManager'> = { type: 'TaskManager', value: 'ha-taskmgr' };
    return (this.host.registry.read(manager, 'recentTask') ?? [])
      .map((task) => this.host.registry.read(task, 'info') as TaskInfo)
      .filter(({ name }) => method === undefined || name === method);
  }

  machines(): ManagedObjectReference<'VirtualMachine'>[] {
    return (this.host.registry.read(vmFolder, 'childEntity') ?? []) as ManagedObjectReference<'VirtualMachine'>[];
  }

  read<P extends keyof ManagedTypes['VirtualMachine']['properties']>(
    ref: ManagedObjectReference<'VirtualMachine'>,
    property: P,
  ) {
    return this.host.registry.read(ref, property);
  }

  machine(name: string): ManagedObjectReference<'VirtualMachine'> | undefined {
    return this.machines().find((ref) => this.read(ref, 'name') === name);
  }

  #commit(): Promise<void> {
    return new Promise((resolve) => {
      const stop = this.host.registry.onCommit(() => {
        stop();
        setImmediate(resolve);
      });
    });
  }
}

/** A spec of a small machine with one disk of 1 MiB, which lies beside the machine unless told. */
export function smallMachine(name: string, path = '[datastore1]', disk = ''): Record<string, unknown> {
  return {
    config: {
      _typeName: 'VirtualMachineConfigSpec',
      name,
      files: { _typeName: 'VirtualMachineFileInfo', vmPathName: path },
      deviceChange: [
        {
          _typeName: 'VirtualDeviceConfigSpec',
          operation: 'add',
          device: { _typeName: 'VirtualLsiLogicController', key: -1, busNumber: 0, sharedBus: 'noSharing' },
        },
        newDisk(-1, disk),
      ],
    },
    pool: rootPool,
  };
}

export function newDisk(controllerKey = -1, fileName = ''): Record<string, unknown> {
  return {
    _typeName: 'VirtualDeviceConfigSpec',
    operation: 'add',
    fileOperation: 'create',
    device: {
      _typeName: 'VirtualDisk',
      key: -2,
      controllerKey,
      capacityInKB: 1024n,
      backing: {
        _typeName: 'VirtualDiskFlatVer2BackingInfo',
        fileName,
        diskMode: 'persistent',
        thinProvisioned: true,
      },
    },
  };
}

function sessionOf(userName: string): Session {
  return {
    key: `session-${userName}`,
    userName,
    fullName: userName,
    groups: [],
    loginTime: '2026-01-01T00:00:00Z',
    locale: 'en',
    clientAddress: '192.0.2.1',
    userAgent: 'test',
    ended: false,
    onEnd: () => () => {},
  };
}
