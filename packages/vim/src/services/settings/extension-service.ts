import type { DataTypes } from '../../generated/types.ts';
import { fault } from '../../runtime/fault.ts';
import type { ManagedObjectClass } from '../../runtime/managed-object.ts';
import type { Registry } from '../../runtime/registry.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import { type Clock, dateTime, systemClock } from '../clock.ts';
import { fromDocument, toDocument } from '../document.ts';
import type { Persistence } from '../persistence.ts';

type Extension = DataTypes['Extension'];

export interface ExtensionServiceOptions {
  readonly registry: Registry;
  readonly persistence: Persistence;
  readonly clock?: Clock;
  readonly referenceValue?: string;
}

const collection = 'extensions';
const extensionLimit = 1_000;

/** The ExtensionManager: what other products registered with this one. */
export class ExtensionService {
  readonly ref: ManagedObjectReference<'ExtensionManager'>;
  readonly #registry: Registry;
  readonly #persistence: Persistence;
  readonly #clock: Clock;
  readonly #extensions: Map<string, Extension>;

  private constructor(options: ExtensionServiceOptions, extensions: Map<string, Extension>) {
    this.#registry = options.registry;
    this.#persistence = options.persistence;
    this.#clock = options.clock ?? systemClock;
    this.#extensions = extensions;
    this.ref = this.#registry.commit((draft) =>
      draft.add(this.#class(), options.referenceValue ?? 'ExtensionManager', { extensionList: this.#list() }),
    );
  }

  static async open(options: ExtensionServiceOptions): Promise<ExtensionService> {
    const entries = await options.persistence.list(collection);
    return new ExtensionService(options, new Map(entries.map((e) => [e.key, fromDocument<Extension>(e.value)])));
  }

  #class(): ManagedObjectClass<'ExtensionManager'> {
    return {
      type: 'ExtensionManager',
      methods: {
        FindExtension: (_call, { extensionKey }) => this.#extensions.get(extensionKey),
        RegisterExtension: async (_call, { extension }) => {
          const { key } = extension;
          if (key === '' || this.#extensions.has(key) || this.#extensions.size >= extensionLimit) {
            throw fault('InvalidArgument', { invalidProperty: 'extension.key' }, `${key} cannot be registered.`);
          }
          await this.#keep(extension);
        },
        UpdateExtension: async (_call, { extension }) => {
          this.#find(extension.key);
          await this.#keep(extension);
        },
        UnregisterExtension: async (_call, { extensionKey }) => {
          this.#find(extensionKey);
          await this.#persistence.transact([{ delete: { collection, key: extensionKey } }]);
          this.#extensions.delete(extensionKey);
          this.#show();
        },
        QueryManagedBy: (_call, { extensionKey }) => {
          const managed: ManagedObjectReference<'ManagedEntity'>[] = [];
          for (const object of this.#registry.all('VirtualMachine')) {
            const config = object.value('config') as Partial<DataTypes['VirtualMachineConfigInfo']> | undefined;
            if (config?.managedBy?.extensionKey === extensionKey) managed.push(object.ref as (typeof managed)[number]);
          }
          return managed;
        },
      },
    };
  }

  #find(extensionKey: string): void {
    if (!this.#extensions.has(extensionKey)) throw fault('NotFound', {}, `There is no extension ${extensionKey}.`);
  }

  async #keep(given: Extension): Promise<void> {
    const extension = { ...given, lastHeartbeatTime: dateTime(this.#clock) };
    await this.#persistence.transact([{ put: { collection, key: extension.key, value: toDocument(extension) } }]);
    this.#extensions.set(extension.key, extension);
    this.#show();
  }

  #show(): void {
    this.#registry.commit((draft) => draft.set(this.ref, { extensionList: this.#list() }));
  }

  #list(): Extension[] {
    return [...this.#extensions.values()];
  }
}
