import type { ManagedObjectReference, Schema } from '@hypostyle/vim';

/** Another reference for a reference; undefined where it has no meaning on this side, and is left out. */
export type ReferenceMap = (reference: ManagedObjectReference) => ManagedObjectReference | undefined;

/** A declared type: its name, and whether it is an array. */
interface DeclaredType {
  readonly name: string;
  readonly array: boolean;
}

type Values = Readonly<Record<string, unknown>>;

/**
 * Rewrites the references within values of the object model, by the schema: what is declared as something that holds
 * no reference is passed on as it is, and so is every part in which nothing changed.
 */
export class ReferenceRewriter {
  readonly #schema: Schema;
  /** Properties of a type, by what may hold a reference: looked at once a type. */
  readonly #plans = new Map<string, readonly (readonly [name: string, type: DeclaredType])[]>();
  readonly #holders = new Map<string, boolean>();

  constructor(schema: Schema) {
    this.#schema = schema;
  }

  /** The value with its references mapped. A reference that has no other is left out: of an array, or unset. */
  rewrite(type: DeclaredType, value: unknown, map: ReferenceMap): unknown {
    if (value === undefined || value === null || !this.#mayHold(type.name)) return value;
    if (!type.array) return this.#one(type.name, value, map);
    return Array.isArray(value) ? this.#list(type.name, value, map) : value;
  }

  /** A value declared anyType, or tagged with its type. */
  rewriteAny(value: unknown, map: ReferenceMap): unknown {
    return this.#one('anyType', value, map);
  }

  #list(name: string, values: readonly unknown[], map: ReferenceMap): readonly unknown[] {
    let changed: unknown[] | undefined;
    for (let index = 0; index < values.length; index += 1) {
      const value = values[index];
      const other = this.#one(name, value, map);
      if (changed === undefined) {
        if (other === value) continue;
        changed = values.slice(0, index);
      }
      if (other !== undefined) changed.push(other);
    }
    return changed ?? values;
  }

  #one(declared: string, value: unknown, map: ReferenceMap): unknown {
    if (typeof value !== 'object' || value === null) return value;
    const tag = (value as { _typeName?: string })._typeName;
    if (tag === 'ManagedObjectReference' || this.#isReference(declared) || looksLikeReference(tag, declared, value)) {
      return map(value as ManagedObjectReference);
    }
    if ('_value' in value) return this.#boxed(value as { _typeName: string; _value: unknown }, map);
    return this.#data(tag ?? declared, value as Values, map);
  }

  #boxed(value: { readonly _typeName: string; readonly _value: unknown }, map: ReferenceMap): unknown {
    const { _typeName: name, _value: inner } = value;
    const other = name.startsWith('ArrayOf')
      ? Array.isArray(inner)
        ? this.#list(this.#elementType(name.slice('ArrayOf'.length)), inner, map)
        : inner
      : this.#one(name, inner, map);
    return other === inner ? value : { ...value, _value: other };
  }

  #data(name: string, value: Values, map: ReferenceMap): unknown {
    let changed: Record<string, unknown> | undefined;
    let left = false;
    for (const [property, type] of this.#plan(name)) {
      const inner = value[property];
      if (inner === undefined) continue;
      const other =
        type.array && Array.isArray(inner) ? this.#list(type.name, inner, map) : this.#one(type.name, inner, map);
      if (other === inner) continue;
      changed ??= { ...value };
      changed[property] = other;
      if (other === undefined) left = true;
    }
    return changed === undefined ? value : left ? withoutUnset(changed) : changed;
  }

  #plan(name: string): readonly (readonly [string, DeclaredType])[] {
    let plan = this.#plans.get(name);
    if (plan === undefined) {
      plan = this.#properties(name)
        .filter(({ type }) => this.#mayHold(type.name))
        .map((property) => [property.name, property.type]);
      this.#plans.set(name, plan);
    }
    return plan;
  }

  /** True when a value declared so, or as what derives from it, may hold a reference. */
  #mayHold(name: string): boolean {
    const known = this.#holders.get(name);
    if (known !== undefined) return known;
    const seen = new Set<string>();
    const holds = this.#reaches(name, seen);
    // Whatever was looked at on the way to a negative answer holds none either.
    if (holds) this.#holders.set(name, true);
    else for (const other of seen) this.#holders.set(other, false);
    return holds;
  }

  #reaches(name: string, seen: Set<string>): boolean {
    if (name === 'anyType' || this.#isReference(name)) return true;
    const known = this.#holders.get(name);
    if (known !== undefined) return known;
    if (seen.has(name)) return false;
    seen.add(name);
    if (this.#properties(name).some((property) => this.#reaches(property.type.name, seen))) return true;
    return this.#schema.subtypes(name).some((derived) => this.#reaches(derived, seen));
  }

  /** Without `dynamicProperty`, which every type inherits, may hold anything, and is never set. */
  #properties(name: string) {
    return (this.#schema.data(name)?.properties ?? []).filter((property) => property.name !== 'dynamicProperty');
  }

  #isReference(name: string): boolean {
    return name === 'ManagedObjectReference' || this.#schema.managed(name) !== undefined;
  }

  /** `ArrayOfString` is an array of `string`; others are named as they are. */
  #elementType(name: string): string {
    return this.#schema.type(name) === undefined ? 'anyType' : name;
  }
}

/** Made anew: an object from which members were deleted takes many times the memory. */
function withoutUnset(values: Values): Values {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

/** An untagged reference where anything may stand. */
function looksLikeReference(tag: string | undefined, declared: string, value: object): boolean {
  return tag === undefined && declared === 'anyType' && 'type' in value && 'value' in value;
}
