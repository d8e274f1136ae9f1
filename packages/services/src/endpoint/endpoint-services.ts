import {
  addAccountManager,
  addAuthorizationManager,
  addLicenseManager,
  addServiceInstance,
  addUserDirectory,
  ChangeFeed,
  createPropertyCollector,
  createSearchIndex,
  createViewManager,
  type LicenseManagerOptions,
  type ManagedObjectReference,
  PerformanceService,
  type PerformanceServiceOptions,
  type ServiceInstanceOptions,
  SessionService,
  type SessionServiceOptions,
  TaskService,
  type TaskServiceOptions,
} from '@hypostyle/vim';
import type { EndpointBase } from './endpoint-base.ts';

export interface EndpointServicesOptions {
  readonly sessions: Omit<SessionServiceOptions, 'registry' | 'events' | 'referenceValue' | 'ticketHost' | 'onDefect'>;
  /** Kinds of tasks whose work is done elsewhere. */
  readonly foreignKinds?: TaskServiceOptions['foreignKinds'];
  readonly performance: Pick<PerformanceServiceOptions, 'current' | 'historyTypes' | 'clock'>;
  /** What the license covers. */
  readonly licensed?: LicenseManagerOptions['assets'];
  /** The host that the accounts are of, where they are a host's. */
  readonly accountsOf?: ManagedObjectReference<'HostSystem'>;
  readonly capability: ServiceInstanceOptions['capability'];
  /** What the ServiceInstance names beside these services. */
  readonly content: Partial<ServiceInstanceOptions['content']>;
}

/** Sessions, tasks, accounts, collectors and the ServiceInstance: what every endpoint has beside its inventory. */
export interface EndpointServices {
  readonly sessions: SessionService;
  readonly tasks: TaskService;
  readonly performance: PerformanceService;
  /** Ends what runs by itself, and writes down the last events. */
  close(): Promise<void>;
}

export async function openEndpointServices(
  base: EndpointBase,
  options: EndpointServicesOptions,
): Promise<EndpointServices> {
  const { authorizer, events, extensions, settings } = base;
  const { registry, store: persistence, names, about, rootFolder, accounts, sslThumbprint, onDefect } = base.options;
  const sessions = new SessionService({
    ...options.sessions,
    registry,
    events,
    referenceValue: names.sessions,
    ticketHost: () => ({ sslThumbprint: sslThumbprint() }),
    onDefect,
  });
  const tasks = await TaskService.open({
    registry,
    persistence,
    events,
    authorizer,
    referenceValue: names.tasks,
    taskReferenceValue: names.task,
    ...(options.foreignKinds === undefined ? {} : { foreignKinds: options.foreignKinds }),
    onDefect,
  });
  const authorizationManager = addAuthorizationManager({
    registry,
    permissions: authorizer,
    events,
    sessions,
    principals: accounts,
    referenceValue: names.authorization,
  });
  const accountManager = addAccountManager({
    registry,
    accounts,
    events,
    ...(options.accountsOf === undefined ? {} : { host: options.accountsOf }),
    checkPassword: (call, userName, password) => sessions.checkPassword(userName, password, call.clientAddress),
    referenceValue: names.accounts,
  });
  const userDirectory = addUserDirectory({ registry, accounts, referenceValue: names.users });
  const feed = new ChangeFeed(registry, { onDefect: (error) => onDefect('property collector', error) });
  const propertyCollector = createPropertyCollector({ registry, authorizer, feed, value: names.properties });
  const viewManager = createViewManager({ registry, authorizer, feed, rootFolder, value: names.views });
  const searchIndex = createSearchIndex({ registry, authorizer, rootFolder, value: names.search });
  const licenseManager = addLicenseManager({
    registry,
    productName: about.name,
    productVersion: about.version,
    referenceValue: names.licenses,
    ...(options.licensed === undefined ? {} : { assets: options.licensed }),
  });
  const performance = await PerformanceService.open({
    registry,
    persistence,
    authorizer,
    referenceValue: names.performance,
    ...options.performance,
  });
  addServiceInstance({
    registry,
    capability: options.capability,
    content: {
      rootFolder,
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
      extensionManager: extensions.ref,
      setting: settings.ref,
      perfManager: performance.ref,
      ...options.content,
    },
  });
  return {
    sessions,
    tasks,
    performance,
    close: async () => {
      tasks.close();
      sessions.close();
      await events.flush();
    },
  };
}
