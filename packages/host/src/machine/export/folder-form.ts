import type { DiskAllocation } from '@hypostyle/services';
import { fault } from '@hypostyle/vim';
import { parseSnapshotReference } from '../snapshot/snapshot-reference.ts';

/** What a center asks of a machine for another host. */
export interface FolderForm {
  /** `move`: all of it as it is, with its snapshots. `copy`: another machine made of it, each disk whole. */
  readonly as: 'move' | 'copy';
  /** A word that is written into the `.vmx`, so that the center knows what came by it. */
  readonly arrival: string;
  /** Of a copy. */
  readonly name: string;
  /** Of a copy. */
  readonly instanceUuid: string;
  /** Of a copy: what the machine was; as it is, unless told. */
  readonly snapshot: { readonly machineId: string; readonly uid: number } | undefined;
  /** Of a copy: room of disks by device key; as each has it, unless told. */
  readonly allocations: ReadonlyMap<number, DiskAllocation>;
}

const prefix = 'folder?';
const allocations = new Set<string>(['thin', 'thick', 'eager'] satisfies DiskAllocation[]);

export function isFolderTicket(ticketType: string): boolean {
  return ticketType.startsWith(prefix);
}

/** Reads `folder?as=copy&arrival=…&name=…&instanceUuid=…&snapshot=…&disk.2000=thin`. Throws InvalidArgument. */
export function parseFolderForm(ticketType: string): FolderForm {
  const query = new URLSearchParams(ticketType.slice(prefix.length));
  const as = query.get('as');
  const arrival = query.get('arrival') ?? '';
  const name = query.get('name') ?? '';
  const instanceUuid = query.get('instanceUuid') ?? '';
  const snapshot = query.get('snapshot');
  const copies = as === 'copy' && name !== '' && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(instanceUuid);
  if ((as !== 'move' && !copies) || !/^[0-9a-zA-Z-]{8,80}$/.test(arrival))
    throw fault('InvalidArgument', { invalidProperty: 'ticketType' }, 'It does not say what is to be sent.');
  const rooms = new Map<number, DiskAllocation>();
  for (const [key, value] of query) {
    const disk = /^disk\.(\d{1,10})$/.exec(key)?.[1];
    if (disk !== undefined && allocations.has(value)) rooms.set(Number(disk), value as DiskAllocation);
  }
  return {
    as: as === 'move' ? 'move' : 'copy',
    arrival,
    name,
    instanceUuid,
    snapshot: snapshot === null ? undefined : parseSnapshotReference({ value: snapshot }),
    allocations: rooms,
  };
}
