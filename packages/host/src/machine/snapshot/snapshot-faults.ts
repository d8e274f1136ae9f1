import { HypervisorError } from '@hypostyle/contracts';
import { faults } from '@hypostyle/services';
import { fault, VimFault } from '@hypostyle/vim';
import { setting } from '../../configuration/settings.ts';
import { sharedDiskFault } from '../../configuration/shared-disk.ts';
import { HostError } from '../../errors.ts';
import type { MachineRecord } from '../record/machine-record.ts';

/** What a snapshot's work failed with, in the specification's words. */
export function snapshotFault(error: unknown, { datastore, vmxPath }: MachineRecord): VimFault {
  if (error instanceof VimFault) return error;
  const message = datastore.shown(error instanceof Error ? error.message : String(error));
  const code = systemCodeOf(error);
  const file = datastore.format(vmxPath);
  if (isWithoutRoom(error)) return faults.noSpace(file, datastore.name, error);
  if (error instanceof HostError && error.code === 'snapshots-invalid')
    return fault('InvalidSnapshotFormat', {}, message, { cause: error });
  if (error instanceof HypervisorError && error.code === 'quiesce-failed')
    return fault('FilesystemQuiesceFault', {}, message, { cause: error });
  if (code !== undefined || (error instanceof Error && error.name === 'VmdkError'))
    return fault('FileFault', { file }, message, { cause: error });
  if (error instanceof HypervisorError) return fault('SnapshotFault', {}, message, { cause: error });
  return fault('SystemError', { reason: message.slice(0, 2000) }, message, { cause: error });
}

/** Whether something failed for want of room; what tools and engines say of that is in their last words only. */
export function isWithoutRoom(error: unknown): boolean {
  const code = systemCodeOf(error);
  if (code === 'ENOSPC' || code === 'EDQUOT') return true;
  return error instanceof HypervisorError && /no space left|disk quota exceeded/i.test(error.message);
}

/** The operating system's code of an error, or of what it came from. */
function systemCodeOf(error: unknown): string | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth += 1) {
    const { code } = at as NodeJS.ErrnoException;
    if (typeof code === 'string' && /^E[A-Z0-9]+$/.test(code)) return code;
  }
  return undefined;
}

/** Throws what stands in the way of any work with a machine's snapshots. */
export function checkSnapshots(machine: MachineRecord): void {
  if (machine.problem !== undefined) throw fault('InvalidVmConfig', {}, machine.problem);
  if (machine.snapshots.problem !== undefined) throw fault('InvalidSnapshotFormat', {}, machine.snapshots.problem);
  if (machine.configuration.template) throw fault('InvalidState', {}, 'The machine is a template.');
}

/**
 * Throws where the machine's flags say that there are to be no snapshots, or no more, and where others write a disk that
 * a snapshot would hold.
 */
export function mustTakeSnapshots({ configuration }: MachineRecord): void {
  if (setting(configuration, 'snapshotDisabled'))
    throw fault('SnapshotDisabled', {}, 'Snapshots of this machine are switched off (flags.snapshotDisabled).');
  if (setting(configuration, 'snapshotLocked'))
    throw fault('SnapshotLocked', {}, 'The snapshots of this machine are locked (flags.snapshotLocked).');
  const cause = sharedDiskFault(configuration, 'no snapshot holds it', ({ mode }) => mode === 'persistent');
  if (cause === undefined) return;
  const localized = { _typeName: 'LocalizedMethodFault', fault: cause.detail, localizedMessage: cause.message };
  throw fault(
    'SnapshotIncompatibleDeviceInVm',
    { fault: localized },
    `${cause.message} Make it independent, or detach it.`,
  );
}
