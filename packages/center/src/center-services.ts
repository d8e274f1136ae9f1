import type { Store } from '@hypostyle/contracts';
import { reference } from '@hypostyle/services';
import {
  type AboutInfo,
  addAccountManager,
  addAuthorizationManager,
  addLicenseManager,
  addServiceInstance,
  addServiceManager,
  addUserDirectory,
  ChangeFeed,
  type Clock,
  type CurrentSamples,
  CustomFields,
  CustomizationSpecs,
  createPropertyCollector,
  createSearchIndex,
  createViewManager,
  EventService,
  ExtensionService,
  LocalAccounts,
  OptionService,
  PerformanceService,
  Permissions,
  type Registry,
  SessionService,
  TaskService,
} from '@hypostyle/vim';
import { type CenterFacts, centerOptions } from './center-options.ts';
import { forwardedTasks } from './forwarding/task-names.ts';
import { services } from './services.ts';

export interface CenterServicesOptions {
  readonly registry: Registry;
  readonly store: Store;
  readonly about: AboutInfo;
  readonly administrator: { readonly userName: string; readonly password: string };
  readonly sslThumbprint: () => string;
  readonly facts: CenterFacts;
  /** The last hour of what runs. */
  readonly current: CurrentSamples;
  readonly clock: Clock;
  readonly onDefect: (where: string, error: unknown) => void;
}

/** Domain of a center's accounts; people type them without it, too. */
const domain = 'vsphere.local';
/** Five failures within three minutes lock an account for five. */
const lockOut = { attempts: 5, intervalMilliseconds: 180_000, unlockMilliseconds: 300_000 };

/** What a center has beside its inventory: accounts, sessions, rights, tasks, events, collectors. */
export interface CenterServices {
  readonly authorizer: Permissions;
  readonly sessions: SessionService;
  readonly tasks: TaskService;
  readonly events: EventService;
  readonly customFields: CustomFields;
  readonly performance: PerformanceService;
  /** The administrator's one name. */
  readonly administrator: string;
  close(): Promise<void>;
}

export async function openCenterServices(options: CenterServicesOptions): Promise<CenterServices> {
  const { registry, store, about, administrator, onDefect } = options;
  const accounts = await LocalAccounts.open({ persistence: store, domain, aliases: { root: 'administrator' } });
  if (accounts.list().every(({ group }) => group)) await firstAccounts(accounts, administrator);
  const administratorName = accounts.canonicalName(administrator.userName);
  const authorizer = await Permissions.open({
    registry,
    persistence: store,
    rootFolder: services.rootFolder,
    administrators: [
      { principal: administratorName, group: false },
      { principal: accounts.names.shown('Administrators'), group: true },
    ],
    sampleRoles: true,
  });
  const events = await EventService.open({ registry, persistence: store, authorizer, onDefect });
  const extensions = await ExtensionService.open({
    registry,
    persistence: store,
    referenceValue: 'ExtensionManager',
  });
  const sessions = new SessionService({
    registry,
    identities: accounts,
    extensions,
    events,
    answersSessionIsActive: true,
    lockOut: { ...lockOut, neverLocked: [administratorName] },
    ticketHost: () => ({ sslThumbprint: options.sslThumbprint() }),
    onDefect,
  });
  const tasks = await TaskService.open({
    registry,
    persistence: store,
    events,
    authorizer,
    foreignKinds: forwardedTasks(registry.schema),
    onDefect,
  });
  const customizationSpecs = await CustomizationSpecs.open({ registry, persistence: store });
  const customFields = await CustomFields.open({ registry, persistence: store, events, authorizer });
  const authorizationManager = addAuthorizationManager({
    registry,
    permissions: authorizer,
    events,
    sessions,
    principals: accounts,
  });
  const accountManager = addAccountManager({
    registry,
    accounts,
    events,
    checkPassword: (call, userName, password) => sessions.checkPassword(userName, password, call.clientAddress),
    referenceValue: 'AccountManager',
  });
  const userDirectory = addUserDirectory({ registry, accounts });
  const feed = new ChangeFeed(registry, { onDefect: (error) => onDefect('property collector', error) });
  const propertyCollector = createPropertyCollector({ registry, authorizer, feed, value: 'propertyCollector' });
  const viewManager = createViewManager({
    registry,
    authorizer,
    feed,
    rootFolder: services.rootFolder,
    value: 'ViewManager',
  });
  const searchIndex = createSearchIndex({
    registry,
    authorizer,
    rootFolder: services.rootFolder,
    value: 'SearchIndex',
  });
  const settings = await OptionService.open({
    registry,
    persistence: store,
    referenceValue: 'VpxSettings',
    definitions: centerOptions(options.facts),
  });
  const serviceManager = addServiceManager({ registry, services: [], referenceValue: 'ServiceMgr' });
  const licenseManager = addLicenseManager({
    registry,
    productName: about.name,
    productVersion: about.version,
    assets: () => [
      { entityId: about.instanceUuid ?? '', entityDisplayName: about.name },
      ...[...registry.all('HostSystem')].map((host) => ({
        entityId: host.ref.value,
        entityDisplayName: host.value('name') as string,
      })),
    ],
  });
  const performance = await PerformanceService.open({
    registry,
    persistence: store,
    authorizer,
    current: options.current,
    historyTypes: [
      'VirtualMachine',
      'HostSystem',
      'ResourcePool',
      'VirtualApp',
      'ComputeResource',
      'ClusterComputeResource',
      'Datacenter',
      'Datastore',
    ],
    clock: options.clock,
  });
  addServiceInstance({
    registry,
    capability: { provisioningSupported: true, multiHostSupported: true, userShellAccessSupported: false },
    content: {
      rootFolder: reference('Folder', services.rootFolder.value),
      propertyCollector,
      viewManager,
      about,
      sessionManager: sessions.ref,
      authorizationManager,
      eventManager: events.ref,
      taskManager: tasks.ref,
      accountManager,
      userDirectory,
      licenseManager,
      searchIndex,
      customFieldsManager: customFields.ref,
      customizationSpecManager: customizationSpecs.ref,
      fileManager: services.fileManager,
      virtualDiskManager: services.virtualDiskManager,
      ovfManager: services.ovfManager,
      guestOperationsManager: services.guestOperations,
      extensionManager: extensions.ref,
      setting: settings.ref,
      perfManager: performance.ref,
      serviceManager,
      alarmManager: services.alarmManager,
    },
  });
  return {
    authorizer,
    sessions,
    tasks,
    events,
    customFields,
    performance,
    administrator: administratorName,
    close: async () => {
      tasks.close();
      sessions.close();
      await events.flush();
    },
  };
}

/** The accounts of a new center. The user comes last of what is made: without one, this begins again. */
async function firstAccounts(accounts: LocalAccounts, { userName, password }: CenterServicesOptions['administrator']) {
  for (const [name, description] of [
    ['Administrators', 'Who has every right'],
    ['Users', 'Who may sign in'],
  ] as const)
    if ((await accounts.find(name, true)) === undefined) await accounts.createGroup(name, description);
  await accounts.createUser(userName, password, 'Administrator');
  await accounts.assign(userName, 'Administrators');
}
