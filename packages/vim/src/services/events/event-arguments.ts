import type { Schema } from '../../schema/schema.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import { type PropertyReader, withAncestors } from '../inventory.ts';

/** Member of Event for a type of entity, and the member of its argument type. */
const argumentKinds = [
  { type: 'VirtualMachine', member: 'vm', argument: 'VmEventArgument', reference: 'vm' },
  { type: 'HostSystem', member: 'host', argument: 'HostEventArgument', reference: 'host' },
  {
    type: 'ComputeResource',
    member: 'computeResource',
    argument: 'ComputeResourceEventArgument',
    reference: 'computeResource',
  },
  { type: 'Datacenter', member: 'datacenter', argument: 'DatacenterEventArgument', reference: 'datacenter' },
  { type: 'Datastore', member: 'ds', argument: 'DatastoreEventArgument', reference: 'datastore' },
  { type: 'Network', member: 'net', argument: 'NetworkEventArgument', reference: 'network' },
  { type: 'DistributedVirtualSwitch', member: 'dvs', argument: 'DvsEventArgument', reference: 'dvs' },
] as const;

export interface EventArguments {
  readonly members: Readonly<Record<string, unknown>>;
  /** Reference values of the entity and of everything above it, or that it runs on. */
  readonly within: readonly string[];
}

/** The arguments that an event about `entity` has: the entity, where it runs, and what they lie in. */
export function eventArguments(schema: Schema, read: PropertyReader, entity: ManagedObjectReference): EventArguments {
  const around = withAncestors(read, entity);
  const runtime = entity.type === 'VirtualMachine' ? read(entity, 'runtime') : undefined;
  const host = (runtime as { readonly host?: ManagedObjectReference } | undefined)?.host;
  if (host !== undefined) around.push(...withAncestors(read, host));
  const members: Record<string, unknown> = {};
  for (const ref of around) {
    const kind = argumentKinds.find(({ type }) => schema.isSubtype(ref.type, type));
    if (kind === undefined || members[kind.member] !== undefined) continue;
    const name = read(ref, 'name') ?? ref.value;
    members[kind.member] = { _typeName: kind.argument, name, [kind.reference]: ref };
  }
  return { members, within: [...new Set(around.map((ref) => ref.value))] };
}
