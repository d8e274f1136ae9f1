/**
 * A center: one place over many hosts.
 *
 *     const center = await Center.open({ schema, store, connector, … });
 *     await center.close(); // hosts and machines run on
 */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Store } from '@hypostyle/contracts';
import {
  type AboutInfo,
  type AlarmService,
  type Authorizer,
  type Clock,
  type CustomFields,
  counters,
  Dispatcher,
  type ManagedObjectReference,
  Registry,
  type Schema,
  type SessionService,
  systemClock,
  VimFault,
  type VirtualMachineRuntimeInfo,
} from '@hypostyle/vim';
import { aboutCenter } from './about.ts';
import { openCenterAlarms } from './center-alarms.ts';
import type { CenterCore } from './center-core.ts';
import { type CenterServices, openCenterServices } from './center-services.ts';
import { DatastoreNames } from './conflicts/datastore-names.ts';
import { DuplicateMachines } from './conflicts/duplicate-machines.ts';
import { ContainerWork } from './containers/container-work.ts';
import { entityClasses } from './entities/entity-classes.ts';
import type { EntityParts } from './entities/entity-parts.ts';
import { environmentBrowserClass } from './entities/environment-browser.ts';
import { DatastoreAccess } from './files/datastore-access.ts';
import { addFileManagers } from './files/file-managers.ts';
import { Forwarding } from './forwarding/forwarding.ts';
import { partClasses } from './forwarding/part-classes.ts';
import { addGuestOperations } from './guest/guest-operations.ts';
import { hostOverlay, machineOverlay } from './hosts/connection/connection-overlay.ts';
import type { HostConnector } from './hosts/connection/host-connection.ts';
import { HostLinks } from './hosts/connection/host-links.ts';
import { LastKnown } from './hosts/mirror/last-known.ts';
import { unknownState } from './hosts/mirror/unknown-state.ts';
import type { EntityDocument } from './inventory/entity-document.ts';
import { Inventory } from './inventory/inventory.ts';
import { newDatacenter } from './inventory/new-datacenter.ts';
import { meetHost, takeIn } from './joining/host-joining.ts';
import { HistoryPuller } from './performance/history-puller.ts';
import { HostMetrics } from './performance/host-metrics.ts';
import { HostSamples } from './performance/host-samples.ts';
import { PoolFollower } from './pools/pool-follower.ts';
import { PoolOperations } from './pools/pool-operations.ts';
import { PoolUsage } from './pools/pool-usage.ts';
import { ReferenceNumbers } from './references/reference-numbers.ts';
import { ReferenceRewriter } from './references/reference-rewriter.ts';
import { services } from './services.ts';
import { VAppOperations } from './vapps/vapp-operations.ts';
import { VAppPower } from './vapps/vapp-power.ts';

export interface CenterOptions {
  readonly schema: Schema;
  readonly store: Store;
  readonly connector: HostConnector;
  /** Name of the host of this process, which joins at the first start; none unless told. */
  readonly localHost?: string;
  /** Account with every right, made at the first start. */
  readonly administrator: { readonly userName: string; readonly password: string };
  /** Version of the product. */
  readonly version: string;
  /** Port that clients reach the center at. */
  readonly port: () => number;
  /** SHA-1 of the server's certificate, `AB:CD:…`. */
  readonly sslThumbprint: () => string;
  /** Seconds that a host may be silent before it counts as not responding; 10 unless told. */
  readonly heartbeat?: number;
  /** Time of performance samples, so that tests need not wait for it. */
  readonly clock?: Clock;
  /** Told of what failed in the background, with where. */
  readonly onDefect: (where: string, error: unknown) => void;
  /** Told of what an operator would look for. */
  readonly onLog?: (what: string, why: unknown) => void;
}

const identityCollection = 'center';

interface CenterParts {
  readonly core: CenterCore;
  readonly opened: CenterServices;
  readonly dispatcher: Dispatcher;
  readonly forwarding: Forwarding;
  readonly poolFollower: PoolFollower;
  readonly alarms: AlarmService;
  readonly puller: HistoryPuller;
}

export class Center {
  readonly registry: Registry;
  readonly authorizer: Authorizer;
  readonly dispatcher: Dispatcher;
  readonly sessions: SessionService;
  readonly core: CenterCore;
  /** Datastores for a face of files. */
  readonly files: DatastoreAccess;
  readonly #services: CenterServices;
  readonly #forwarding: Forwarding;
  readonly #puller: HistoryPuller;
  readonly #followers: readonly { close(): void }[];

  private constructor({ core, opened, dispatcher, forwarding, poolFollower, alarms, puller }: CenterParts) {
    this.#puller = puller;
    this.core = core;
    this.#services = opened;
    this.#forwarding = forwarding;
    this.#followers = [poolFollower, alarms];
    this.registry = core.registry;
    this.files = new DatastoreAccess(core);
    this.authorizer = core.authorizer;
    this.sessions = opened.sessions;
    this.dispatcher = dispatcher;
  }

  get about(): AboutInfo {
    return this.core.about;
  }

  get rootFolder(): ManagedObjectReference<'Folder'> {
    return services.rootFolder;
  }

  /** True for a method of a managed object here that its host answers. */
  forwards(method: unknown): boolean {
    return this.#forwarding.forwards(method);
  }

  machineCounts(): { readonly registered: number; readonly running: number } {
    let registered = 0;
    let running = 0;
    for (const { ref } of this.registry.all('VirtualMachine')) {
      registered += 1;
      const runtime = this.registry.get(ref)?.value('runtime') as VirtualMachineRuntimeInfo | undefined;
      if (runtime?.powerState === 'poweredOn') running += 1;
    }
    return { registered, running };
  }

  /** Shows what was last known, goes on with unfinished tasks, and connects to its hosts as they answer. */
  static async open(options: CenterOptions): Promise<Center> {
    const { schema, store, onDefect, onLog = () => {}, clock = systemClock } = options;
    const registry = new Registry(schema);
    const about = aboutCenter({ version: options.version, instanceUuid: await instanceUuid(store) });
    const metrics = new HostMetrics(new Map(counters.map(({ id, key }) => [id, key])));
    const opened = await openCenterServices({
      registry,
      store,
      about,
      administrator: options.administrator,
      sslThumbprint: options.sslThumbprint,
      facts: { hostName: hostname(), heartbeat: options.heartbeat ?? 10 },
      current: new HostSamples(() => core, metrics),
      clock,
      onDefect,
    });
    const numbers = await ReferenceNumbers.open(store, (error) => onDefect('reference numbers', error));
    const inventory = await Inventory.open(registry, store, numbers);
    const lastKnown = new LastKnown({ store, onDefect: (error) => onDefect('last known state', error) });
    const core: CenterCore = {
      schema,
      registry,
      store,
      about,
      authorizer: opened.authorizer,
      events: opened.events,
      tasks: opened.tasks,
      inventory,
      numbers,
      rewriter: new ReferenceRewriter(schema),
      lastKnown,
      get hosts() {
        return hosts;
      },
      onDefect,
      onLog,
    };
    const forwarding = new Forwarding(core);
    const duplicates = new DuplicateMachines(core);
    const datastoreNames = new DatastoreNames(core);
    const hosts = new HostLinks({
      core,
      connector: options.connector,
      partClass: partClasses(core, forwarding),
      ...(options.heartbeat === undefined ? {} : { heartbeat: options.heartbeat }),
      onDuplicate: (machine, of) => duplicates.resolve(machine, of),
      onSameName: (datastore) => datastoreNames.settle(datastore),
      named: () => datastoreNames.settled(),
      isAskedName: (host, datastore, name) => datastoreNames.isAsked(host, datastore, name),
    });
    addFileManagers(core, forwarding);
    addGuestOperations(core, forwarding, options.port);
    const known = await lastKnown.load();
    const { customFields, sessions } = opened;
    const dispatcher = new Dispatcher({ registry, authorizer: opened.authorizer, onDefect });
    let alarms: AlarmService | undefined;
    const usage = new PoolUsage(core);
    const pools = new PoolOperations(core, usage);
    const containers = await ContainerWork.open(core, forwarding);
    const parts: EntityParts = {
      core,
      forwarding,
      containers,
      pools,
      usage,
      vApps: new VAppOperations(core, pools),
      vAppPower: new VAppPower(core, containers.steps),
      customFields,
      alarms: () => alarms,
    };
    inventory.showAll(
      {
        classes: entityClasses(parts),
        environmentBrowser: environmentBrowserClass(core, forwarding),
        common: (ref) => ({ ...customFields.propertiesOf(ref) }),
      },
      (document) => shownAtStart(core, document, known.get(document.value)),
    );
    await firstStart(core);
    await keepRights(core, customFields);
    const poolFollower = new PoolFollower(core);
    await hosts.open((value) => known.get(value) ?? {});
    const puller = new HistoryPuller(core, {
      performance: opened.performance,
      metrics,
      clock,
      onMeasured: (entities) => alarms?.metricsChanged(entities),
    });
    alarms = await openCenterAlarms({
      core,
      readMetric: ({ value }, counterId, instance) => puller.latest(value, counterId, instance),
      customFields,
      sessions,
      dispatcher,
      administrator: opened.administrator,
    });
    await opened.tasks.recover();
    await joinLocalHost(core, options);
    puller.start();
    return new Center({ core, opened, dispatcher, forwarding, poolFollower, alarms, puller });
  }

  /** Stops. Hosts and their machines run on; tasks under way go on at the next start. */
  async close(): Promise<void> {
    // First: what the end of the lines breaks off is not over, it goes on at the next start.
    this.#services.tasks.close();
    for (const follower of this.#followers) follower.close();
    const pulled = this.#puller.close();
    await this.core.hosts.close();
    await pulled;
    await this.core.lastKnown.flush();
    await this.#services.close();
  }
}

async function instanceUuid(store: Store): Promise<string> {
  const known = await store.get<string>(identityCollection, 'instanceUuid');
  if (known !== undefined) return known;
  const value = randomUUID();
  await store.transact([{ put: { collection: identityCollection, key: 'instanceUuid', value } }]);
  return value;
}

/** Entities show the permissions that are on them; what is gone has none, and no custom values, any more. */
async function keepRights(core: CenterCore, customFields: CustomFields): Promise<void> {
  const { inventory, registry, authorizer, onDefect } = core;
  const drop = async (ref: ManagedObjectReference) => {
    if (authorizer.on(ref).length > 0) await authorizer.replace(new Map([[ref.value, []]]));
    await customFields.forget(ref);
  };
  const entities = authorizer.all().flatMap(({ entity }) => entity ?? []);
  // What went just before the last end.
  for (const entity of entities) if (inventory.find(entity.value) === undefined) await drop(entity);
  registry.commit((draft) => {
    for (const entity of entities) if (draft.has(entity)) draft.set(entity, { permission: authorizer.on(entity) });
  });
  inventory.onRemoved((ref) => void drop(ref).catch((error: unknown) => onDefect('rights of what is gone', error)));
}

/** What an entity of a host shows until the host has spoken. */
function shownAtStart(core: CenterCore, document: EntityDocument, last: Readonly<Record<string, unknown>> = {}) {
  const known = { ...unknownState(core.schema, document), ...last };
  switch (document.type) {
    case 'HostSystem':
      return { ...known, ...hostOverlay(known, document, document.disconnected ? 'disconnected' : 'notResponding') };
    case 'VirtualMachine':
      core.inventory.uses.set(
        document.value,
        [known.datastore, known.network].flatMap((list) =>
          ((list ?? []) as { value: string }[]).map(({ value }) => value),
        ),
      );
      return { ...known, ...machineOverlay(known, 'notResponding') };
    case 'Datastore':
    case 'Network':
      core.hosts.shared.restore(document.value, known, document.hosts ?? []);
      return { ...known, ...core.hosts.shared.merged(document.value) };
    default:
      return known;
  }
}

/** A root folder, and one datacenter to begin with. */
async function firstStart(core: CenterCore): Promise<void> {
  if (core.inventory.find(services.rootFolder.value) !== undefined) return;
  await core.inventory.edit((edit) => {
    const { value } = services.rootFolder;
    edit.put({ type: 'Folder', value, name: 'Datacenters', childType: ['Folder', 'Datacenter'], fixed: true });
    // The root folder's number is given.
    edit.mint('group-d');
    newDatacenter(edit, 'Datacenter', value);
  });
}

async function joinLocalHost(core: CenterCore, { localHost, connector }: CenterOptions): Promise<void> {
  if (localHost === undefined) return;
  const known = [...core.inventory.all('HostSystem')].find((host) => host.address.local);
  const signal = AbortSignal.timeout(120_000);
  if (known !== undefined) {
    try {
      if (!known.disconnected) await core.hosts.link(known.value)?.ready(signal);
    } catch (error) {
      // A task that goes on since the start may have disconnected it.
      if (!(error instanceof VimFault) || error.type !== 'HostNotConnected') throw error;
    }
    return;
  }
  const [datacenter] = core.inventory.all('Datacenter');
  if (datacenter === undefined) return;
  const address = { local: true } as const;
  const newcomer = await meetHost(core, localHost, address, await connector.connect(address));
  await takeIn(core, newcomer, { kind: 'standalone', folder: datacenter.hostFolder }, signal);
}
