import { loadSchema, type ManagedObject, type ManagedTypeName } from '@hypostyle/vim';
import type { Endpoint, World } from './world.ts';

/** What an endpoint answers of one managed object type. */
export interface Answered {
  readonly methods: ReadonlySet<string>;
  readonly properties: ReadonlySet<string>;
}

export interface Survey {
  /** By managed object type; those that the endpoint has none of are not there. */
  readonly host: ReadonlyMap<string, Answered>;
  readonly center: ReadonlyMap<string, Answered>;
}

interface Seen {
  readonly methods: Set<string>;
  readonly properties: Set<string>;
}

/** True for a method whose whole work is to say that it is not there. */
function refuses(method: unknown): boolean {
  return /^[^{]*=>\s*\{\s*throw fault\('NotSupported'/.test(String(method));
}

/** Opens a host and a center, has them show every kind of object that they have, and answers what those can do. */
export async function survey(world: World): Promise<Survey> {
  const host = watch(world.hostEndpoint, () => false);
  const center = watch(world.centerEndpoint, (method) => world.center.center.forwards(method));
  await world.fill();
  const onHost = host();
  return { host: onHost, center: center(onHost) };
}

/** Notes every object from now on. What is forwarded is done where the host does it. */
function watch({ registry }: Endpoint, isForwarded: (method: unknown) => boolean) {
  const schema = loadSchema();
  const seen = new Map<string, Seen>();
  const forwarded = new Map<string, Set<string>>();
  const note = (object: ManagedObject) => {
    const { type } = object.ref;
    const known = seen.get(type) ?? { methods: new Set(), properties: new Set() };
    seen.set(type, known);
    const elsewhere = forwarded.get(type) ?? new Set();
    forwarded.set(type, elsewhere);
    for (const [name, method] of Object.entries(object.class.methods))
      if (!refuses(method)) (isForwarded(method) ? elsewhere : known.methods).add(name);
    for (const { name } of schema.managed(type)?.properties ?? []) {
      const computed = object.class.perSession !== undefined && name in object.class.perSession;
      if (computed || object.value(name) !== undefined) known.properties.add(name);
    }
  };
  for (const object of registry.all()) note(object);
  let version = registry.version;
  const stop = registry.onCommit((now) => {
    for (const object of registry.changedSince(version)) if (!object.removed) note(object);
    version = now;
  });
  return (elsewhere: ReadonlyMap<string, Answered> = new Map()): ReadonlyMap<string, Answered> => {
    stop();
    for (const [type, names] of forwarded) {
      for (const name of names) if (elsewhere.get(type)?.methods.has(name)) seen.get(type)?.methods.add(name);
    }
    return seen;
  };
}

/** Names of all managed object types, in order. */
export function managedTypes(): ManagedTypeName[] {
  const schema = loadSchema();
  const names = [...schema.managedNames()];
  return names.sort() as ManagedTypeName[];
}
