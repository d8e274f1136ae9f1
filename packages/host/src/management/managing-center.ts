import type {
  Extension,
  ExtensionService,
  ManagedObjectReference,
  Permissions,
  Registry,
  SessionService,
} from '@hypostyle/vim';
import { centerUserName } from './center-account.ts';

/** `Extension.type` of a center. */
const centerType = 'VirtualCenter';
const adminRole = -1;

export interface ManagingCenterOptions {
  readonly registry: Registry;
  readonly extensions: ExtensionService;
  readonly permissions: Permissions;
  readonly onDefect: (where: string, error: unknown) => void;
}

/**
 * The center that manages this host: the extension of type `VirtualCenter` that was registered last. As long as there
 * is one, `vpxuser` has the role Admin here.
 */
export class ManagingCenter implements Pick<ExtensionService, 'accepts'> {
  readonly #options: ManagingCenterOptions;
  #list: readonly Extension[] | undefined;
  #center: Extension | undefined;
  #stop: () => void = () => {};
  /** Changes of the permission go one after another. */
  #turn: Promise<void> = Promise.resolve();

  private constructor(options: ManagingCenterOptions) {
    this.#options = options;
    this.#find();
  }

  static async open(options: ManagingCenterOptions): Promise<ManagingCenter> {
    const managing = new ManagingCenter(options);
    await managing.#grant();
    return managing;
  }

  get key(): string | undefined {
    return this.#center?.key;
  }

  /** Host of the center's own URL, as `summary.managementServerIp` shows it; empty where it said none. */
  get address(): string | undefined {
    if (this.#center === undefined) return undefined;
    const url = this.#center.server?.[0]?.url ?? '';
    return URL.canParse(url) ? new URL(url).hostname.replace(/^\[|\]$/g, '') : '';
  }

  /** A center that another one took the host from is a stranger. */
  accepts(extensionKey: string, certificate: Uint8Array): boolean {
    const stranger = this.#centers().some(({ key }) => key === extensionKey) && extensionKey !== this.key;
    return !stranger && this.#options.extensions.accepts(extensionKey, certificate);
  }

  userName(extensionKey: string): string {
    return extensionKey === this.key ? centerUserName : extensionKey;
  }

  /** Follows the extensions: a center that is gone is signed out, and `changed` shows the host anew. */
  follow(sessions: SessionService, changed: () => void): void {
    this.#stop = this.#options.registry.onCommit(() => {
      const before = this.#center;
      if (!this.#find()) return;
      if (before?.key !== this.key) {
        // The call that says so may be the center's own: it has its answer first.
        setImmediate(() => {
          for (const session of sessions.list())
            if (session.kind === 'extension' && session.fullName === before?.key) sessions.end(session);
        });
        this.#turn = this.#turn
          .then(() => this.#grant())
          .catch((error: unknown) => this.#options.onDefect('rights of the center', error));
      }
      changed();
    });
  }

  close(): void {
    this.#stop();
  }

  /** True when the list of extensions changed. */
  #find(): boolean {
    const { registry, extensions } = this.#options;
    const list = registry.read(extensions.ref, 'extensionList') ?? [];
    if (list === this.#list) return false;
    this.#list = list;
    this.#center = this.#centers().sort((a, b) => Date.parse(b.lastHeartbeatTime) - Date.parse(a.lastHeartbeatTime))[0];
    return true;
  }

  #centers(): Extension[] {
    return (this.#list ?? []).filter(({ type }) => type === centerType);
  }

  async #grant(): Promise<void> {
    const { permissions, registry } = this.#options;
    const { rootFolder } = permissions;
    const all = permissions.on(rootFolder);
    const isOurs = ({ principal, group }: { readonly principal: string; readonly group: boolean }) =>
      principal === centerUserName && !group;
    if (all.some(isOurs) === (this.#center !== undefined)) return;
    const others = all.filter((permission) => !isOurs(permission));
    const own = {
      _typeName: 'Permission',
      entity: rootFolder as ManagedObjectReference<'ManagedEntity'>,
      principal: centerUserName,
      group: false,
      roleId: adminRole,
      propagate: true,
    } as const;
    await permissions.replace(new Map([[rootFolder.value, this.#center === undefined ? others : [...others, own]]]));
    registry.commit((draft) => {
      if (draft.has(rootFolder)) draft.set(rootFolder as typeof own.entity, { permission: permissions.on(rootFolder) });
    });
  }
}
