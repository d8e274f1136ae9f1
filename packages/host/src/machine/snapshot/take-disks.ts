import { join } from 'node:path';
import { type DiskOverlay, HypervisorError, type RunningMachine } from '@hypostyle/contracts';
import { deltaFiles, splitPath } from '@hypostyle/services';
import type { RunningTask } from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import { generationName } from '../changes/change-id.ts';
import { diskPath } from '../files/machine-files.ts';
import { diskIdOf } from '../power/hardware.ts';
import { isThere } from '../power/memory-image.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import type { CreateJournal, CreateSnapshotInput, CreateWork } from './create-work.ts';

/** What came of asking an engine to go on with deltas. */
export interface Taken {
  /** The guest held its file systems meanwhile. */
  readonly quiesced: boolean;
  /** Nobody knows what was written since: an engine that was asked ended meanwhile, or there is none any more. */
  readonly lost: boolean;
}

interface DiskWork {
  readonly core: HostCore;
  readonly task: RunningTask;
  readonly machine: MachineRecord;
  readonly plan: CreateJournal;
  readonly input: CreateSnapshotInput;
  /** An earlier process may have done some of it. */
  readonly isAgain: boolean;
}

/** Has a running engine go on with the deltas. Rejects with the driver's errors: then none of the disks has one. */
export async function takeDisks({ core, task, machine, plan, input, isAgain }: DiskWork): Promise<Taken> {
  const engine = core.machines.engine(machine.id);
  if (engine === undefined) return { quiesced: false, lost: isAgain };
  if (engine.state === 'stopped') return { quiesced: false, lost: true };
  const overlays = overlaysOf(machine, plan);
  let thaw: (() => Promise<void>) | undefined;
  try {
    if (isAgain && input.quiesce) {
      await letGoAgain(core, engine);
      // The moment is over: nothing is held for it any more.
      if (overlays.length > 0 && (await engine.hasOverlays(overlays)))
        return { quiesced: plan.quiesced ?? false, lost: false };
    }
    thaw = input.quiesce ? await freeze(engine, input) : undefined;
    if (thaw !== undefined) await task.journal({ ...plan, quiesced: true } satisfies CreateJournal);
    await engine.snapshotDisks(overlays);
    return { quiesced: thaw !== undefined, lost: false };
  } catch (error) {
    // One that ended meanwhile has its disks as the `.vmx` says.
    if (error instanceof HypervisorError && error.code === 'not-running') return { quiesced: false, lost: true };
    throw error;
  } finally {
    if (thaw !== undefined) await letGo(core, thaw);
  }
}

/**
 * Has a running engine go on with the deltas, and keep its memory of that moment. Rejects with `memory-failed`, or
 * `not-running`: the disks have their deltas then; with other errors of the driver they have not.
 */
export async function takeMachine({ core, task, machine }: CreateWork, plan: CreateJournal): Promise<Taken> {
  const { datastore, vmxPath } = machine;
  const engine = core.machines.engine(machine.id);
  const path = join(datastore.absolute(splitPath(vmxPath).folder), plan.entry.memoryFile ?? '');
  if (engine === undefined || engine.state === 'stopped') {
    if (await isThere(path)) return { quiesced: false, lost: true };
    throw new HypervisorError('not-running', 'The machine ended before its memory was kept.');
  }
  const { background } = await engine.snapshotMachine({
    overlays: overlaysOf(machine, plan),
    path,
    onProgress: (fraction) => task.progress(10 + fraction * 75),
  });
  if (!background) {
    const message = `The guest stood still until its memory was written: this host's engine cannot keep it beside the running guest.`;
    core.registry.commit((draft) =>
      task.post(draft, { type: 'GeneralVmWarningEvent', entity: machine.ref, members: { message } }),
    );
  }
  return { quiesced: false, lost: false };
}

export function overlaysOf({ datastore, vmxPath, configuration }: MachineRecord, plan: CreateJournal): DiskOverlay[] {
  return plan.deltas.flatMap(({ key, name }) => {
    const disk = configuration.disks.find((one) => one.key === key);
    if (disk === undefined) return [];
    const [, path] = deltaFiles(diskPath(datastore, vmxPath, name));
    const begun = plan.generations.find((planned) => planned.key === key);
    const generation = begun === undefined ? {} : { generation: generationName(begun.generation) };
    return [{ diskId: diskIdOf(configuration, disk), layer: { format: 'qcow2', path }, ...generation }];
  });
}

/** The flag is for guests whose agent answers: for others it is ignored, as the specification has it. */
async function freeze(
  engine: RunningMachine,
  { quiesceTimeoutMs }: CreateSnapshotInput,
): Promise<(() => Promise<void>) | undefined> {
  try {
    return await engine.freezeGuest(quiesceTimeoutMs === undefined ? {} : { timeoutMs: quiesceTimeoutMs });
  } catch (error) {
    if (error instanceof HypervisorError && error.code === 'guest-agent-absent') return undefined;
    throw error;
  }
}

/** Nothing of an earlier process is held any more. A guest without an agent has held nothing. */
export async function letGoAgain(core: HostCore, engine: RunningMachine | undefined): Promise<void> {
  await letGo(core, async () => {
    await engine?.thawGuest().catch((error: unknown) => {
      if (!(error instanceof HypervisorError && error.code === 'guest-agent-absent')) throw error;
    });
  });
}

async function letGo(core: HostCore, thaw: () => Promise<void>): Promise<void> {
  await thaw().catch((error: unknown) => core.onDefect('a guest that held its file systems', error));
}
