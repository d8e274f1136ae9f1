import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { customizationDisc, customize } from '@hypostyle/services';
import { type CustomizationSpec, fromDocument, type RunningTask, toDocument } from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import { privatePath, readBounded, writePrivate } from '../../vapp/vapp-file.ts';
import type { MachineRecord } from '../record/machine-record.ts';

/** What a guest is still to be told, or was told and has not shown yet. */
interface PendingCustomization {
  readonly spec: unknown;
  readonly instanceId: string;
  readonly state: 'pending' | 'started';
  readonly hostName?: string | undefined;
}

type Place = Pick<MachineRecord, 'datastore' | 'vmxPath'>;

const fileName = 'customization.json';
/** The medium of a run: a private file of the machine's folder. */
export const customizationDiscFile = 'customization.iso';
const maximumBytes = 2 << 20;

/** Has a machine's guest be told at the next start. Durable when it resolves; the last word counts. */
export async function putCustomization({ datastore, vmxPath }: Place, spec: CustomizationSpec): Promise<void> {
  await write({ datastore, vmxPath }, { spec: toDocument(spec), instanceId: `hypo-${randomUUID()}`, state: 'pending' });
}

/** The medium for the start that is under way; undefined where the guest is told nothing. Throws CustomizationFault. */
export async function customizationAtStart(machine: MachineRecord): Promise<string | undefined> {
  const { datastore, vmxPath, configuration } = machine;
  const disc = privatePath(datastore, vmxPath, customizationDiscFile);
  const pending = await read(machine);
  // What was told once is not told again: the guest would do it anew.
  if (pending?.state !== 'pending') {
    await rm(disc, { force: true });
    return undefined;
  }
  const told = customize(
    fromDocument<CustomizationSpec>(pending.spec),
    { name: configuration.name, adapters: configuration.nics },
    pending.instanceId,
  );
  await writePrivate(disc, customizationDisc(told));
  await write(machine, { ...pending, hostName: told.hostName });
  return disc;
}

/** The medium of a machine that goes on from its memory, which had it. */
export async function customizationOfRun({ datastore, vmxPath }: Place): Promise<string | undefined> {
  const disc = privatePath(datastore, vmxPath, customizationDiscFile);
  return readBounded(disc, maximumBytes).then(
    () => disc,
    () => undefined,
  );
}

/** The guest has the medium. */
export async function customizationStarted(core: HostCore, task: RunningTask, machine: MachineRecord): Promise<void> {
  const pending = await read(machine);
  if (pending?.state !== 'pending') return;
  await write(machine, { ...pending, state: 'started' });
  core.registry.commit((draft) =>
    task.post(draft, { type: 'CustomizationStartedEvent', entity: machine.ref, members: { template: false } }),
  );
}

/** The guest's agent says what the guest calls itself: as it was told, it did what it was told. */
export async function customizationSeen(core: HostCore, machine: MachineRecord, hostName: string): Promise<void> {
  const pending = await read(machine);
  if (pending?.state !== 'started' || pending.hostName === undefined) return;
  if (hostName.split('.')[0]?.toLowerCase() !== pending.hostName.split('.')[0]?.toLowerCase()) return;
  await rm(privatePath(machine.datastore, machine.vmxPath, fileName), { force: true });
  core.events.post(undefined, { type: 'CustomizationSucceeded', entity: machine.ref, members: { template: false } });
}

async function read({ datastore, vmxPath }: Place): Promise<PendingCustomization | undefined> {
  let text: string;
  try {
    text = (await readBounded(privatePath(datastore, vmxPath, fileName), maximumBytes)).toString('utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const pending = JSON.parse(text) as PendingCustomization;
    return typeof pending.instanceId === 'string' ? pending : undefined;
  } catch {
    // A folder that was brought may have anything there.
    return undefined;
  }
}

async function write({ datastore, vmxPath }: Place, pending: PendingCustomization) {
  await writePrivate(privatePath(datastore, vmxPath, fileName), JSON.stringify(pending));
}
