import type { DataTypes } from '../../generated/types.ts';
import { fault } from '../../runtime/fault.ts';
import type { ManagedObjectClass } from '../../runtime/managed-object.ts';
import type { Registry } from '../../runtime/registry.ts';
import { isData } from '../../schema/data.ts';
import type { AnyValue, ManagedObjectReference } from '../../schema/values.ts';
import { fromDocument, toDocument } from '../document.ts';
import type { Persistence } from '../persistence.ts';

type OptionValue = DataTypes['OptionValue'];
type OptionType = DataTypes['OptionType'];

/** An option that there is. */
export interface OptionDefinition {
  /** Dotted, such as `config.log.level`. */
  readonly key: string;
  readonly label: string;
  readonly summary?: string;
  /** Tagged: BoolOption, IntOption, LongOption, StringOption or ChoiceOption, with its default. */
  readonly type: OptionType;
  /** Value at first, where it is not the type's default. */
  readonly value?: AnyValue;
  /** Can be set, and is never shown. */
  readonly secret?: boolean;
}

export interface OptionServiceOptions {
  readonly registry: Registry;
  readonly persistence: Persistence;
  /** Reference value of the OptionManager; also names its documents. */
  readonly referenceValue: string;
  readonly definitions: readonly OptionDefinition[];
  /** Told of values that changed, once they are kept. */
  readonly onChange?: (changed: readonly OptionValue[]) => void;
}

const longestText = 16_384;

/** An OptionManager: settings with a type, kept over restarts. */
export class OptionService {
  readonly ref: ManagedObjectReference<'OptionManager'>;
  readonly #registry: Registry;
  readonly #persistence: Persistence;
  readonly #collection: string;
  readonly #definitions: ReadonlyMap<string, OptionDefinition>;
  readonly #values: Map<string, AnyValue>;
  readonly #onChange: (changed: readonly OptionValue[]) => void;

  private constructor(options: OptionServiceOptions, kept: ReadonlyMap<string, AnyValue>) {
    this.#registry = options.registry;
    this.#persistence = options.persistence;
    this.#collection = collectionOf(options);
    this.#definitions = new Map(options.definitions.map((definition) => [definition.key, definition]));
    this.#values = new Map(options.definitions.map((each) => [each.key, kept.get(each.key) ?? initial(each)]));
    this.#onChange = options.onChange ?? (() => {});
    this.ref = this.#registry.commit((draft) =>
      draft.add(this.#class(), options.referenceValue, {
        setting: this.#settings(),
        supportedOption: options.definitions.map(({ key, label, summary = label, type }) => ({
          key,
          label,
          summary,
          optionType: type,
        })),
      }),
    );
  }

  static async open(options: OptionServiceOptions): Promise<OptionService> {
    const entries = await options.persistence.list(collectionOf(options));
    return new OptionService(options, new Map(entries.map(({ key, value }) => [key, fromDocument<AnyValue>(value)])));
  }

  /** The option's value, a secret one too. */
  value(key: string): AnyValue | undefined {
    return this.#values.get(key);
  }

  /** Sets options, all or none. Fails with InvalidName or InvalidArgument. */
  async update(changed: readonly OptionValue[]): Promise<void> {
    const values = changed.map(({ key, value }) => ({ key, value: this.#checked(key, value) }));
    await this.#persistence.transact(
      values.map(({ key, value }) => ({ put: { collection: this.#collection, key, value: toDocument(value) } })),
    );
    for (const { key, value } of values) this.#values.set(key, value);
    this.#registry.commit((draft) => draft.set(this.ref, { setting: this.#settings() }));
    this.#onChange(values);
  }

  /** Options of that name, or below it; all without a name. Fails with InvalidName. */
  query(name: string | undefined): OptionValue[] {
    if (name === undefined || name === '') return this.#settings();
    const branch = name.endsWith('.') ? name : `${name}.`;
    const found = this.#settings().filter(({ key }) => key === name || key.startsWith(branch));
    if (found.length === 0) throw invalidName(name);
    return found;
  }

  #class(): ManagedObjectClass<'OptionManager'> {
    return {
      type: 'OptionManager',
      methods: {
        QueryOptions: (_call, { name }) => this.query(name),
        UpdateOptions: (_call, { changedValue }) => this.update(changedValue),
      },
    };
  }

  #settings(): OptionValue[] {
    return [...this.#values]
      .filter(([key]) => !this.#definitions.get(key)?.secret)
      .map(([key, value]) => ({ _typeName: 'OptionValue', key, value }));
  }

  #checked(key: string, value: AnyValue | undefined): AnyValue {
    const definition = this.#definitions.get(key);
    if (definition === undefined) throw invalidName(key);
    const { type } = definition;
    if (type.valueIsReadonly || value === undefined || !fits(type, plain(value))) {
      throw fault('InvalidArgument', { invalidProperty: 'changedValue' }, `The value of ${key} is not possible.`);
    }
    return value;
  }
}

function collectionOf({ referenceValue }: OptionServiceOptions): string {
  return `options-${referenceValue}`;
}

function initial({ type, value }: OptionDefinition): AnyValue {
  if (value !== undefined) return value;
  if (isData('ChoiceOption', type)) return type.choiceInfo[type.defaultIndex ?? 0]?.key ?? '';
  if (isData('LongOption', type)) return { _typeName: 'long', _value: type.defaultValue };
  return (type as Partial<DataTypes['StringOption']>).defaultValue ?? '';
}

function plain(value: AnyValue): unknown {
  return typeof value === 'object' && '_value' in value ? value._value : value;
}

function fits(type: OptionType, value: unknown): boolean {
  if (isData('BoolOption', type)) return typeof value === 'boolean';
  if (isData('IntOption', type) || isData('LongOption', type)) {
    const whole = typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value));
    return whole && value >= type.min && value <= type.max;
  }
  if (typeof value !== 'string' || value.length > longestText) return false;
  if (isData('ChoiceOption', type)) return type.choiceInfo.some((choice) => choice.key === value);
  const allowed = isData('StringOption', type) ? type.validCharacters : undefined;
  return !allowed || [...value].every((character) => allowed.includes(character));
}

function invalidName(name: string) {
  return fault('InvalidName', { name }, `There is no option ${name}.`);
}
