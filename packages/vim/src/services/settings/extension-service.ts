import type { DataTypes } from '../../generated/types.ts';
import { fault } from '../../runtime/fault.ts';
import type { ManagedObjectClass } from '../../runtime/managed-object.ts';
import type { Registry } from '../../runtime/registry.ts';
import { Turns } from '../../runtime/turns.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import { type Clock, dateTime, systemClock } from '../clock.ts';
import { fromDocument, toDocument } from '../document.ts';
import type { Persistence } from '../persistence.ts';
import type { ExtensionCertificates } from '../sessions/extension-certificates.ts';
import { certificatePem, type ExtensionCredentials, proves, publicKeyPem } from './extension-credentials.ts';

type Extension = DataTypes['Extension'];

export interface ExtensionServiceOptions {
  readonly registry: Registry;
  readonly persistence: Persistence;
  readonly clock?: Clock;
  readonly referenceValue?: string;
  /** The server's own public key in PEM, by which extensions know it; NotSupported without. */
  readonly publicKey?: () => string;
}

const collection = 'extensions';
const credentialCollection = 'extension-credentials';
const extensionLimit = 1_000;

/** The ExtensionManager: what other products registered with this one, and by what they prove themselves. */
export class ExtensionService implements ExtensionCertificates {
  readonly ref: ManagedObjectReference<'ExtensionManager'>;
  readonly #registry: Registry;
  readonly #persistence: Persistence;
  readonly #clock: Clock;
  readonly #publicKey: (() => string) | undefined;
  readonly #extensions: Map<string, Extension>;
  readonly #credentials: Map<string, ExtensionCredentials>;
  /** Changes wait for each other: what one checked is still true when it writes. */
  readonly #turns = new Turns();

  private constructor(
    options: ExtensionServiceOptions,
    extensions: Map<string, Extension>,
    credentials: Map<string, ExtensionCredentials>,
  ) {
    this.#registry = options.registry;
    this.#persistence = options.persistence;
    this.#clock = options.clock ?? systemClock;
    this.#publicKey = options.publicKey;
    this.#extensions = extensions;
    this.#credentials = credentials;
    this.ref = this.#registry.commit((draft) =>
      draft.add(this.#class(), options.referenceValue ?? 'ExtensionManager', { extensionList: this.#list() }),
    );
  }

  static async open(options: ExtensionServiceOptions): Promise<ExtensionService> {
    const { persistence } = options;
    const extensions = await persistence.list(collection);
    const credentials = await persistence.list<ExtensionCredentials>(credentialCollection);
    return new ExtensionService(
      options,
      new Map(extensions.map(({ key, value }) => [key, fromDocument<Extension>(value)])),
      new Map(credentials.map(({ key, value }) => [key, value])),
    );
  }

  accepts(extensionKey: string, certificate: Uint8Array): boolean {
    return this.#extensions.has(extensionKey) && proves(this.#credentials.get(extensionKey) ?? {}, certificate);
  }

  #class(): ManagedObjectClass<'ExtensionManager'> {
    const publicKey = this.#publicKey;
    return {
      type: 'ExtensionManager',
      methods: {
        FindExtension: (_call, { extensionKey }) => this.#extensions.get(extensionKey),
        RegisterExtension: (_call, { extension }) =>
          this.#turns.take(async () => {
            const { key } = extension;
            if (key === '' || this.#extensions.has(key) || this.#extensions.size >= extensionLimit) {
              throw fault('InvalidArgument', { invalidProperty: 'extension.key' }, `${key} cannot be registered.`);
            }
            await this.#keep(extension);
          }),
        UpdateExtension: (_call, { extension }) =>
          this.#turns.take(async () => {
            this.#require(extension.key);
            await this.#keep(extension);
          }),
        UnregisterExtension: (_call, { extensionKey }) =>
          this.#turns.take(async () => {
            this.#require(extensionKey);
            await this.#persistence.transact([
              { delete: { collection, key: extensionKey } },
              { delete: { collection: credentialCollection, key: extensionKey } },
            ]);
            this.#extensions.delete(extensionKey);
            this.#credentials.delete(extensionKey);
            this.#show();
          }),
        SetExtensionCertificate: (call, { extensionKey, certificatePem: given }) =>
          this.#turns.take(async () => {
            this.#require(extensionKey);
            const certificate = given ?? call.connection.clientCertificate;
            if (certificate === undefined) {
              throw fault('NoClientCertificate', {}, 'The connection has no client certificate.');
            }
            await this.#prove(extensionKey, { certificate: certificatePem(certificate) });
          }),
        SetPublicKey: (_call, { extensionKey, publicKey: given }) =>
          this.#turns.take(async () => {
            if (!this.#extensions.has(extensionKey)) {
              throw fault('InvalidArgument', { invalidProperty: 'extensionKey' }, `There is no ${extensionKey}.`);
            }
            await this.#prove(extensionKey, { publicKey: publicKeyPem(given) });
          }),
        ...(publicKey === undefined ? {} : { GetPublicKey: () => publicKey() }),
        // There are no pools of addresses that it could take any from.
        QueryExtensionIpAllocationUsage: (_call, { extensionKeys = [] }) =>
          extensionKeys
            .filter((key) => this.#extensions.has(key))
            .map((extensionKey) => ({ extensionKey, numAddresses: 0 })),
        QueryManagedBy: (_call, { extensionKey }) => {
          const managed: ManagedObjectReference<'ManagedEntity'>[] = [];
          for (const object of this.#registry.all('VirtualMachine')) {
            const config = object.value('config') as Partial<DataTypes['VirtualMachineConfigInfo']> | undefined;
            if (config?.managedBy?.extensionKey === extensionKey) managed.push(object.ref as (typeof managed)[number]);
          }
          for (const object of this.#registry.all('VirtualApp')) {
            const config = object.value('vAppConfig') as Partial<DataTypes['VAppConfigInfo']> | undefined;
            if (config?.managedBy?.extensionKey === extensionKey) managed.push(object.ref as (typeof managed)[number]);
          }
          return managed;
        },
      },
    };
  }

  #require(extensionKey: string): void {
    if (!this.#extensions.has(extensionKey)) throw fault('NotFound', {}, `There is no extension ${extensionKey}.`);
  }

  async #keep(given: Extension): Promise<void> {
    const extension = { ...given, lastHeartbeatTime: dateTime(this.#clock) };
    await this.#persistence.transact([{ put: { collection, key: extension.key, value: toDocument(extension) } }]);
    this.#extensions.set(extension.key, extension);
    this.#show();
  }

  async #prove(key: string, changed: ExtensionCredentials): Promise<void> {
    const value = { ...this.#credentials.get(key), ...changed };
    await this.#persistence.transact([{ put: { collection: credentialCollection, key, value } }]);
    this.#credentials.set(key, value);
  }

  #show(): void {
    this.#registry.commit((draft) => draft.set(this.ref, { extensionList: this.#list() }));
  }

  #list(): Extension[] {
    return [...this.#extensions.values()];
  }
}
