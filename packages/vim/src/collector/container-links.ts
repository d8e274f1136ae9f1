import type { Schema } from '../schema/schema.ts';
import type { PropertySets } from './property-sets.ts';
import type { Link } from './traversal.ts';

interface ContainerLink {
  readonly type: string;
  readonly path: string;
  /** Paths of the child that a view follows even when it is not recursive. */
  readonly beyond?: readonly string[];
}

/** How containers lead to what they contain, as ViewManager.CreateContainerView documents it. */
const containerLinks: readonly ContainerLink[] = [
  { type: 'Folder', path: 'childEntity' },
  { type: 'Datacenter', path: 'vmFolder' },
  { type: 'Datacenter', path: 'hostFolder' },
  { type: 'Datacenter', path: 'datastoreFolder' },
  { type: 'Datacenter', path: 'networkFolder' },
  { type: 'ComputeResource', path: 'host', beyond: ['vm'] },
  { type: 'ComputeResource', path: 'resourcePool', beyond: ['vm'] },
  // VirtualApp is a ResourcePool.
  { type: 'ResourcePool', path: 'vm' },
  { type: 'ResourcePool', path: 'resourcePool', beyond: ['vm'] },
  { type: 'HostSystem', path: 'vm' },
];

type DraftLink = { -readonly [P in keyof Link]: Link[P] };

/** Links from a container to its children, and with `recursive` on to theirs. */
export function compileContainerLinks(
  sets: PropertySets,
  { recursive }: { readonly recursive: boolean },
): readonly Link[] {
  const compile = ({ type, path }: ContainerLink): DraftLink => ({
    type,
    accessor: sets.path(type, path),
    skip: false,
    next: [],
    cyclic: recursive,
  });
  const links = containerLinks.map(compile);
  for (const [index, { beyond = [] }] of containerLinks.entries()) {
    const link = links[index] as DraftLink;
    link.next = recursive ? links : containerLinks.filter(({ path }) => beyond.includes(path)).map(compile);
  }
  return links;
}

/** Properties in which a managed type holds its children. */
export function childProperties(schema: Schema, typeName: string): readonly string[] {
  return containerLinks.filter(({ type }) => schema.isSubtype(typeName, type)).map(({ path }) => path);
}
