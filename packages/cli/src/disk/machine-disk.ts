import type { VirtualDevice, VirtualMachineSnapshotTree } from '@hypostyle/vim';
import { type NbdAddress, nbdUri } from '@hypostyle/vmdk';
import type { ServerSession } from '../connection/server-session.ts';
import { CliError } from '../errors.ts';
import { findMachine } from '../inventory/find-object.ts';
import { withName } from '../inventory/run-task.ts';

export interface MachineDiskOptions {
  /** Name, path or id. */
  readonly vm: string;
  /** Key or label; the only disk unless told. */
  readonly disk?: string;
  /** Name of a snapshot; the machine as it is unless told. */
  readonly snapshot?: string;
  readonly writable?: boolean;
  /** Id of a change, or `*`: what changed since is told as the change map `changes`. */
  readonly since?: string;
}

/** A disk of a machine that a server exports over NBD, until its clients have left. */
export interface MachineDisk {
  readonly address: NbdAddress;
  readonly exportName: string;
  readonly uri: string;
  /** SHA-1 of the server's certificate. */
  readonly thumbprint: string | undefined;
}

/** Asks a server for a disk of a machine. Throws `not-found`, `usage`, and the server's faults. */
export async function acquireMachineDisk(session: ServerSession, options: MachineDiskOptions): Promise<MachineDisk> {
  const { machine, key, snapshot } = await findMachineDisk(session, options);
  const at = snapshot === undefined ? '' : `@${snapshot.id}`;
  const since = options.since === undefined ? '' : `?since=${options.since}`;
  const ticketType = `nbd:${key}${at}${options.writable ? ':rw' : ''}${since}`;
  const ticket = await session.client.call(machine.ref, 'AcquireTicket', { ticketType }).catch((error: unknown) => {
    throw withName(machine.name, error);
  });
  const own = session.address.url.hostname.replace(/^\[|\]$/g, '');
  const { host = own, port, sslThumbprint } = ticket;
  if (port === undefined) throw new CliError('failed', 'The server does not say where it exports the disk.');
  // The server itself is trusted as it was at sign-in; another host by what the center says of it.
  const tls = host === own || !sslThumbprint ? session.tls : { thumbprint: sslThumbprint };
  const address = { host, port, tls };
  return { address, exportName: ticket.ticket, uri: nbdUri(address, ticket.ticket), thumbprint: sslThumbprint };
}

/** One disk of a machine, and the snapshot of it that is meant. */
export interface FoundMachineDisk {
  readonly machine: Awaited<ReturnType<typeof findMachine>>;
  /** Device key. */
  readonly key: number;
  readonly snapshot: VirtualMachineSnapshotTree | undefined;
}

/** Finds a disk by what a person calls it. Throws `not-found` and `usage`. */
export async function findMachineDisk(
  session: ServerSession,
  options: Pick<MachineDiskOptions, 'vm' | 'disk' | 'snapshot'>,
): Promise<FoundMachineDisk> {
  const machine = await findMachine(session, options.vm);
  const [found] = await session.client.retrieve(machine.ref, ['config', 'snapshot']);
  const key = chooseDisk(machine.name, found?.values.config?.hardware.device ?? [], options.disk);
  const trees = found?.values.snapshot?.rootSnapshotList ?? [];
  const snapshot = options.snapshot === undefined ? undefined : findSnapshot(machine.name, trees, options.snapshot);
  return { machine, key, snapshot };
}

function chooseDisk(machine: string, devices: readonly VirtualDevice[], wanted: string | undefined): number {
  const disks = devices.flatMap((device) =>
    (device as { readonly _typeName?: string })._typeName === 'VirtualDisk'
      ? [{ key: device.key, label: device.deviceInfo?.label ?? '' }]
      : [],
  );
  const names = disks.map(({ key, label }) => `${key} (${label})`).join(', ');
  const found = wanted === undefined ? disks : disks.filter(({ key, label }) => [`${key}`, label].includes(wanted));
  const [disk] = found;
  if (disk === undefined) {
    const next = names === '' ? {} : { next: `Its disks are ${names}.` };
    throw new CliError('not-found', `${machine} has no ${wanted === undefined ? 'disk' : `disk ${wanted}`}.`, next);
  }
  if (found.length > 1) {
    throw new CliError('usage', `${machine} has ${found.length} disks.`, { next: `Say which with --disk: ${names}.` });
  }
  return disk.key;
}

/** The snapshot of that name. */
function findSnapshot(
  machine: string,
  trees: readonly VirtualMachineSnapshotTree[],
  name: string,
): VirtualMachineSnapshotTree {
  const all = flat(trees);
  const found = all.filter((snapshot) => snapshot.name === name);
  const [snapshot] = found;
  if (snapshot === undefined) throw new CliError('not-found', `${machine} has no snapshot ${name}.`);
  if (found.length > 1) throw new CliError('usage', `${machine} has ${found.length} snapshots called ${name}.`);
  return snapshot;
}

function flat(trees: readonly VirtualMachineSnapshotTree[]): VirtualMachineSnapshotTree[] {
  return trees.flatMap((tree) => [tree, ...flat(tree.childSnapshotList ?? [])]);
}
