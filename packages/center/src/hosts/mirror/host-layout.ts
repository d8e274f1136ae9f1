import type {
  Caller,
  HostConfigManager,
  ManagedObjectReference,
  ManagedTypeName,
  Properties,
  PropertyFilterSpec,
  ServiceContent,
} from '@hypostyle/vim';
import { retrieve } from '@hypostyle/vim';
import { CenterError } from '../../errors.ts';

/** The fixed objects of a host, found by its own tree. */
export interface HostLayout {
  readonly content: ServiceContent;
  readonly datacenter: ManagedObjectReference<'Datacenter'>;
  readonly vmFolder: ManagedObjectReference<'Folder'>;
  readonly hostFolder: ManagedObjectReference<'Folder'>;
  readonly datastoreFolder: ManagedObjectReference<'Folder'>;
  readonly networkFolder: ManagedObjectReference<'Folder'>;
  readonly computeResource: ManagedObjectReference<'ComputeResource'>;
  readonly environmentBrowser: ManagedObjectReference<'EnvironmentBrowser'> | undefined;
  readonly rootPool: ManagedObjectReference<'ResourcePool'>;
  readonly host: ManagedObjectReference<'HostSystem'>;
  /** What does things in guests; none on a host that does not. */
  readonly guestOperations: Partial<
    Pick<Properties<'GuestOperationsManager'>, 'authManager' | 'fileManager' | 'processManager' | 'aliasManager'>
  >;
}

type Folders = { readonly [P in 'vmFolder' | 'hostFolder' | 'datastoreFolder' | 'networkFolder']?: HostLayout[P] };

/** Reads a host's tree from its root down to the host itself. */
export async function readHostLayout(caller: Caller): Promise<HostLayout> {
  const content = await caller.content();
  const [datacenter] = await children(caller, content.rootFolder as ManagedObjectReference<'Folder'>);
  if (datacenter?.type !== 'Datacenter') throw new CenterError('not-a-host', 'it has no datacenter');
  const [folders] = await retrieve(
    caller,
    [datacenter as ManagedObjectReference<'Datacenter'>],
    ['vmFolder', 'hostFolder', 'datastoreFolder', 'networkFolder'],
  );
  const { vmFolder, hostFolder, datastoreFolder, networkFolder } = (folders?.values ?? {}) as Folders;
  if (!vmFolder || !hostFolder || !datastoreFolder || !networkFolder)
    throw new CenterError('not-a-host', 'its datacenter has no folders');
  const [compute] = await children(caller, hostFolder);
  if (compute === undefined) throw new CenterError('not-a-host', 'it has no compute resource');
  const computeResource = compute as ManagedObjectReference<'ComputeResource'>;
  const [parts] = await retrieve(caller, [computeResource], ['resourcePool', 'host', 'environmentBrowser']);
  const rootPool = parts?.values.resourcePool as ManagedObjectReference<'ResourcePool'> | undefined;
  const host = parts?.values.host?.[0];
  if (rootPool === undefined || host === undefined) throw new CenterError('not-a-host', 'it has no host system');
  const { guestOperationsManager } = content;
  const [guest] =
    guestOperationsManager === undefined
      ? []
      : await retrieve(
          caller,
          [guestOperationsManager],
          ['authManager', 'fileManager', 'processManager', 'aliasManager'],
        );
  return {
    content,
    datacenter: datacenter as ManagedObjectReference<'Datacenter'>,
    vmFolder,
    hostFolder,
    datastoreFolder,
    networkFolder,
    computeResource,
    environmentBrowser: parts?.values.environmentBrowser,
    rootPool,
    host,
    guestOperations: guest?.values ?? {},
  };
}

async function children(
  caller: Caller,
  folder: ManagedObjectReference<'Folder'>,
): Promise<readonly ManagedObjectReference[]> {
  const [found] = await retrieve(caller, [folder], ['childEntity']);
  return found?.values.childEntity ?? [];
}

/** Properties of mirrored entities that the host says; the others are the center's own. */
export const mirrored = {
  VirtualMachine: [
    'name',
    'configStatus',
    'configIssue',
    'disabledMethod',
    'capability',
    'config',
    'layout',
    'layoutEx',
    'storage',
    'resourceConfig',
    'runtime',
    'guest',
    'summary',
    'datastore',
    'network',
    'snapshot',
    'rootSnapshot',
    'guestHeartbeatStatus',
  ],
  HostSystem: [
    'configStatus',
    'configIssue',
    'disabledMethod',
    'runtime',
    'summary',
    'hardware',
    'capability',
    'licensableResource',
    'configManager',
    'config',
    'datastore',
    'network',
    'datastoreBrowser',
    'systemResources',
  ],
  Datastore: ['name', 'info', 'summary', 'host', 'browser', 'capability', 'iormConfiguration'],
  Network: ['name', 'summary'],
} as const satisfies { readonly [T in ManagedTypeName]?: readonly string[] };

/** Managers of a host that the center shows as the host's own, and follows. */
const hostManagers = [
  'datastoreSystem',
  'autoStartManager',
  'networkSystem',
  'advancedOption',
] as const satisfies readonly (keyof HostConfigManager)[];

/** Types of what hangs on a host's entities, followed whole. */
export const followedParts = [
  'HostDatastoreBrowser',
  'HostDatastoreSystem',
  'HostAutoStartManager',
  'HostNetworkSystem',
  'OptionManager',
  'EnvironmentBrowser',
  'VirtualMachineSnapshot',
] as const satisfies readonly ManagedTypeName[];

/** All that a center follows on a host, in one collector, so that a task is over only after what it did. */
export function hostFilter(layout: HostLayout): PropertyFilterSpec {
  const step = (type: ManagedTypeName, path: string, selectSet: readonly object[] = []) => ({
    _typeName: 'TraversalSpec',
    type,
    path,
    skip: false,
    ...(selectSet.length === 0 ? {} : { selectSet }),
  });
  const browser = [step('Datastore', 'browser')];
  const whole = (obj: ManagedObjectReference, selectSet: readonly object[] = [], skip = false) => ({
    obj,
    skip,
    ...(selectSet.length === 0 ? {} : { selectSet }),
  });
  const { content } = layout;
  return {
    propSet: [
      ...Object.entries(mirrored).map(([type, pathSet]) => ({ type, all: false, pathSet })),
      ...followedParts.map((type) => ({ type, all: true })),
      { type: 'Task', all: false, pathSet: ['info'] },
      { type: 'EventManager', all: false, pathSet: ['latestEvent'] },
    ],
    objectSet: [
      whole(layout.host, [
        step('HostSystem', 'datastore', browser),
        step('HostSystem', 'network'),
        step('HostSystem', 'datastoreBrowser'),
        ...hostManagers.map((manager) => step('HostSystem', `configManager.${manager}`)),
      ]),
      whole(
        layout.vmFolder,
        [
          step('Folder', 'childEntity', [
            step('VirtualMachine', 'rootSnapshot', [
              {
                _typeName: 'TraversalSpec',
                name: 'snapshots',
                type: 'VirtualMachineSnapshot',
                path: 'childSnapshot',
                skip: false,
                selectSet: [{ name: 'snapshots' }],
              },
            ]),
          ]),
        ],
        true,
      ),
      ...(layout.environmentBrowser === undefined ? [] : [whole(layout.environmentBrowser)]),
      ...(content.taskManager === undefined
        ? []
        : [whole(content.taskManager, [step('TaskManager', 'recentTask')], true)]),
      ...(content.eventManager === undefined ? [] : [whole(content.eventManager)]),
    ],
  } as PropertyFilterSpec;
}
