import type { Store } from '@hypostyle/contracts';
import {
  type AboutInfo,
  addAccountManager,
  addAuthorizationManager,
  addLicenseManager,
  addServiceInstance,
  addUserDirectory,
  ChangeFeed,
  type Clock,
  createPropertyCollector,
  createSearchIndex,
  createViewManager,
  EventService,
  ExtensionService,
  type IdentityProvider,
  LocalAccounts,
  OptionService,
  PerformanceService,
  Permissions,
  type RealtimeSamples,
  type Registry,
  SessionService,
  TaskService,
} from '@hypostyle/vim';
import { accountManagerValue, references } from './inventory/references.ts';
import { centerUserName } from './management/center-account.ts';
import { hostLockOut, hostOptions, welcomeMessageKey } from './management/host-options.ts';
import { ManagingCenter } from './management/managing-center.ts';

export interface HostServicesOptions {
  readonly registry: Registry;
  readonly store: Store;
  readonly about: AboutInfo;
  readonly administrator: { readonly userName: string; readonly password: string };
  readonly sslThumbprint: () => string;
  readonly samples: RealtimeSamples;
  readonly clock?: Clock | undefined;
  readonly onDefect: (where: string, error: unknown) => void;
}

/** What every endpoint has beside its inventory: accounts, sessions, rights, tasks, events, collectors. */
export interface HostServices {
  readonly authorizer: Permissions;
  readonly sessions: SessionService;
  readonly tasks: TaskService;
  readonly events: EventService;
  readonly options: OptionService;
  readonly performance: PerformanceService;
  readonly center: ManagingCenter;
  close(): Promise<void>;
}

export async function openHostServices(options: HostServicesOptions): Promise<HostServices> {
  const { registry, store, about, administrator, onDefect } = options;
  const accounts = await LocalAccounts.open({ persistence: store });
  if (accounts.empty) await accounts.createUser(administrator.userName, administrator.password, 'Administrator');
  const authorizer = await Permissions.open({
    registry,
    persistence: store,
    rootFolder: references.rootFolder,
    administrators: [{ principal: administrator.userName, group: false }],
  });
  const events = await EventService.open({
    registry,
    persistence: store,
    authorizer,
    referenceValue: 'ha-eventmgr',
    onDefect,
  });
  const extensions = await ExtensionService.open({
    registry,
    persistence: store,
    referenceValue: references.extensionManager.value,
  });
  const center = await ManagingCenter.open({ registry, extensions, permissions: authorizer, onDefect });
  const settings = await OptionService.open({
    registry,
    persistence: store,
    referenceValue: references.options.value,
    definitions: hostOptions,
    onChange: () => welcome(),
  });
  const sessions = new SessionService({
    registry,
    identities: withoutCenter(accounts),
    extensions: center,
    extensionUserName: (extensionKey) => center.userName(extensionKey),
    events,
    lockOut: () => hostLockOut(settings),
    referenceValue: 'ha-sessionmgr',
    ticketHost: () => ({ sslThumbprint: options.sslThumbprint() }),
    onDefect,
  });
  const welcome = () => sessions.setMessage(String(settings.value(welcomeMessageKey) ?? ''));
  welcome();
  const tasks = await TaskService.open({
    registry,
    persistence: store,
    events,
    authorizer,
    referenceValue: 'ha-taskmgr',
    taskReferenceValue: (number) => `haTask-${number}`,
    onDefect,
  });
  const authorizationManager = addAuthorizationManager({
    registry,
    permissions: authorizer,
    events,
    sessions,
    principals: accounts,
    referenceValue: 'ha-authmgr',
  });
  const accountManager = addAccountManager({
    registry,
    accounts,
    events,
    host: references.host,
    checkPassword: (call, userName, password) => sessions.checkPassword(userName, password, call.clientAddress),
    referenceValue: accountManagerValue,
  });
  const userDirectory = addUserDirectory({ registry, accounts, referenceValue: 'ha-user-directory' });
  const feed = new ChangeFeed(registry, { onDefect: (error) => onDefect('property collector', error) });
  const propertyCollector = createPropertyCollector({ registry, authorizer, feed, value: 'ha-property-collector' });
  const viewManager = createViewManager({
    registry,
    authorizer,
    feed,
    rootFolder: references.rootFolder,
    value: 'ViewManager',
  });
  const searchIndex = createSearchIndex({
    registry,
    authorizer,
    rootFolder: references.rootFolder,
    value: 'ha-searchindex',
  });
  const licenseManager = addLicenseManager({
    registry,
    productName: about.name,
    productVersion: about.version,
    referenceValue: 'ha-license-manager',
  });
  const performance = await PerformanceService.open({
    registry,
    persistence: store,
    authorizer,
    current: options.samples,
    historyTypes: ['HostSystem', 'VirtualMachine', 'ResourcePool', 'Datastore'],
    referenceValue: references.performanceManager.value,
    ...(options.clock === undefined ? {} : { clock: options.clock }),
  });
  addServiceInstance({
    registry,
    capability: { provisioningSupported: true, multiHostSupported: false, userShellAccessSupported: true },
    content: {
      rootFolder: references.rootFolder,
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
      fileManager: references.fileManager,
      virtualDiskManager: references.virtualDiskManager,
      ovfManager: references.ovfManager,
      guestOperationsManager: references.guestOperations,
      extensionManager: extensions.ref,
      setting: settings.ref,
      perfManager: performance.ref,
    },
  });
  return {
    authorizer,
    sessions,
    tasks,
    events,
    options: settings,
    performance,
    center,
    close: async () => {
      center.close();
      tasks.close();
      sessions.close();
      await events.flush();
    },
  };
}

/** Nobody has a password for the center's account, whatever accounts there are. */
function withoutCenter(accounts: IdentityProvider): IdentityProvider {
  return {
    authenticate: async (userName, password) => {
      const identity = await accounts.authenticate(userName, password);
      return identity?.userName.toLowerCase() === centerUserName ? undefined : identity;
    },
    ...(accounts.canonicalName === undefined
      ? {}
      : { canonicalName: (userName: string) => accounts.canonicalName?.(userName) ?? userName }),
  };
}
