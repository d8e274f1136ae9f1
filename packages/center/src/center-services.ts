import type { Store } from '@hypostyle/contracts';
import { type EndpointNames, openEndpointBase, openEndpointServices } from '@hypostyle/services';
import {
  type AboutInfo,
  addServiceManager,
  type Clock,
  type CurrentSamples,
  CustomFields,
  CustomizationSpecs,
  type EventService,
  HistoryAges,
  type HistoryAgesOptions,
  LocalAccounts,
  type OptionService,
  type PerformanceService,
  type Permissions,
  type Registry,
  type SessionService,
  type TaskService,
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

/** As a VirtualCenter names them. */
const names: EndpointNames = {
  events: 'EventManager',
  extensions: 'ExtensionManager',
  settings: 'VpxSettings',
  sessions: 'SessionManager',
  tasks: 'TaskManager',
  task: (number) => `task-${number}`,
  authorization: 'AuthorizationManager',
  accounts: 'AccountManager',
  users: 'UserDirectory',
  properties: 'propertyCollector',
  views: 'ViewManager',
  search: 'SearchIndex',
  licenses: 'LicenseManager',
  performance: 'PerfMgr',
};

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
  let ages: HistoryAges | undefined;
  const base = await openEndpointBase({
    registry,
    store,
    names,
    about,
    rootFolder: services.rootFolder,
    accounts,
    permissions: {
      administrators: [
        { principal: administratorName, group: false },
        { principal: accounts.names.shown('Administrators'), group: true },
      ],
      sampleRoles: true,
    },
    settings: { definitions: centerOptions(options.facts), onChange: () => void ages?.apply() },
    sslThumbprint: options.sslThumbprint,
    onDefect,
  });
  const { events, extensions } = base;
  const customizationSpecs = await CustomizationSpecs.open({ registry, persistence: store });
  const customFields = await CustomFields.open({ registry, persistence: store, events, authorizer: base.authorizer });
  const serviceManager = addServiceManager({ registry, services: [], referenceValue: 'ServiceMgr' });
  const endpoint = await openEndpointServices(base, {
    sessions: {
      identities: accounts,
      extensions,
      answersSessionIsActive: true,
      lockOut: { ...lockOut, neverLocked: [administratorName] },
    },
    foreignKinds: forwardedTasks(registry.schema),
    performance: {
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
    },
    licensed: () => [
      { entityId: about.instanceUuid ?? '', entityDisplayName: about.name },
      ...[...registry.all('HostSystem')].map((host) => ({
        entityId: host.ref.value,
        entityDisplayName: host.value('name') as string,
      })),
    ],
    capability: { provisioningSupported: true, multiHostSupported: true, userShellAccessSupported: false },
    content: {
      customFieldsManager: customFields.ref,
      customizationSpecManager: customizationSpecs.ref,
      fileManager: services.fileManager,
      virtualDiskManager: services.virtualDiskManager,
      ovfManager: services.ovfManager,
      guestOperationsManager: services.guestOperations,
      serviceManager,
      alarmManager: services.alarmManager,
    },
  });
  const keptAges = historyAges(base.settings, { events, tasks: endpoint.tasks, clock: options.clock, onDefect });
  ages = keptAges;
  return {
    authorizer: base.authorizer,
    events,
    customFields,
    administrator: administratorName,
    ...endpoint,
    close: async () => {
      await keptAges.close();
      await endpoint.close();
    },
  };
}

/** Lets go of events and tasks of more days ago than the settings say. */
function historyAges(
  settings: Pick<OptionService, 'value'>,
  {
    events,
    tasks,
    ...options
  }: Pick<CenterServices, 'events' | 'tasks'> & Pick<HistoryAgesOptions, 'clock' | 'onDefect'>,
): HistoryAges {
  const days = (what: 'event' | 'task') =>
    settings.value(`${what}.maxAgeEnabled`) === true ? Number(plainOf(settings.value(`${what}.maxAge`))) : undefined;
  return new HistoryAges({
    ...options,
    histories: [
      { history: events, days: () => days('event') },
      { history: tasks, days: () => days('task') },
    ],
  });
}

/** A setting as a client wrote it, with its type or without. */
function plainOf(value: unknown): unknown {
  return typeof value === 'object' && value !== null && '_value' in value ? value._value : value;
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
