import { type Call, fault, localizedFault, type VimFault } from '@hypostyle/vim';
import type { HostCore } from '../host-core.ts';
import { runningEngine } from './console/screenshots.ts';
import { invalidPowerState } from './power/power-work.ts';
import type { MachineRecord } from './record/machine-record.ts';

/**
 * Methods of machines whose work nobody does here, each with the fault that the interface documents for that, after
 * the state that it wants was looked at.
 */
export function unavailableMethods(core: HostCore, record: (call: Call) => MachineRecord) {
  const running = (call: Call) => runningEngine(core, record(call));
  const noFaultTolerance = (call: Call): never => {
    record(call);
    throw faultTolerance(core);
  };
  const noDisplayControl = (call: Call): never => {
    running(call);
    throw fault(
      'ToolsUnavailable',
      {},
      'Guest agents here do not set the screen; its guest does, in its own settings.',
    );
  };
  const noRecording = (call: Call): never => {
    record(call);
    throw fault('RecordReplayDisabled', {}, 'Runs of machines are not recorded here.');
  };
  const notRecorded = (call: Call): never => {
    const { powerState } = record(call);
    throw fault('InvalidState', {}, `The machine (${powerState}) is neither being recorded nor replayed.`);
  };
  const noFirstClassDisk = (call: Call, { diskId }: { readonly diskId: { readonly id: string } }): never => {
    record(call);
    throw fault('NotFound', {}, `There is no first class disk '${diskId.id.slice(0, 80)}' here.`);
  };
  return {
    SetScreenResolution: noDisplayControl,
    SetDisplayTopology: noDisplayControl,
    UpgradeTools_Task: (call: Call): never => {
      const machine = record(call);
      if (machine.powerState !== 'poweredOn') throw invalidPowerState(machine, 'poweredOn');
      if (!machine.agentConnected)
        throw fault('ToolsUnavailable', {}, 'No guest agent answers in the guest: install qemu-guest-agent there.');
      throw toolsImage();
    },
    CreateSecondaryVM_Task: noFaultTolerance,
    CreateSecondaryVMEx_Task: noFaultTolerance,
    TurnOffFaultToleranceForVM_Task: noFaultTolerance,
    MakePrimaryVM_Task: noFaultTolerance,
    TerminateFaultTolerantVM_Task: noFaultTolerance,
    DisableSecondaryVM_Task: noFaultTolerance,
    EnableSecondaryVM_Task: noFaultTolerance,
    QueryFaultToleranceCompatibility: () => [localizedFault(faultTolerance(core))],
    QueryFaultToleranceCompatibilityEx: () => [localizedFault(faultTolerance(core))],
    StartRecording_Task: noRecording,
    StartReplaying_Task: noRecording,
    StopRecording_Task: notRecorded,
    StopReplaying_Task: notRecorded,
    AttachDisk_Task: noFirstClassDisk,
    DetachDisk_Task: noFirstClassDisk,
  };
}

function toolsImage(): VimFault {
  return fault(
    'ToolsImageNotAvailable',
    {},
    "Tools come from the guest's own distribution here, and are upgraded with it; MountToolsInstaller gives it a disc that installs them.",
  );
}

function faultTolerance({ names }: HostCore): VimFault {
  return fault(
    'HostIncompatibleForFaultTolerance',
    { hostName: names.host.value, reason: 'product' },
    'Machines have no secondaries here: nothing runs twice.',
  );
}
