import type { ManagedObjectReference, ManagedTypeName, Retrieved } from '@hypostyle/vim';
import type { ServerSession } from '../connection/server-session.ts';

/** Properties of an object: what they are, then again after each change, until the caller stops. */
export async function* watchObject<T extends ManagedTypeName, P extends string>(
  { client }: ServerSession,
  ref: ManagedObjectReference<T>,
  paths: readonly P[],
  signal: AbortSignal,
): AsyncGenerator<Retrieved<T, P>['values'], void, void> {
  const filter = { objectSet: [{ obj: ref }], propSet: [{ type: ref.type, pathSet: paths }] };
  for await (const _ of client.follow(filter, { signal })) {
    const [object] = await client.retrieve(ref, paths, { signal });
    if (object !== undefined) yield object.values;
  }
}
