import type { ManagedObjectReference } from '@hypostyle/vim';
import type { ServerSession } from '../connection/server-session.ts';
import { CliError } from '../errors.ts';
import { listObjects, type NamedObject } from './walk.ts';

const kinds = { VirtualMachine: 'machine', Datastore: 'datastore', Network: 'network' } as const;
const listings = {
  VirtualMachine: "'hypo ls' lists them.",
  Datastore: "'hypo datastore ls' lists them.",
  Network: undefined,
} as const;

type FoundType = keyof typeof kinds;

/** The objects of these names or ids, in that order. Throws `not-found` for the first that is not there. */
export async function findObjects<T extends FoundType>(
  session: ServerSession,
  type: T,
  names: readonly string[],
): Promise<NamedObject<T>[]> {
  const all = await listObjects(session, type);
  return names.map((name) => pick(all, type, name));
}

export async function findMachine(
  session: ServerSession,
  name: string,
): Promise<{ readonly ref: ManagedObjectReference<'VirtualMachine'>; readonly name: string }> {
  const [machine] = await findObjects(session, 'VirtualMachine', [name]);
  if (machine === undefined) throw new CliError('not-found', `There is no machine '${name}'.`);
  return machine;
}

export function pick<T extends FoundType>(all: readonly NamedObject<T>[], type: T, name: string): NamedObject<T> {
  const named = all.filter((object) => object.name === name);
  const [only] = named.length > 0 ? named : all.filter((object) => object.ref.value === name);
  if (named.length > 1) {
    throw new CliError('failed', `${named.length} ${kinds[type]}s are named '${name}'.`, {
      next: `Use an id: ${named.map((object) => object.ref.value).join(', ')}.`,
    });
  }
  if (only !== undefined) return only;
  const known = all.map((object) => `'${object.name}'`);
  const next = listings[type] ?? (known.length > 0 ? `There are ${known.slice(0, 10).join(', ')}.` : undefined);
  throw new CliError('not-found', `There is no ${kinds[type]} '${name}'.`, next === undefined ? {} : { next });
}
