import { newestVersion } from '../../codec/api-version.ts';
import type { DataTypes } from '../../generated/types.ts';
import { fault } from '../../runtime/fault.ts';
import type { ManagedObjectClass } from '../../runtime/managed-object.ts';
import type { Registry } from '../../runtime/registry.ts';
import { Turns } from '../../runtime/turns.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import { type Clock, dateTime, systemClock } from '../clock.ts';
import { fromDocument, toDocument } from '../document.ts';
import type { Persistence } from '../persistence.ts';
import { SpecXml } from './spec-xml.ts';

type SpecItem = DataTypes['CustomizationSpecItem'];

export interface CustomizationSpecsOptions {
  readonly registry: Registry;
  readonly persistence: Persistence;
  readonly clock?: Clock;
  readonly referenceValue?: string;
}

const collection = 'customization-specs';
const longestName = 80;
const mostSpecs = 1_000;

/** CustomizationSpecManager: what guests are told when their machines are made, kept by name. */
export class CustomizationSpecs {
  readonly ref: ManagedObjectReference<'CustomizationSpecManager'>;
  readonly #registry: Registry;
  readonly #persistence: Persistence;
  readonly #clock: Clock;
  readonly #xml: SpecXml;
  readonly #items = new Map<string, SpecItem>();
  readonly #turns = new Turns();

  private constructor({ registry, persistence, clock, referenceValue }: CustomizationSpecsOptions) {
    this.#registry = registry;
    this.#persistence = persistence;
    this.#clock = clock ?? systemClock;
    this.#xml = new SpecXml(registry.schema, newestVersion);
    this.ref = registry.commit((draft) =>
      draft.add(this.#class(), referenceValue ?? 'CustomizationSpecManager', { info: [], encryptionKey: [] }),
    );
  }

  static async open(options: CustomizationSpecsOptions): Promise<CustomizationSpecs> {
    const specs = new CustomizationSpecs(options);
    for (const { key, value } of await options.persistence.list(collection))
      specs.#items.set(key, fromDocument<SpecItem>(value));
    specs.#show();
    return specs;
  }

  #class(): ManagedObjectClass<'CustomizationSpecManager'> {
    return {
      type: 'CustomizationSpecManager',
      methods: {
        DoesCustomizationSpecExist: (_call, { name }) => this.#items.has(name),
        GetCustomizationSpec: (_call, { name }) => this.#get(name),
        CreateCustomizationSpec: (_call, { item }) =>
          this.#turns.take(async () => {
            this.#mustBeFree(item.info.name);
            await this.#keep(item.info.name, item, '1');
          }),
        OverwriteCustomizationSpec: (_call, { item }) =>
          this.#turns.take(async () => {
            const before = this.#get(item.info.name).info.changeVersion;
            const { changeVersion } = item.info;
            if (changeVersion !== undefined && changeVersion !== '' && changeVersion !== before)
              throw fault('ConcurrentAccess', {}, 'The specification was changed after it was read; read it again.');
            await this.#keep(item.info.name, item, String(Number(before ?? 0) + 1));
          }),
        DeleteCustomizationSpec: (_call, { name }) =>
          this.#turns.take(async () => {
            this.#get(name);
            await this.#persistence.transact([{ delete: { collection, key: name } }]);
            this.#items.delete(name);
            this.#show();
          }),
        DuplicateCustomizationSpec: (_call, { name, newName }) =>
          this.#turns.take(async () => {
            const item = this.#get(name);
            this.#mustBeFree(newName);
            await this.#keep(newName, item, '1');
          }),
        RenameCustomizationSpec: (_call, { name, newName }) =>
          this.#turns.take(async () => {
            const item = this.#get(name);
            this.#mustBeFree(newName);
            await this.#keep(newName, item, String(Number(item.info.changeVersion ?? 0) + 1), name);
          }),
        CustomizationSpecItemToXml: (_call, { item }) => this.#xml.format(item),
        XmlToCustomizationSpecItem: (_call, { specItemXml }) => this.#xml.parse(specItemXml),
        // What guests need is in the guests: cloud-init, or Windows' own Setup.
        CheckCustomizationResources: () => {},
      },
    };
  }

  #get(name: string): SpecItem {
    const item = this.#items.get(name);
    if (item === undefined)
      throw fault('NotFound', {}, `There is no customization specification '${name.slice(0, 80)}'.`);
    return item;
  }

  #mustBeFree(name: string): void {
    if (name.trim() === '' || name.length > longestName || /[\u0000-\u001f]/.test(name))
      throw fault('InvalidArgument', { invalidProperty: 'name' }, `A name has 1 to ${longestName} characters.`);
    if (this.#items.has(name)) throw fault('AlreadyExists', { name }, `There is a specification '${name}' already.`);
    if (this.#items.size >= mostSpecs)
      throw fault('InvalidArgument', { invalidProperty: 'item' }, `There are ${mostSpecs} specifications already.`);
  }

  async #keep(name: string, item: SpecItem, changeVersion: string, instead?: string): Promise<void> {
    const info = { ...item.info, name, changeVersion, lastUpdateTime: dateTime(this.#clock) };
    const kept = { ...item, info } as SpecItem;
    await this.#persistence.transact([
      { put: { collection, key: name, value: toDocument(kept) } },
      ...(instead === undefined ? [] : [{ delete: { collection, key: instead } }]),
    ]);
    this.#items.set(name, kept);
    if (instead !== undefined) this.#items.delete(instead);
    this.#show();
  }

  #show(): void {
    const info = [...this.#items.values()].map((item) => item.info);
    this.#registry.commit((draft) => draft.set(this.ref, { info }));
  }
}
