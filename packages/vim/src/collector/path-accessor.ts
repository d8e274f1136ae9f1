import type { ManagedObject } from '../runtime/managed-object.ts';
import type { Session } from '../runtime/session.ts';
import type { Property, Schema, TypeRef } from '../schema/schema.ts';
import { declarations, elementOf, isKeyed } from './element-key.ts';
import { invalidProperty } from './errors.ts';
import { type PathStep, parsePropertyPath } from './property-path.ts';

/** Where a path led: `depth` is the number of steps that were there. */
export interface Reading {
  readonly value: unknown;
  readonly type: TypeRef;
  readonly depth: number;
}

type PersonalProperty = (self: ManagedObject, session: Session | undefined) => unknown;

/** A property path that the schema knows, ready to read from objects of its type. */
export class PathAccessor {
  readonly path: string;
  /** Property of the managed object that the path begins with. */
  readonly root: Property;
  /** Steps after the root. */
  readonly steps: readonly PathStep[];
  readonly #schema: Schema;

  constructor(schema: Schema, path: string, root: Property, steps: readonly PathStep[]) {
    this.#schema = schema;
    this.path = path;
    this.root = root;
    this.steps = steps;
  }

  /** Privilege needed to read it. */
  get privilege(): string {
    return this.root.privilege ?? 'System.Read';
  }

  /** True when the value depends on who looks. */
  isPersonal(object: ManagedObject): boolean {
    return object.class.perSession !== undefined && this.root.name in object.class.perSession;
  }

  read(object: ManagedObject, session?: Session): Reading {
    const personal = object.class.perSession as Readonly<Record<string, PersonalProperty>> | undefined;
    const own = personal?.[this.root.name];
    const value = own === undefined ? object.value(this.root.name) : own(object, session);
    return this.#follow(value, this.root.type);
  }

  /** The value as the registry has it, whoever looks: for following links. */
  readLink(object: ManagedObject): unknown {
    return this.#follow(object.value(this.root.name), this.root.type).value;
  }

  #follow(start: unknown, declared: TypeRef): Reading {
    let value: unknown = start ?? undefined;
    let type = declared;
    let depth = 0;
    for (const step of this.steps) {
      if (value === undefined) break;
      depth += 1;
      if ('key' in step) {
        value = Array.isArray(value) ? elementOf(value, step.key) : undefined;
        type = this.#schema.typeRef(type.name);
        continue;
      }
      const object = value as Readonly<Record<string, unknown>>;
      const property = this.#schema.data((object._typeName as string | undefined) ?? type.name)?.property(step.name);
      if (property === undefined) {
        value = undefined;
        break;
      }
      value = object[step.name] ?? undefined;
      type = property.type;
    }
    return { value, type, depth };
  }
}

/** Reads a path against the properties of a managed type; throws InvalidProperty where the schema knows none such. */
export function compilePath(schema: Schema, typeName: string, path: string): PathAccessor {
  const steps = parsePropertyPath(path);
  const first = steps?.[0];
  const root = first !== undefined && 'name' in first ? schema.managed(typeName)?.property(first.name) : undefined;
  if (steps === undefined || root === undefined) throw invalidProperty(path);
  const rest = steps.slice(1);
  let types: readonly TypeRef[] = [root.type];
  for (const step of rest) {
    types = stepTypes(schema, types, step);
    if (types.length === 0) throw invalidProperty(path);
  }
  return new PathAccessor(schema, path, root, rest);
}

/** What a step may lead to. Subtypes may declare one name with different types. */
function stepTypes(schema: Schema, types: readonly TypeRef[], step: PathStep): readonly TypeRef[] {
  const next = new Set<TypeRef>();
  for (const type of types) {
    if ('key' in step) {
      if (type.array && isKeyed(schema, type.name)) next.add(schema.typeRef(type.name));
    } else if (!type.array) {
      for (const declared of declarations(schema, type.name, step.name)) next.add(declared);
    }
  }
  return [...next];
}
