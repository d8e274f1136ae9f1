import { fault, type VirtualMachineGuestQuiesceSpec, type VirtualMachineWindowsQuiesceSpec } from '@hypostyle/vim';
import type { CreateSnapshotInput } from './create-work.ts';

/** Minutes that a guest may be given (`VirtualMachineGuestQuiesceSpec.timeout`). */
const shortestMinutes = 5;
const longestMinutes = 240;

/**
 * What `CreateSnapshotEx_Task` asks of the guest; without a spec, nothing. Throws InvalidArgument for a time out of
 * range, and NotSupported for what a guest's agent is not told.
 */
export function quiesceOf(
  spec: VirtualMachineGuestQuiesceSpec | undefined,
): Pick<CreateSnapshotInput, 'quiesce' | 'quiesceTimeoutMs'> {
  if (spec === undefined) return { quiesce: false };
  const { timeout } = spec;
  if (timeout !== undefined && (timeout < shortestMinutes || timeout > longestMinutes)) {
    throw fault(
      'InvalidArgument',
      { invalidProperty: 'quiesceSpec.timeout' },
      `A guest may be given ${shortestMinutes} to ${longestMinutes} minutes.`,
    );
  }
  const windows = spec as Partial<VirtualMachineWindowsQuiesceSpec>;
  for (const member of ['vssBackupType', 'vssBootableSystemState', 'vssPartialFileSupport'] as const) {
    if (windows[member] !== undefined)
      throw fault('NotSupported', {}, `The guest's agent decides itself; it is not told quiesceSpec.${member}.`);
  }
  const context = windows.vssBackupContext;
  if (context !== undefined && context !== 'ctx_auto')
    throw fault('NotSupported', {}, `The guest's agent decides itself; it is not told ${context}.`);
  return { quiesce: true, ...(timeout === undefined ? {} : { quiesceTimeoutMs: timeout * 60_000 }) };
}
