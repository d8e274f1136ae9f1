import type { ManagedObjectReference } from '@hypostyle/vim';
import type { ServerSession } from '../connection/server-session.ts';
import { CliError } from '../errors.ts';
import { listObjects } from './walk.ts';

export interface MachinePlace {
  readonly pool: ManagedObjectReference<'ResourcePool' | 'VirtualApp'>;
  readonly folder: ManagedObjectReference<'Folder' | 'StoragePod'>;
  readonly datacenterName: string;
}

/** Where new machines go: the first pool and the machines' folder of the first datacenter. */
export async function machinePlace(session: ServerSession): Promise<MachinePlace> {
  const [[compute], [datacenter]] = await Promise.all([
    listObjects(session, 'ComputeResource'),
    listObjects(session, 'Datacenter'),
  ]);
  if (compute === undefined || datacenter === undefined) {
    throw new CliError('failed', 'The server has no host that machines could be put on.');
  }
  const [[ofCompute], [ofDatacenter]] = await Promise.all([
    session.client.retrieve(compute.ref, ['resourcePool']),
    session.client.retrieve(datacenter.ref, ['vmFolder']),
  ]);
  const pool = ofCompute?.values.resourcePool;
  const folder = ofDatacenter?.values.vmFolder;
  if (pool === undefined || folder === undefined) {
    throw new CliError('failed', 'The server does not show its resource pool; the account may lack rights.');
  }
  return { pool, folder, datacenterName: datacenter.name };
}
