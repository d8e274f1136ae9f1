import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Store } from '@hypostyle/contracts';

const collection = 'host';
const key = 'identity';

/** Who the host is, whatever machine it is on: two hosts of one machine are two. */
export interface HostIdentity {
  /** Lower-case 8-4-4-4-12: `about.instanceUuid` and `hardware.systemInfo.uuid`. */
  readonly uuid: string;
  readonly name: string;
}

/** The identity that the store keeps, made at the first start. A UUID that is asked for counts then, a name always. */
export async function hostIdentity(
  store: Store,
  asked: { readonly name?: string | undefined; readonly uuid?: string | undefined },
): Promise<HostIdentity> {
  const name = asked.name ?? hostname();
  const kept = await store.get<{ readonly uuid: string }>(collection, key);
  if (kept !== undefined) return { uuid: kept.uuid, name };
  const uuid = asked.uuid?.toLowerCase() ?? randomUUID();
  await store.transact([{ put: { collection, key, value: { uuid } } }]);
  return { uuid, name };
}
