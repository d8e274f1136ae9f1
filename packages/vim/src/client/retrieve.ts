import type { DynamicProperty, ObjectContent } from '../generated/types.ts';
import type { ManagedTypeName, Properties } from '../runtime/managed-object.ts';
import type { ManagedObjectReference } from '../schema/values.ts';
import type { Caller, CallOptions } from './caller.ts';

/** Properties of one object. Paths into a property are of unknown type. */
export interface Retrieved<T extends ManagedTypeName, P extends string> {
  readonly ref: ManagedObjectReference<T>;
  readonly values: { readonly [K in P]?: K extends keyof Properties<T> ? Properties<T>[K] : unknown };
}

/** Reads properties of objects of whatever number, by any caller. Throws ManagedObjectNotFound when one is gone. */
export async function retrieve<T extends ManagedTypeName, P extends string>(
  client: Caller,
  objects: readonly ManagedObjectReference<T>[],
  paths: readonly P[],
  options: CallOptions = {},
): Promise<Retrieved<T, P>[]> {
  if (objects.length === 0) return [];
  const { propertyCollector } = await client.content();
  const types = [...new Set(objects.map((object) => object.type))];
  const filter = {
    objectSet: objects.map((obj) => ({ obj })),
    propSet: types.map((type) => ({ type, pathSet: paths })),
  };
  const found: Retrieved<T, P>[] = [];
  let page = await client.call(propertyCollector, 'RetrievePropertiesEx', { specSet: [filter], options: {} }, options);
  for (;;) {
    for (const content of page?.objects ?? []) found.push(retrieved(content));
    const token = page?.token;
    if (token === undefined) return found;
    page = await client.call(propertyCollector, 'ContinueRetrievePropertiesEx', { token }, options);
  }
}

function retrieved<T extends ManagedTypeName, P extends string>({ obj, propSet = [] }: ObjectContent): Retrieved<T, P> {
  const values = Object.fromEntries(propSet.map(({ name, val }) => [name, unboxed(val)]));
  return { ref: obj as ManagedObjectReference<T>, values: values as Retrieved<T, P>['values'] };
}

/** The bare value of a property: arrays, enumerations and numbers without their box. */
export function unboxed(value: DynamicProperty['val']): unknown {
  return typeof value === 'object' && '_value' in value ? value._value : value;
}
