import type { ObjectSpec, SelectionSpec, TraversalSpec } from '../generated/types.ts';
import type { Schema } from '../schema/schema.ts';
import type { ManagedObjectReference } from '../schema/values.ts';
import { invalidArgument } from './errors.ts';
import type { PathAccessor } from './path-accessor.ts';
import type { PropertySets } from './property-sets.ts';

/** A compiled TraversalSpec: from objects of `type` along `accessor` to others, and on from there by `next`. */
export interface Link {
  readonly type: string;
  readonly accessor: PathAccessor;
  /** True when what it leads to is passed through, not selected. */
  readonly skip: boolean;
  readonly next: readonly Link[];
  /** True when it may follow itself. */
  readonly cyclic: boolean;
}

/** A compiled ObjectSpec. */
export interface Start {
  readonly ref: ManagedObjectReference;
  readonly skip: boolean;
  readonly links: readonly Link[];
}

type Draft = { -readonly [P in keyof Link]: Link[P] };
type Names = Map<string, Draft>;

const mostLinks = 500;
const deepestNesting = 64;
const mostStarts = 100_000;

/**
 * Compiles object specs. A SelectionSpec stands for the TraversalSpec of its name in the same ObjectSpec, or else in
 * another of the same filter.
 *
 * Throws InvalidProperty for an unknown path, InvalidArgument for unknown types and names, or more than 500 links.
 */
export function compileTraversal(
  objectSet: readonly ObjectSpec[],
  { schema, sets }: { readonly schema: Schema; readonly sets: PropertySets },
): readonly Start[] {
  if (objectSet.length > mostStarts) throw invalidArgument('objectSet', `More than ${mostStarts} objects.`);
  const everywhere: Names = new Map();
  const links = new Map<SelectionSpec, Draft>();

  const declare = (specs: readonly SelectionSpec[], names: Names, depth: number): void => {
    if (depth > deepestNesting) throw invalidArgument('selectSet', 'The selection is nested too deeply.');
    for (const spec of specs) {
      if (!isTraversal(spec) || links.has(spec)) continue;
      if (links.size >= mostLinks) throw invalidArgument('selectSet', `More than ${mostLinks} traversals.`);
      if (schema.managed(spec.type) === undefined) {
        throw invalidArgument('selectSet.type', `${spec.type.slice(0, 200)} is not a managed object type.`);
      }
      const accessor = sets.path(spec.type, spec.path);
      const link: Draft = { type: spec.type, accessor, skip: spec.skip === true, next: [], cyclic: false };
      links.set(spec, link);
      if (spec.name !== undefined) {
        if (!names.has(spec.name)) names.set(spec.name, link);
        if (!everywhere.has(spec.name)) everywhere.set(spec.name, link);
      }
      declare(spec.selectSet ?? [], names, depth + 1);
    }
  };

  const resolve = (specs: readonly SelectionSpec[], names: Names): Link[] =>
    specs.map((spec) => {
      const link = links.get(spec) ?? names.get(spec.name ?? '') ?? everywhere.get(spec.name ?? '');
      if (link === undefined) {
        throw invalidArgument('selectSet.name', `There is no selection named '${(spec.name ?? '').slice(0, 200)}'.`);
      }
      return link;
    });

  const scopes = objectSet.map((spec) => {
    const names: Names = new Map();
    declare(spec.selectSet ?? [], names, 0);
    return names;
  });
  const starts = objectSet.map((spec, index) => {
    const names = scopes[index] as Names;
    const connect = (specs: readonly SelectionSpec[]): void => {
      for (const nested of specs) {
        if (!isTraversal(nested)) continue;
        const link = links.get(nested) as Draft;
        if (link.next.length === 0) link.next = resolve(nested.selectSet ?? [], names);
        connect(nested.selectSet ?? []);
      }
    };
    connect(spec.selectSet ?? []);
    return { ref: spec.obj, skip: spec.skip === true, links: resolve(spec.selectSet ?? [], names) };
  });
  for (const link of links.values()) link.cyclic = reaches(link, link);
  return starts;
}

function reaches(from: Link, to: Link): boolean {
  const seen = new Set<Link>();
  const queue = [...from.next];
  for (let link = queue.pop(); link !== undefined; link = queue.pop()) {
    if (link === to) return true;
    if (seen.has(link)) continue;
    seen.add(link);
    queue.push(...link.next);
  }
  return false;
}

function isTraversal(spec: SelectionSpec): spec is TraversalSpec {
  return typeof (spec as Partial<TraversalSpec>).path === 'string';
}
