import { setTimeout as sleep } from 'node:timers/promises';
import { Computer, type Daemon, MortalStore } from '@hypostyle/host/testing';
import { type FileRequest, type FileResponse, handleFolderRequest, handleTransferRequest } from '@hypostyle/services';
import {
  ClientError,
  type Clock,
  createLocalCaller,
  data,
  fault,
  loadSchema,
  type ManagedObjectReference,
  type ManagedTypeName,
  MemoryPersistence,
  type Properties,
  type Session,
  type TaskInfo,
  VimFault,
} from '@hypostyle/vim';
import { Center } from '../center.ts';
import type { HostConnection, HostConnector } from '../hosts/connection/host-connection.ts';
import type { HostAddress } from '../inventory/entity-document.ts';

const schema = loadSchema();

/** Hosts by name, reached in the same process; each can be cut off and come back. */
export class HostNetwork implements HostConnector {
  readonly computers = new Map<string, Computer>();
  readonly daemons = new Map<string, Daemon>();
  readonly #cut = new Set<string>();
  readonly #open = new Map<string, Set<() => void>>();
  readonly #sessions = new Map<string, Set<() => void>>();
  /** Hosts that trust a center, as they were told. */
  enrolled = 0;
  /** Another center has the hosts. */
  others = false;

  async add(name: string): Promise<Daemon> {
    const computer = this.computers.get(name) ?? (await Computer.make({ name }));
    this.computers.set(name, computer);
    const daemon = await computer.start();
    this.daemons.set(name, daemon);
    return daemon;
  }

  /** No byte goes through any more; calls under way break. */
  cut(name: string): void {
    this.#cut.add(name);
    for (const end of this.#open.get(name) ?? []) end();
  }

  heal(name: string): void {
    this.#cut.delete(name);
  }

  /** Another host answers at that address from now on; the one that was there runs on, and is answered. */
  replace(name: string, by: Daemon): Daemon {
    const before = this.daemons.get(name);
    if (before === undefined) throw new Error(`there is no host ${name}`);
    this.cut(name);
    this.daemons.set(name, by);
    this.heal(name);
    return before;
  }

  /** Ends the sessions that were signed in through this network. */
  endSessions(name: string): void {
    for (const end of this.#sessions.get(name) ?? []) end();
  }

  /** Breaks every connection: whoever made them is gone. */
  hangUp(): void {
    for (const ends of this.#open.values()) for (const end of ends) end();
  }

  /** The host's process is killed in the middle of whatever it does, and another one started; on another disk if told. */
  async kill(name: string, disk?: MemoryPersistence): Promise<Daemon> {
    this.cut(name);
    this.daemons.get(name)?.die();
    const computer = this.computers.get(name);
    if (computer !== undefined && disk !== undefined) computer.disk = disk;
    const next = await this.add(name);
    this.heal(name);
    return next;
  }

  isCut(name: string): boolean {
    return this.#cut.has(name);
  }

  /** Ends the host's process and starts it anew. */
  async restart(name: string): Promise<Daemon> {
    this.cut(name);
    const daemon = this.daemons.get(name);
    await daemon?.host.close();
    const next = await this.add(name);
    this.heal(name);
    return next;
  }

  async introduce(address: HostAddress, credentials: { userName: string; password: string }): Promise<HostConnection> {
    if (credentials.password !== 'Very-secret-1') throw fault('InvalidLogin', {}, 'No.');
    return this.connect(address);
  }

  async enroll(_connection: HostConnection, force: boolean): Promise<void> {
    if (this.others && !force) throw fault('AlreadyBeingManaged', { ipAddress: '192.0.2.1' }, 'Another has it.');
    this.enrolled += 1;
  }

  async dismiss(): Promise<void> {
    this.enrolled -= 1;
  }

  /** Requests for files, as the hosts' own faces answer them; told of each before it goes. */
  onExchange: (host: string, request: FileRequest) => void = () => {};

  async exchange(address: HostAddress, request: FileRequest): Promise<FileResponse> {
    const name = address.local ? 'local' : address.host;
    const daemon = this.daemons.get(name);
    if (daemon === undefined || this.#cut.has(name)) throw new Error(`${name} does not answer`);
    this.onExchange(name, request);
    const broken = new AbortController();
    const ends = this.#open.get(name) ?? new Set();
    this.#open.set(name, ends);
    ends.add(() => broken.abort(new Error(`${name} was cut off`)));
    const signal = AbortSignal.any([request.signal, broken.signal]);
    const bounded = { ...request, signal };
    const answer = await daemon.within(async () => {
      if (request.url.startsWith('/nfc/')) return handleTransferRequest(bounded, daemon.host.leases);
      const { session, end } = daemon.host.sessions.openInternal({ userName: 'vpxuser' });
      try {
        return await handleFolderRequest(bounded, daemon.host.folderAccess(session));
      } finally {
        end();
      }
    });
    broken.signal.throwIfAborted();
    return answer;
  }

  async connect(address: HostAddress): Promise<HostConnection> {
    const name = address.local ? 'local' : address.host;
    const daemon = this.daemons.get(name);
    if (daemon === undefined || this.#cut.has(name)) throw new ClientError('connection', `${name} does not answer`);
    const { session, caller, end } = callerOf(daemon, 'vpxuser');
    await daemon.within(() => tellOfCenter(daemon, session));
    const broken = new AbortController();
    const ends = this.#open.get(name) ?? new Set();
    this.#open.set(name, ends);
    const breakOff = () => broken.abort(new ClientError('connection', `${name} was cut off`));
    ends.add(breakOff);
    const sessions = this.#sessions.get(name) ?? new Set();
    this.#sessions.set(name, sessions);
    sessions.add(end);
    return {
      content: () => caller.content(),
      call: (self, method, args, options = {}) => {
        if (broken.signal.aborted) throw broken.signal.reason;
        const signal = options.signal === undefined ? broken.signal : AbortSignal.any([broken.signal, options.signal]);
        return daemon.within(() => caller.call(self, method, args, { ...options, signal }));
      },
      close: async () => {
        ends.delete(breakOff);
        sessions.delete(end);
        end();
      },
    };
  }

  async thumbprint(host: string): Promise<string> {
    if (!this.daemons.has(host) || this.#cut.has(host)) throw fault('NoHost', { name: host }, 'Nobody is there.');
    return 'AA';
  }

  async remove(): Promise<void> {
    for (const daemon of this.daemons.values()) await daemon.host.close();
    for (const computer of this.computers.values()) await computer.remove();
  }
}

/** A center over hosts of the same process, and a client signed in to it. */
export class TestCenter {
  readonly center: Center;
  readonly defects: unknown[];
  readonly store: MortalStore;
  readonly #session: Session;
  #killed = false;

  private constructor(center: Center, store: MortalStore, defects: unknown[]) {
    this.center = center;
    this.store = store;
    this.defects = defects;
    this.#session = center.sessions.openInternal({ userName: 'VSPHERE.LOCAL\\administrator' }).session;
  }

  static async open(
    network: HostNetwork,
    disk = new MemoryPersistence(),
    localHost?: string,
    clock?: Clock,
  ): Promise<TestCenter> {
    const defects: unknown[] = [];
    const store = new MortalStore(disk);
    const center = await Center.open({
      schema,
      store,
      connector: network,
      administrator: { userName: 'administrator@vsphere.local', password: 'Very-secret-1' },
      version: '0.1.0',
      port: () => 443,
      sslThumbprint: () => '',
      heartbeat: 2,
      ...(localHost === undefined ? {} : { localHost }),
      ...(clock === undefined ? {} : { clock }),
      onDefect: (where, error) => defects.push([where, error]),
    });
    return new TestCenter(center, store, defects);
  }

  call(self: ManagedObjectReference, name: string, args: Record<string, unknown> = {}): Promise<unknown> {
    return this.callAs(this.#session, self, name, args);
  }

  /** Calls a method in the name of another client. */
  async callAs(
    session: Session,
    self: ManagedObjectReference,
    name: string,
    args: Record<string, unknown> = {},
  ): Promise<unknown> {
    const method = schema.method(name);
    if (method === undefined) throw new Error(`no method ${name}`);
    const { value } = await this.center.dispatcher.invoke({
      self,
      method,
      args,
      session,
      version: '8.0.3.0',
      signal: new AbortController().signal,
      connection: { clientAddress: '192.0.2.1', userAgent: 'test', establish: () => {}, release: () => {} } as never,
    });
    return value;
  }

  /** Calls a method that answers a task, and waits for its end; throws the task's fault. */
  async task(self: ManagedObjectReference, name: string, args: Record<string, unknown> = {}): Promise<unknown> {
    return this.outcome((await this.call(self, name, args)) as ManagedObjectReference<'Task'>);
  }

  async outcome(task: ManagedObjectReference<'Task'>): Promise<unknown> {
    const { error, result } = await this.finished(task);
    if (error === undefined) return result;
    throw new VimFault(error.fault._typeName ?? '', error.fault, error.localizedMessage ?? 'failed');
  }

  async finished(task: ManagedObjectReference<'Task'>): Promise<TaskInfo> {
    await this.until(() => ['success', 'error'].includes(this.read(task, 'info')?.state ?? ''));
    return this.read(task, 'info') as TaskInfo;
  }

  /** Waits until it is so; looked at after every change. */
  async until(so: () => boolean): Promise<void> {
    while (!so()) {
      await new Promise<void>((resolve) => {
        const stop = this.center.registry.onCommit(() => {
          stop();
          setImmediate(resolve);
        });
      });
    }
  }

  read<T extends ManagedTypeName, P extends keyof Properties<T> & string>(ref: ManagedObjectReference<T>, property: P) {
    return this.center.registry.read(ref, property);
  }

  all<T extends ManagedTypeName>(type: T): ManagedObjectReference<T>[] {
    return [...this.center.registry.all(type)].map(({ ref }) => ref as ManagedObjectReference<T>);
  }

  named<T extends 'VirtualMachine' | 'HostSystem' | 'Datastore'>(type: T, name: string): ManagedObjectReference<T> {
    const ref = this.all(type).find((one) => this.center.registry.get(one)?.value('name') === name);
    if (ref === undefined) throw new Error(`there is no ${type} ${name}`);
    return ref;
  }

  hostFolder(): ManagedObjectReference<'Folder'> {
    const [datacenter] = this.all('Datacenter');
    const folder = datacenter === undefined ? undefined : this.read(datacenter, 'hostFolder');
    if (folder === undefined) throw new Error('there is no datacenter');
    return folder as ManagedObjectReference<'Folder'>;
  }

  /** Adds a host alone; its compute resource. */
  async addHost(hostName: string, spec: object = {}, addConnected = true): Promise<ManagedObjectReference> {
    const all = { ...connectSpec(hostName), ...spec };
    const args = { spec: all, addConnected };
    return (await this.task(this.hostFolder(), 'AddStandaloneHost_Task', args)) as ManagedObjectReference;
  }

  /** Names of the events so far, oldest first. */
  async events(): Promise<string[]> {
    await this.center.core.events.flush();
    const filter = { _typeName: 'EventFilterSpec' };
    const found = (await this.call(this.center.core.events.ref, 'QueryEvents', { filter })) as { _typeName: string }[];
    return [...found]
      .sort((a, b) => (a as { key?: number }).key! - (b as { key?: number }).key!)
      .map((event) => event._typeName);
  }

  state(host: ManagedObjectReference<'HostSystem'>): string | undefined {
    return this.read(host, 'runtime')?.connectionState;
  }

  async close(): Promise<void> {
    if (this.#killed) return;
    await this.center.close();
  }

  /** Ends the process in the middle of whatever it does: nothing is written any more, and its lines are cut. */
  kill(): void {
    this.#killed = true;
    this.store.die();
    // What waits for the store waits for good.
    this.center.close().catch(() => {});
    this.center.core.hosts.close().catch(() => {});
  }
}

export function connectSpec(hostName: string): Record<string, unknown> {
  return {
    _typeName: 'HostConnectSpec',
    hostName,
    sslThumbprint: 'AA',
    userName: 'root',
    password: 'Very-secret-1',
    force: false,
  };
}

function callerOf({ host }: Daemon, userName: string) {
  const { session, end } = host.sessions.openInternal({ userName });
  return { session, end, caller: createLocalCaller({ dispatcher: host.dispatcher, registry: host.registry, session }) };
}

/** Registers the center on a host that does not know it, and waits for the rights that go with it. */
async function tellOfCenter(daemon: Daemon, center: Session): Promise<void> {
  const { caller, end } = callerOf(daemon, 'root');
  try {
    const { extensionManager, rootFolder } = await caller.content();
    if (extensionManager === undefined) throw new Error('the host has no ExtensionManager');
    const extensionKey = 'com.hypostyle.center.test';
    if ((await caller.call(extensionManager, 'FindExtension', { extensionKey })) === undefined) {
      const description = data('Description', { label: 'center', summary: 'center' });
      const lastHeartbeatTime = new Date().toISOString();
      const extension = { key: extensionKey, type: 'VirtualCenter', version: '1.0', description, lastHeartbeatTime };
      await caller.call(extensionManager, 'RegisterExtension', { extension: data('Extension', extension) });
    }
    while (!daemon.host.authorizer.holds(center, rootFolder, 'System.Read')) await sleep(1);
  } finally {
    end();
  }
}
