import type { DataType, TypeRef } from '../schema/schema.ts';
import { type ApiVersion, rankOf } from './api-version.ts';
import { EncodingError } from './encoding-error.ts';
import { enumValueVersions } from './enum-versions.ts';
import type { WireType, WireTypes } from './wire-types.ts';

/** One property as one version of the API sees it. */
export interface PlannedField {
  readonly name: string;
  readonly type: WireType;
  readonly array: boolean;
  /** `<name`, for SOAP; attributes may follow. */
  readonly open: string;
  readonly close: string;
  /** `"name":`, for JSON. */
  readonly key: string;
}

/** What one version of the API sees of a data type. */
export interface TypePlan {
  readonly name: string;
  readonly fields: readonly PlannedField[];
  /** Plans of subtypes, by the name of the value's type: that name's nearest base that the version knows. */
  readonly subtypes: Map<string, TypePlan>;
}

/** Types as one client's version sees them: newer properties and foreign ones are gone, each planned when first met. */
export class VersionPlans {
  readonly types: WireTypes;
  readonly version: ApiVersion;
  readonly #plans = new Map<string, TypePlan>();
  readonly #references = new Map<string, string>();
  readonly #enums = new Map<string, ReadonlyMap<string, string | undefined> | undefined>();

  constructor(types: WireTypes, version: ApiVersion) {
    this.types = types;
    this.version = version;
  }

  plan(name: string): TypePlan {
    const known = this.#plans.get(name);
    if (known !== undefined) return known;
    const type = this.types.schema.data(name);
    if (type === undefined) throw new EncodingError(`${name} is no data type`);
    const plan = this.#make(type);
    this.#plans.set(name, plan);
    return plan;
  }

  /** The plan for a value declared `declared` that says it is a `name`. */
  subtype(declared: TypePlan, name: string | undefined): TypePlan {
    if (name === undefined || name === declared.name) return declared;
    const known = declared.subtypes.get(name);
    if (known !== undefined) return known;
    const { schema } = this.types;
    if (schema.data(name) === undefined || !schema.isSubtype(name, declared.name)) {
      throw new EncodingError(`${name} is no ${declared.name}`);
    }
    const plan = this.plan(this.#visible(name, declared.name));
    declared.subtypes.set(name, plan);
    return plan;
  }

  /** The nearest base of a data type that this version knows, for a value that is declared anyType. */
  visibleName(name: string): string {
    return this.#visible(name, undefined);
  }

  /** A managed type's name in a reference: its nearest base that this version knows. */
  referenceType(name: string): string {
    let visible = this.#references.get(name);
    if (visible === undefined) {
      visible = this.types.schema.managed(name) === undefined ? name : this.#visible(name, undefined);
      this.#references.set(name, visible);
    }
    return visible;
  }

  /** The enum value as this version has it; undefined when it has none. */
  enumValue(type: string, value: string): string | undefined {
    let changed = this.#enums.get(type);
    if (changed === undefined && !this.#enums.has(type)) {
      changed = this.#changedValues(type);
      this.#enums.set(type, changed);
    }
    return changed?.has(value) ? changed.get(value) : value;
  }

  #make(type: DataType): TypePlan {
    // A newer type that had to be sent, for want of an older base, is sent whole.
    const rank = Math.max(this.version.rank, rankOf(type.since));
    const fields = type.properties.filter((p) => rankOf(p.since) <= rank).map((p) => this.field(p.name, p.type));
    return { name: type.name, fields, subtypes: new Map() };
  }

  field(name: string, type: TypeRef): PlannedField {
    return {
      name,
      type: this.types.declared(type.name),
      array: type.array,
      open: `<${name}`,
      close: `</${name}>`,
      key: `${JSON.stringify(name)}:`,
    };
  }

  #visible(name: string, declared: string | undefined): string {
    const { schema } = this.types;
    let at = name;
    while (at !== declared) {
      const type = schema.type(at);
      if (type === undefined || rankOf(type.since) <= this.version.rank) return at;
      if (type.kind === 'enum' || type.base === undefined || schema.type(type.base) === undefined) return name;
      at = type.base;
    }
    return at;
  }

  #changedValues(type: string): ReadonlyMap<string, string | undefined> | undefined {
    const dated = Object.entries(enumValueVersions[type] ?? {}).filter(
      ([, { since }]) => rankOf(since) > this.version.rank,
    );
    return dated.length === 0 ? undefined : new Map(dated.map(([value, { older }]) => [value, older]));
  }
}
