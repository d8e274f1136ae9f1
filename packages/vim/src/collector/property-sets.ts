import type { PropertySpec } from '../generated/types.ts';
import type { Schema } from '../schema/schema.ts';
import { invalidArgument } from './errors.ts';
import { compilePath, type PathAccessor } from './path-accessor.ts';
import { PropertySet } from './property-set.ts';

/** Most paths that one request may name. */
const mostPaths = 5000;
/** Sets kept for sharing. */
const mostSets = 4096;

/** Says of each managed type what is to be read of its objects; undefined where nothing was asked for. */
export type PropertySelection = (typeName: string) => PropertySet | undefined;

/** Compiles property specs. The same paths of the same type are one PropertySet, whoever asks. */
export class PropertySets {
  readonly #schema: Schema;
  readonly #sets = new Map<string, PropertySet>();
  readonly #paths = new Map<string, PathAccessor>();

  constructor(schema: Schema) {
    this.#schema = schema;
  }

  /**
   * The specs' meaning. Where several match a type (ManagedEntity and VirtualMachine), their paths are joined.
   *
   * Throws InvalidProperty for a path that the named type has not, InvalidArgument for a type that is none.
   */
  compile(specs: readonly PropertySpec[]): PropertySelection {
    let count = 0;
    const compiled = specs.map(({ type, all, pathSet }) => {
      if (this.#schema.managed(type) === undefined) {
        throw invalidArgument('propSet.type', `${type.slice(0, 200)} is not a managed object type.`);
      }
      count += pathSet?.length ?? 0;
      if (count > mostPaths) throw invalidArgument('propSet', `More than ${mostPaths} property paths.`);
      return { type, all: all === true, paths: (pathSet ?? []).map((path) => this.#path(type, path)) };
    });
    const byType = new Map<string, PropertySet | undefined>();
    return (typeName) => {
      if (byType.has(typeName)) return byType.get(typeName);
      const matching = compiled.filter(({ type }) => this.#schema.isSubtype(typeName, type));
      const set = matching.length === 0 ? undefined : this.#set(typeName, matching);
      byType.set(typeName, set);
      return set;
    };
  }

  /** What a path leads to from objects of that type; throws InvalidProperty. */
  path(typeName: string, path: string): PathAccessor {
    return this.#path(typeName, path);
  }

  #set(typeName: string, specs: readonly { readonly all: boolean; readonly paths: readonly PathAccessor[] }[]) {
    const paths = new Map<string, PathAccessor>();
    if (specs.some(({ all }) => all)) {
      for (const { name } of this.#schema.managed(typeName)?.properties ?? []) {
        paths.set(name, this.#path(typeName, name));
      }
    }
    for (const spec of specs) for (const path of spec.paths) paths.set(path.path, path);
    const key = `${typeName} ${[...paths.keys()].join(' ')}`;
    let set = this.#sets.get(key);
    if (set === undefined) {
      set = new PropertySet(this.#schema, [...paths.values()]);
      if (this.#sets.size >= mostSets) this.#sets.clear();
      this.#sets.set(key, set);
    }
    return set;
  }

  #path(typeName: string, path: string): PathAccessor {
    const key = `${typeName} ${path}`;
    let accessor = this.#paths.get(key);
    if (accessor === undefined) {
      accessor = compilePath(this.#schema, typeName, path);
      if (this.#paths.size >= mostSets) this.#paths.clear();
      this.#paths.set(key, accessor);
    }
    return accessor;
  }
}
