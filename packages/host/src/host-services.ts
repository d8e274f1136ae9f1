import type { Store } from '@hypostyle/contracts';
import { type EndpointNames, openEndpointBase, openEndpointServices } from '@hypostyle/services';
import {
  type AboutInfo,
  type Clock,
  type EventService,
  type IdentityProvider,
  LocalAccounts,
  type OptionService,
  type PerformanceService,
  type Permissions,
  type RealtimeSamples,
  type Registry,
  type SessionService,
  type TaskService,
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

/** What a host has beside its inventory: accounts, sessions, rights, tasks, events, collectors. */
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

/** As ESXi names them. */
const names: EndpointNames = {
  events: 'ha-eventmgr',
  extensions: references.extensionManager.value,
  settings: references.options.value,
  sessions: 'ha-sessionmgr',
  tasks: 'ha-taskmgr',
  task: (number) => `haTask-${number}`,
  authorization: 'ha-authmgr',
  accounts: accountManagerValue,
  users: 'ha-user-directory',
  properties: 'ha-property-collector',
  views: 'ViewManager',
  search: 'ha-searchindex',
  licenses: 'ha-license-manager',
  performance: references.performanceManager.value,
};

export async function openHostServices(options: HostServicesOptions): Promise<HostServices> {
  const { registry, store, about, administrator, sslThumbprint, onDefect } = options;
  const accounts = await LocalAccounts.open({ persistence: store });
  if (accounts.empty) await accounts.createUser(administrator.userName, administrator.password, 'Administrator');
  const base = await openEndpointBase({
    registry,
    store,
    names,
    about,
    rootFolder: references.rootFolder,
    accounts,
    permissions: { administrators: [{ principal: administrator.userName, group: false }] },
    settings: { definitions: hostOptions, onChange: () => welcome() },
    sslThumbprint,
    onDefect,
  });
  const { authorizer, events, extensions, settings } = base;
  const center = await ManagingCenter.open({ registry, extensions, permissions: authorizer, onDefect });
  const services = await openEndpointServices(base, {
    sessions: {
      identities: withoutCenter(accounts),
      extensions: center,
      extensionUserName: (extensionKey) => center.userName(extensionKey),
      lockOut: () => hostLockOut(settings),
    },
    performance: {
      current: options.samples,
      historyTypes: ['HostSystem', 'VirtualMachine', 'ResourcePool', 'Datastore'],
      ...(options.clock === undefined ? {} : { clock: options.clock }),
    },
    accountsOf: references.host,
    capability: { provisioningSupported: true, multiHostSupported: false, userShellAccessSupported: true },
    content: {
      fileManager: references.fileManager,
      virtualDiskManager: references.virtualDiskManager,
      ovfManager: references.ovfManager,
      guestOperationsManager: references.guestOperations,
    },
  });
  const welcome = () => services.sessions.setMessage(String(settings.value(welcomeMessageKey) ?? ''));
  welcome();
  return {
    authorizer,
    events,
    options: settings,
    center,
    ...services,
    close: async () => {
      center.close();
      await services.close();
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
