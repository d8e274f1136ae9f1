import type { Store } from '@hypostyle/contracts';
import {
  type AboutInfo,
  EventService,
  ExtensionService,
  type LocalAccounts,
  type ManagedObjectReference,
  OptionService,
  type OptionServiceOptions,
  Permissions,
  type PermissionsOptions,
  type Registry,
} from '@hypostyle/vim';

/** Reference values of what every endpoint has once. Centers and hosts call them differently, and clients know them. */
export interface EndpointNames {
  readonly events: string;
  readonly extensions: string;
  readonly settings: string;
  readonly sessions: string;
  readonly tasks: string;
  /** Reference value of a task by its number. */
  readonly task: (number: number) => string;
  readonly authorization: string;
  readonly accounts: string;
  readonly users: string;
  readonly properties: string;
  readonly views: string;
  readonly search: string;
  readonly licenses: string;
  readonly performance: string;
}

export interface EndpointBaseOptions {
  readonly registry: Registry;
  readonly store: Store;
  readonly names: EndpointNames;
  readonly about: AboutInfo;
  readonly rootFolder: ManagedObjectReference<'Folder'>;
  readonly accounts: LocalAccounts;
  readonly permissions: Pick<PermissionsOptions, 'administrators' | 'sampleRoles'>;
  readonly settings: Pick<OptionServiceOptions, 'definitions' | 'onChange'>;
  /** Certificate of the endpoint, as clients see it. */
  readonly sslThumbprint: () => string;
  readonly onDefect: (where: string, error: unknown) => void;
}

/** What an endpoint has before anybody can sign in. */
export interface EndpointBase {
  readonly options: EndpointBaseOptions;
  readonly authorizer: Permissions;
  readonly events: EventService;
  readonly extensions: ExtensionService;
  readonly settings: OptionService;
}

/** Opens rights, events, extensions and settings, as the store has them. */
export async function openEndpointBase(options: EndpointBaseOptions): Promise<EndpointBase> {
  const { registry, store: persistence, names, rootFolder, onDefect } = options;
  const authorizer = await Permissions.open({ registry, persistence, rootFolder, ...options.permissions });
  const events = await EventService.open({
    registry,
    persistence,
    authorizer,
    referenceValue: names.events,
    onDefect,
  });
  const extensions = await ExtensionService.open({ registry, persistence, referenceValue: names.extensions });
  const settings = await OptionService.open({
    registry,
    persistence,
    referenceValue: names.settings,
    ...options.settings,
  });
  return { options, authorizer, events, extensions, settings };
}
