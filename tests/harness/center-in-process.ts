import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Computer, type Daemon, MortalStore } from '@hypostyle/host/testing';
import { handleFolderRequest } from '@hypostyle/services';
import {
  type HttpRequest,
  type HttpResponder,
  ManagementEndpoint,
  MemoryPersistence,
  type PersistenceWrite,
  type Session,
  type SessionService,
} from '@hypostyle/vim';
import { composeCenter } from '../../packages/server/src/compose-center.ts';
import { openHome } from '../../packages/server/src/home/home.ts';
import type { ServedEndpoint } from '../../packages/server/src/served-endpoint.ts';
import { exchange, type TestAnswer, type TestRequest } from '../../packages/vim/src/codec/testing/exchange.ts';

export const administrator = { userName: 'administrator@vsphere.local', password: 'Very-secret-1' } as const;
export const hostAdministrator = { userName: 'root', password: 'Very-secret-1' } as const;

/** Every face of an endpoint, asked without a socket. */
export class Faces {
  readonly endpoint: Omit<ServedEndpoint, 'hypervisorInfo' | 'leases' | 'redeemConsole' | 'machineCounts'>;
  readonly management: ManagementEndpoint;
  /** What was told of defects. */
  readonly defects: unknown[] = [];

  constructor(endpoint: Faces['endpoint']) {
    this.endpoint = endpoint;
    const { registry, dispatcher, authorizer, sessions } = endpoint;
    const onDefect = (...defect: unknown[]) => this.defects.push(defect);
    this.management = new ManagementEndpoint({ registry, dispatcher, authorizer, sessions, onDefect });
  }

  get sessions(): SessionService {
    return this.endpoint.sessions;
  }

  async signIn(
    { userName, password }: { readonly userName: string; readonly password: string },
    clientAddress = '192.0.2.1',
  ): Promise<{ session: Session; token: string }> {
    return this.sessions.signIn({ userName, password }, { clientAddress, userAgent: 'test' });
  }

  /** A request of the Automation interface. */
  async automation(request: TestRequest): Promise<TestAnswer> {
    const { automation } = this.endpoint;
    if (automation === undefined) throw new Error('the endpoint has no Automation interface');
    return exchange({ handle: (one: HttpRequest, respond: HttpResponder) => automation.handle(one, respond) }, request);
  }

  /** Status and page of a request for datastore files. */
  async files(session: Session | undefined, url: string, method = 'GET'): Promise<{ status: number; text: string }> {
    const request = {
      method,
      url,
      headers: {},
      body: (async function* () {})(),
      signal: new AbortController().signal,
    };
    const { status, body } = await handleFolderRequest(request, this.endpoint.folderAccess(session));
    const chunks: Uint8Array[] = [];
    if (Buffer.isBuffer(body)) chunks.push(body);
    else if (body !== undefined) for await (const chunk of body) chunks.push(chunk as Uint8Array);
    return { status, text: Buffer.concat(chunks).toString() };
  }
}

export interface InProcessOptions {
  /** Machines `vm-1`, `vm-2` … on the host's datastore. */
  readonly machines?: number;
}

/** A center with a host of the same process, whose hypervisor is a fake one: everything else is as in a server. */
export class CenterInProcess implements AsyncDisposable {
  readonly center: Faces;
  readonly host: Faces;
  readonly daemon: Daemon;
  readonly hostDisk: MemoryPersistence;
  readonly centerDisk: MemoryPersistence;
  readonly defects: unknown[];
  readonly #remove: () => Promise<void>;

  private constructor(parts: {
    readonly center: Faces;
    readonly host: Faces;
    readonly daemon: Daemon;
    readonly hostDisk: MemoryPersistence;
    readonly centerDisk: MemoryPersistence;
    readonly defects: unknown[];
    readonly remove: () => Promise<void>;
  }) {
    this.center = parts.center;
    this.host = parts.host;
    this.daemon = parts.daemon;
    this.hostDisk = parts.hostDisk;
    this.centerDisk = parts.centerDisk;
    this.defects = parts.defects;
    this.#remove = parts.remove;
  }

  static async open({ machines = 2 }: InProcessOptions = {}): Promise<CenterInProcess> {
    const directory = await mkdtemp(join(tmpdir(), 'hypostyle-center-'));
    const computer = await Computer.make();
    await computer.fill(machines);
    const daemon = await computer.start();
    const { defects } = computer;
    const centerDisk = new MemoryPersistence();
    const center = await composeCenter({
      home: await openHome(join(directory, 'home')),
      store: new MortalStore(centerDisk),
      host: daemon.host,
      hostAdministrator: hostAdministrator.userName,
      administrator,
      version: '0.1.0',
      url: () => 'https://192.0.2.7/sdk',
      port: () => 443,
      sslThumbprint: () => '',
      onDefect: (where, error) => defects.push([where, error]),
      onLog: (what, why) => defects.push([what, why]),
    });
    const { host } = daemon;
    const remove = async () => {
      await center.close();
      await host.close();
      await computer.remove();
      await rm(directory, { recursive: true, force: true });
    };
    const faces = { center: new Faces(center), host: new Faces(host) };
    return new CenterInProcess({ ...faces, daemon, hostDisk: computer.disk, centerDisk, defects, remove });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#remove();
  }
}

/** Every write to a store from now on, in order. */
export function recordedWrites(disk: MemoryPersistence): PersistenceWrite[] {
  const recorded: PersistenceWrite[] = [];
  const transact = disk.transact.bind(disk);
  disk.transact = async (writes) => {
    recorded.push(...writes);
    await transact(writes);
  };
  return recorded;
}
