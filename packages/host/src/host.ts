/**
 * One host: a complete endpoint of its own, as ESXi is.
 *
 *     const host = await Host.open({ schema, store, hypervisor, … });
 *     await host.close(); // machines run on
 */
import { chmod, mkdir } from 'node:fs/promises';
import type { Hypervisor, HypervisorInfo, ProcessGroups, ProcessGroupsInfo, Store } from '@hypostyle/contracts';
import {
  type FileRequest,
  type FileResponse,
  type FolderAccess,
  faults,
  ovfExportOptions,
  ovfImportOptions,
  removeLeftovers,
  systemClock,
  TransferLeases,
} from '@hypostyle/services';
import {
  type Authorizer,
  type Clock,
  Dispatcher,
  type ManagedObjectReference,
  RealtimeSamples,
  Registry,
  type RunningTask,
  type Schema,
  type Session,
} from '@hypostyle/vim';
import { AutoStart, readComputerStart } from './auto-start/auto-start.ts';
import { GuestOsNames } from './configuration/guest-os.ts';
import { busyFiles, writtenFiles } from './datastore/busy-files.ts';
import { type DatastoreRename, defineDatastoreRename } from './datastore/datastore-rename.ts';
import { Datastores, spaceOf } from './datastore/datastores.ts';
import { defineDiskWork } from './disks/disk-work.ts';
import { sentDisk } from './disks/sent-disk.ts';
import { addGuestOperations } from './guest/guest-operations.ts';
import type { GuestTransfers } from './guest/guest-transfers.ts';
import type { HostCore } from './host-core.ts';
import { type HostServices, openHostServices } from './host-services.ts';
import { aboutHost } from './inventory/about.ts';
import { addContainers } from './inventory/container-objects.ts';
import { addDatastoreObject, watchSpace } from './inventory/datastore-object.ts';
import { type HostFacts, readHostFacts } from './inventory/host-facts.ts';
import { hostIdentity } from './inventory/host-identity.ts';
import { addHostObject, HostUse } from './inventory/host-object.ts';
import { Inventory } from './inventory/inventory.ts';
import { Networks } from './inventory/networks.ts';
import { references } from './inventory/references.ts';
import { ChangeTracking } from './machine/changes/change-tracking.ts';
import { defineCloneWork } from './machine/clone/clone-work.ts';
import { definePromoteWork } from './machine/clone/promote-work.ts';
import { defineRelocateWork } from './machine/clone/relocate-work.ts';
import { type Console, ConsoleTickets } from './machine/console/console-tickets.ts';
import { screenResponse } from './machine/console/screen-face.ts';
import { defineScreenshotWork, type ScreenshotWork } from './machine/console/screenshots.ts';
import { defineCustomizeWork } from './machine/customize/customize-work.ts';
import { customizationSeen } from './machine/customize/pending-customization.ts';
import { adoptMachines } from './machine/engine/adoption.ts';
import { FullDisks } from './machine/engine/full-disks.ts';
import { MachineWatch } from './machine/engine/machine-watch.ts';
import { DiskTickets } from './machine/export/disk-tickets.ts';
import { defineExportWork } from './machine/export/export-work.ts';
import { FolderTickets } from './machine/export/folder-tickets.ts';
import { DiskChildren } from './machine/files/disk-children.ts';
import { defineImportWork } from './machine/import/import-work.ts';
import { definePullWork } from './machine/import/pull-work.ts';
import { defineLifecycleWork } from './machine/lifecycle/lifecycle-work.ts';
import { defineTemplateWork } from './machine/lifecycle/template-work.ts';
import { type MachineWork, machineClass } from './machine/machine-object.ts';
import { powerOn } from './machine/power/power-on.ts';
import { definePowerWork } from './machine/power/power-work.ts';
import { defineReconfigureWork } from './machine/reconfigure/reconfigure-work.ts';
import { Claims } from './machine/record/claims.ts';
import { Machines } from './machine/record/machines.ts';
import { addMachineObject } from './machine/registration/machine-entry.ts';
import { loadMachine, machineDocuments, runtimeDocuments } from './machine/registration/registration.ts';
import { SettleWork } from './machine/settle/settle-work.ts';
import { showSnapshots } from './machine/snapshot/show-snapshots.ts';
import { snapshotClass } from './machine/snapshot/snapshot-object.ts';
import { defineSnapshotWork } from './machine/snapshot/snapshot-work.ts';
import { defineToolsWork } from './machine/tools/tools-work.ts';
import { MaintenanceMode } from './maintenance/maintenance-mode.ts';
import { defineMaintenanceWork } from './maintenance/maintenance-work.ts';
import { autoStartManagerClass } from './managed/auto-start-manager.ts';
import { DatastoreBrowsers } from './managed/datastore-browser.ts';
import { datastoreSystemCapabilities, datastoreSystemClass } from './managed/datastore-system.ts';
import { environmentBrowserClass } from './managed/environment-browser.ts';
import { fileManagerClass } from './managed/file-manager.ts';
import { addNetworkSystem } from './managed/network-system.ts';
import { ovfManagerClass } from './managed/ovf-manager.ts';
import { virtualDiskManagerClass } from './managed/virtual-disk-manager.ts';
import { isCenter } from './management/center-account.ts';
import { PerformanceSampler } from './performance/performance-sampler.ts';
import { PoolUsage } from './pools/pool-usage.ts';
import { Pools } from './pools/pools.ts';
import { ResourceControl } from './resources/resource-control.ts';

export interface HostOptions {
  readonly schema: Schema;
  readonly store: Store;
  readonly hypervisor: Hypervisor;
  /** Short path on a local file system, for engines' sockets; made with mode 0700. */
  readonly runDirectory: string;
  /** Added at the first start. */
  readonly defaultDatastore: { readonly name: string; readonly directory: string };
  /** Account with every right, made at the first start. */
  readonly administrator: { readonly userName: string; readonly password: string };
  /** Name of the host; that of the machine unless told. */
  readonly name?: string;
  /** UUID of the host, taken at the first start only; a random one unless told. */
  readonly uuid?: string;
  /** Version of the product. */
  readonly version: string;
  /** Port that clients reach the host at. */
  readonly port: () => number;
  /** SHA-1 of the server's certificate, `AB:CD:…`. */
  readonly sslThumbprint: () => string;
  /** Port at which disks of leases are read over NBD; none: they are not. */
  readonly diskExportPort?: () => Promise<number>;
  /** Holds the engines of the host with that UUID to what they are granted; none: limits are kept and not enforced. */
  readonly processGroups?: (hostUuid: string) => ProcessGroups;
  /** Time of performance samples, so that tests need not wait for it. */
  readonly clock?: Clock;
  /** Which start of this computer it is, so that machines start with it once; the kernel tells unless told. */
  readonly computerStart?: () => Promise<string>;
  /** Told of what failed in the background, with where. */
  readonly onDefect: (where: string, error: unknown) => void;
}

/** Most folders that are read at a time at start. */
const atOnce = 32;

export class Host {
  readonly registry: Registry;
  readonly authorizer: Authorizer;
  readonly dispatcher: Dispatcher;
  readonly sessions: HostServices['sessions'];
  readonly leases: TransferLeases;
  readonly hypervisorInfo: HypervisorInfo;
  readonly #core: HostCore;
  readonly #consoles: ConsoleTickets;
  readonly #guestTransfers: GuestTransfers;
  readonly #screenshots: ScreenshotWork;
  readonly #services: HostServices;
  readonly #watch: MachineWatch;
  readonly #settle: SettleWork;
  readonly #stops: readonly (() => void)[];
  #closed: Promise<void> | undefined;

  private constructor(parts: {
    readonly core: HostCore;
    readonly services: HostServices;
    readonly leases: TransferLeases;
    readonly consoles: ConsoleTickets;
    readonly guestTransfers: GuestTransfers;
    readonly screenshots: ScreenshotWork;
    readonly watch: MachineWatch;
    readonly settle: SettleWork;
    readonly stops: readonly (() => void)[];
  }) {
    const { core, services } = parts;
    this.#core = core;
    this.#services = services;
    this.#watch = parts.watch;
    this.#settle = parts.settle;
    this.#stops = parts.stops;
    this.registry = core.registry;
    this.authorizer = services.authorizer;
    this.sessions = services.sessions;
    this.leases = parts.leases;
    this.#consoles = parts.consoles;
    this.#guestTransfers = parts.guestTransfers;
    this.#screenshots = parts.screenshots;
    this.hypervisorInfo = core.hypervisorInfo;
    this.dispatcher = new Dispatcher({
      registry: core.registry,
      authorizer: services.authorizer,
      onDefect: core.onDefect,
    });
  }

  /** Reads what is there, finds the engines that run, and goes on with unfinished tasks. */
  static async open(options: HostOptions): Promise<Host> {
    const { schema, store, hypervisor, onDefect, clock = systemClock } = options;
    await mkdir(options.runDirectory, { recursive: true, mode: 0o700 });
    await chmod(options.runDirectory, 0o700);
    const identity = await hostIdentity(store, options);
    const { processGroups } = options;
    const groups = processGroups?.(identity.uuid);
    const [facts, hypervisorInfo, groupsInfo] = await Promise.all([
      readHostFacts(identity),
      hypervisor.probe(),
      groups?.probe(),
    ]);
    const registry = new Registry(schema);
    const about = aboutHost({ version: options.version, instanceUuid: facts.uuid });
    const samples = new RealtimeSamples(['HostSystem', 'VirtualMachine', 'ResourcePool']);
    const services = await openHostServices({
      registry,
      store,
      about,
      administrator: options.administrator,
      sslThumbprint: options.sslThumbprint,
      samples,
      clock,
      onDefect,
    });
    const datastores = new Datastores(store);
    await datastores.load();
    if (datastores.all().length === 0)
      await datastores.add(options.defaultDatastore.name, options.defaultDatastore.directory);
    const [maintenance, pools] = await Promise.all([MaintenanceMode.open(store), Pools.open(store)]);
    const parts = { facts, hypervisorInfo, groups, groupsInfo, registry, services, datastores, maintenance, pools };
    const core = makeCore(options, parts);
    const watch = new MachineWatch(core, { clock });
    const consoles = new ConsoleTickets(core, options.sslThumbprint);
    const leases = new TransferLeases({
      pulling: definePullWork(core),
      registry,
      clock: systemClock,
      sslThumbprint: options.sslThumbprint(),
      onDefect: (error) => onDefect('transfer lease', error),
    });
    const settle = new SettleWork(core);
    watch.onHostName = (id, hostName) => {
      const machine = core.machines.find(id);
      return machine === undefined ? Promise.resolve() : customizationSeen(core, machine, hostName);
    };
    watch.onDiskPaused = (id, diskId, detail) => settle.diskPaused(id, diskId, detail);
    const full = new FullDisks(core, (datastore) => settle.giveRoom(datastore));
    watch.onDiskFull = (id, diskId) => full.paused(id, diskId);
    const lifecycle = defineLifecycleWork(core, settle);
    const exporting = defineExportWork(core, leases, settle);
    const screenshots = defineScreenshotWork(core);
    const start = (task: RunningTask, id: string) =>
      powerOn(core, task, id, (machine, engine) => watch.follow(machine, engine), settle);
    const snapshots = defineSnapshotWork(core, watch, start);
    const work: MachineWork = {
      power: definePowerWork(core, watch, settle),
      lifecycle,
      cloning: defineCloneWork(core, snapshots.parts, start),
      templates: defineTemplateWork(core),
      customizing: defineCustomizeWork(core),
      relocating: defineRelocateWork(core, { watch, settle }),
      promoting: definePromoteWork(core),
      reconfigure: defineReconfigureWork(core),
      tools: defineToolsWork(core),
      exporting,
      snapshots,
      consoles,
      screenshots,
      diskTickets: new DiskTickets(core, {
        leases,
        exporting,
        port: options.diskExportPort,
        sslThumbprint: options.sslThumbprint,
      }),
      folderTickets: new FolderTickets(core, exporting),
    };
    const imports = defineImportWork(core, lifecycle, leases, settle);
    core.inventory.machineClass = machineClass(core, work);
    core.inventory.snapshotClass = snapshotClass(core, work.snapshots, exporting);
    registry.commit((draft) => {
      addContainers(core, draft, facts, work, imports);
    });
    const use = new HostUse();
    const autoStart = await AutoStart.open(core, work.power, clock);
    const hostMaintenance = defineMaintenanceWork(core);
    addHostObject(core, { facts, about, port: options.port(), use, maintenance: hostMaintenance, autoStart });
    services.center.follow(services.sessions, () =>
      registry.commit((draft) => draft.touch(references.host, 'summary')),
    );
    const rename = defineDatastoreRename(core);
    for (const datastore of datastores.all()) addDatastoreObject(core, datastore, await spaceOf(datastore), rename);
    addManagers(core, { rename, autoStart, facts });
    const guestTransfers = registry.commit((draft) => addGuestOperations(core, draft, options.port));
    await clearLeftovers(core);
    const runtimes = await loadMachines(core);
    const stopAdopting = await adoptMachines(core, watch, runtimes);
    // Groups of machines that ended with an earlier process go, though nothing runs here.
    core.resources.refresh();
    showPermissions(core);
    await services.tasks.recover();
    settle.beginAll();
    const computerStart = await (options.computerStart ?? readComputerStart)();
    autoStart.withComputer(computerStart).catch((error: unknown) => onDefect('auto-start', error));
    const { performance } = services;
    const sampler = new PerformanceSampler(core, { watch, performance, samples, use, facts, clock });
    const stops = [stopAdopting, () => autoStart.close(), () => full.close(), watchSpace(core), sampler.start()];
    return new Host({ core, services, leases, consoles, guestTransfers, screenshots, watch, settle, stops });
  }

  /** The console that a ticket is good for, which uses it up. */
  redeemConsole(ticket: string): Console | undefined {
    return this.#consoles.redeem(ticket);
  }

  /** A file on its way from or to a guest, at an address that a client was given. Never rejects. */
  guestFile(request: FileRequest): Promise<FileResponse> {
    return this.#guestTransfers.handle(request);
  }

  /** What a machine's screen shows, for whoever may take pictures of it: `/screen?id=…&w=…&h=…`. Never rejects. */
  screen(request: FileRequest, session: Session | 'checked' | undefined): Promise<FileResponse> {
    return screenResponse(this.#core, this.#screenshots, request, session);
  }

  /** Datastore files as the session may see them; nobody is signed in without one. */
  folderAccess(session: Session | undefined): FolderAccess {
    const { datastores } = this.#core;
    const holds = (object: ManagedObjectReference, privilege: string) =>
      session !== undefined && this.authorizer.holds(session, object, privilege);
    return {
      datacenters: () => [references.datacenter.value],
      datastores: () => datastores.all(),
      datastoreNames: () => datastores.all().flatMap(({ ref, name }) => (holds(ref, 'Datastore.Browse') ? [name] : [])),
      authorize: (name, privilege) => {
        if (session === undefined) return 'unauthenticated';
        // The list shows what is for the session.
        if (name === undefined) return 'ok';
        const object = datastores.find(name)?.ref;
        // A name that is nowhere is said to be missing, not to be forbidden.
        return object === undefined || holds(object, privilege) ? 'ok' : 'denied';
      },
      isBusy: busyFiles(this.#core),
      isWritten: writtenFiles(this.#core),
      diskBundle: async (root, path, keepsUuid) => {
        const datastore = datastores.find(root.name);
        if (datastore === undefined) throw faults.invalidDatastore(root.name);
        return sentDisk(this.#core, datastore, path, keepsUuid);
      },
      bringsHidden: isCenter(session?.userName ?? ''),
    };
  }

  machineCounts(): { readonly registered: number; readonly running: number } {
    const all = [...this.#core.machines.all()];
    return { registered: all.length, running: all.filter((machine) => machine.powerState === 'poweredOn').length };
  }

  /** Stops, once. Engines are let go of, and run on; tasks under way go on at the next start. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    for (const stop of this.#stops) stop();
    await this.leases.close();
    this.#watch.close();
    await this.#services.close();
    // Once no task can end any more: they go on at the next start.
    await this.#settle.close();
    await this.#core.resources.close();
    await this.#core.hypervisor.detach();
  }
}

function makeCore(
  options: HostOptions,
  parts: {
    readonly facts: HostFacts;
    readonly hypervisorInfo: HypervisorInfo;
    readonly groups: ProcessGroups | undefined;
    readonly groupsInfo: ProcessGroupsInfo | undefined;
    readonly registry: Registry;
    readonly services: HostServices;
    readonly datastores: Datastores;
    readonly maintenance: MaintenanceMode;
    readonly pools: Pools;
  },
): HostCore {
  const { facts, hypervisorInfo, registry, services, datastores, maintenance, pools } = parts;
  const { capabilities } = hypervisorInfo;
  const networks = new Networks(['VM Network']);
  const inventory = new Inventory(options.store, datastores, networks, pools);
  const machines = new Machines(registry, (draft) => {
    inventory.usageChanged(draft);
    resources.refresh();
  });
  const guestOs = new GuestOsNames(options.schema);
  const hostMHz = Math.round(facts.hertz / 1e6);
  const host = {
    cpuMHz: Math.floor((facts.threads * facts.hertz) / 1e6),
    memoryMiB: Math.floor(facts.memoryBytes / 2 ** 20),
  };
  const { onDefect } = options;
  const { groups, groupsInfo: info } = parts;
  const resources = new ResourceControl({ groups, info, capabilities, pools, machines, hostMHz, host, onDefect });
  return {
    registry,
    store: options.store,
    hypervisor: options.hypervisor,
    hypervisorInfo,
    tasks: services.tasks,
    events: services.events,
    options: services.options,
    authorizer: services.authorizer,
    maintenance,
    center: services.center,
    pools,
    poolUsage: new PoolUsage(pools, machines, host),
    resources,
    machines,
    changes: new ChangeTracking({
      registry,
      machines,
      hypervisor: options.hypervisor,
      hypervisorInfo,
      snapshotsChanged: (draft, id) => showSnapshots({ machines, inventory }, draft, id, machines.find(id)),
      onDefect: options.onDefect,
    }),
    claims: new Claims(),
    diskChildren: new DiskChildren(),
    datastores,
    networks,
    guestOs,
    inventory,
    names: {
      host: references.host,
      environmentBrowser: references.environmentBrowser,
      datastore: (datastore) => datastore.ref,
      network: (name) => networks.find(name)?.ref,
      guestFullName: (guestId) => guestOs.fullName(guestId),
    },
    runDirectory: options.runDirectory,
    vmFolder: references.vmFolder,
    rootPool: references.rootPool,
    limits: {
      cpus: Math.min(capabilities.maxCpus, 128),
      memoryMiB: Math.min(capabilities.maxMemoryMiB, host.memoryMiB),
    },
    hostMHz,
    onDefect,
  };
}

/** Entities show the permissions that were set on them before this start; later changes show themselves. */
function showPermissions(core: HostCore): void {
  core.registry.commit((draft) => {
    for (const { entity } of core.authorizer.all()) {
      if (entity !== undefined && draft.has(entity))
        draft.set(entity as never, { permission: core.authorizer.on(entity) } as never);
    }
  });
}

interface ManagerParts {
  readonly rename: DatastoreRename;
  readonly autoStart: AutoStart;
  readonly facts: HostFacts;
}

function addManagers(core: HostCore, { rename, autoStart, facts }: ManagerParts): void {
  const disks = defineDiskWork(core);
  const browsers = new DatastoreBrowsers(core, disks);
  core.registry.commit((draft) => {
    draft.add(fileManagerClass(core), references.fileManager.value, {});
    draft.add(autoStartManagerClass(autoStart), references.autoStartManager.value, {});
    addNetworkSystem(core, draft, facts);
    draft.add(virtualDiskManagerClass(core, disks), references.virtualDiskManager.value, {});
    draft.add(ovfManagerClass(core), references.ovfManager.value, {
      ovfImportOption: ovfImportOptions,
      ovfExportOption: ovfExportOptions,
    });
    draft.add(datastoreSystemClass(core, browsers, rename), references.datastoreSystem.value, {
      capabilities: datastoreSystemCapabilities,
    });
    draft.add(environmentBrowserClass(core), references.environmentBrowser.value, {
      datastoreBrowser: references.hostBrowser,
    });
  });
}

/** Takes away what the last process left half-made; a datastore that is away is cleared when it is back at a start. */
async function clearLeftovers(core: HostCore): Promise<void> {
  for (const datastore of core.datastores.all()) {
    await removeLeftovers(datastore).catch((error: unknown) => core.onDefect(`leftovers on ${datastore.name}`, error));
  }
}

/** Reads every registered machine's folder, several at a time. */
async function loadMachines(core: HostCore): Promise<ReturnType<typeof runtimeDocuments>> {
  const [documents, runtimes] = await Promise.all([machineDocuments(core), runtimeDocuments(core)]);
  for (let at = 0; at < documents.length; at += atOnce) {
    const records = await Promise.all(
      documents
        .slice(at, at + atOnce)
        .map((document) => loadMachine(core, document, runtimes.get(document.id), core.pools.poolOf(document.id))),
    );
    core.registry.commit((draft) => {
      for (const record of records) {
        core.machines.insert(record);
        addMachineObject(core, draft, record);
      }
      core.inventory.refresh(draft);
    });
  }
  return runtimes;
}
