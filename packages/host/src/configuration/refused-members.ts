import { fault, type VirtualMachineConfigSpec } from '@hypostyle/vim';
import { invalid } from './invalid.ts';
import { memberOf } from './settings.ts';

type Harmless = (value: unknown) => boolean;

const never: Harmless = () => false;
const off = only(false);
const empty: Harmless = (value) => Array.isArray(value) && value.length === 0;

function only(...values: readonly (string | number | boolean)[]): Harmless {
  return (value) => values.includes(typeof value === 'bigint' ? Number(value) : (value as string));
}

/**
 * Members of a spec that ask for what is not done here, with the values that ask for nothing: clients give back what
 * they read. Any other value is refused rather than forgotten.
 */
export const refusedMembers: Readonly<Record<string, Harmless>> = {
  npivNodeWorldWideName: empty,
  npivPortWorldWideName: empty,
  npivWorldWideNameType: only(''),
  npivDesiredNodeWwns: only(0),
  npivDesiredPortWwns: only(0),
  npivTemporaryDisabled: only(true),
  npivOnNonRdmDisks: off,
  npivWorldWideNameOp: only('remove'),
  'files.ftMetadataDirectory': only(''),
  'flags.disableAcceleration': off,
  'flags.useToe': off,
  'flags.runWithDebugInfo': off,
  'flags.monitorType': only('release'),
  'flags.snapshotPowerOffBehavior': only('powerOff'),
  'flags.recordReplayEnabled': off,
  'flags.faultToleranceType': only('unset'),
  'flags.cbrcCacheEnabled': off,
  'flags.vvtdEnabled': off,
  'flags.vbsEnabled': off,
  'bootOptions.networkBootProtocol': only('ipv4'),
  'latencySensitivity.sensitivity': only(0, -1),
  'tools.customizationKeyId': never,
  rebootPowerOff: off,
  vcpuConfig: empty,
  virtualICH7MPresent: off,
  virtualSMCPresent: off,
  cpuAffinity: noAffinity,
  memoryAffinity: noAffinity,
  networkShaper: never,
  cpuFeatureMask: empty,
  ftInfo: never,
  repConfig: never,
  vAssertsEnabled: off,
  nestedHVEnabled: off,
  vPMCEnabled: off,
  'scheduledHardwareUpgradeInfo.upgradePolicy': only('never'),
  vmProfile: noProfile,
  messageBusTunnelEnabled: off,
  crypto: (value) => (value as { readonly _typeName?: string })._typeName === 'CryptoSpecNoOp',
  migrateEncryption: only('disabled', 'opportunistic'),
  sgxInfo: (value) => Number((value as { readonly epcSize?: unknown }).epcSize ?? 0) === 0,
  ftEncryptionMode: only('ftEncryptionDisabled', 'ftEncryptionOpportunistic'),
  guestMonitoringModeInfo: (value) =>
    ['', 'disabled', undefined].includes((value as { readonly gmmFile?: string }).gmmFile),
  sevEnabled: off,
  virtualNuma: (value) => Number((value as { readonly coresPerNumaNode?: unknown }).coresPerNumaNode ?? 0) === 0,
  motherboardLayout: only('i440bxHostBridge'),
  pmemFailoverEnabled: off,
  vmxStatsCollectionEnabled: off,
  vmOpNotificationToAppEnabled: off,
  vmOpNotificationTimeout: only(0),
  deviceSwap: never,
  simultaneousThreads: only(0, 1),
  pmem: never,
  deviceGroups: never,
  fixedPassthruHotPlugEnabled: off,
  metroFtEnabled: off,
  metroFtHostGroup: only(''),
};

/** Members that say what is so, and nothing that could be asked for: they are read, and given back by clients. */
export const readOnlyMembers: ReadonlySet<string> = new Set([
  'tools.toolsVersion',
  'tools.toolsInstallType',
  'tools.pendingCustomization',
  'tools.lastInstallInfo',
  'powerOpInfo.defaultPowerOffType',
  'powerOpInfo.defaultSuspendType',
  'powerOpInfo.defaultResetType',
  'scheduledHardwareUpgradeInfo.versionKey',
  'scheduledHardwareUpgradeInfo.scheduledHardwareUpgradeStatus',
  'scheduledHardwareUpgradeInfo.fault',
]);

/** Throws NotSupported for what a spec asks for and nobody does. */
export function refuseMembers(spec: VirtualMachineConfigSpec): void {
  for (const [member, harmless] of Object.entries(refusedMembers)) {
    const value = memberOf(spec, member);
    if (value === undefined || value === null || harmless(value)) continue;
    throw fault('NotSupported', {}, `configSpec.${member} is not supported here with this value.`);
  }
}

/** The folders of a machine are its own: what a client says of them is checked, and changes nothing. */
export function checkFiles(spec: VirtualMachineConfigSpec, vmPathName: string): void {
  const folder = vmPathName.slice(0, Math.max(vmPathName.lastIndexOf('/'), vmPathName.indexOf(']')) + 1);
  const same = (path: string | undefined, own: string) =>
    path === undefined || path === '' || path.replace(/[/ ]+$/, '') === own.replace(/[/ ]+$/, '');
  const files = spec.files ?? {};
  if (!same(files.vmPathName, vmPathName)) throw invalid('files.vmPathName', 'a machine is moved by RelocateVM_Task');
  for (const member of ['snapshotDirectory', 'suspendDirectory', 'logDirectory'] as const) {
    if (!same(files[member], folder)) {
      throw fault('NotSupported', {}, `configSpec.files.${member}: everything of a machine is in its own folder here.`);
    }
  }
}

function noAffinity(value: unknown): boolean {
  const { affinitySet } = value as { readonly affinitySet?: readonly number[] };
  return affinitySet === undefined || affinitySet.length === 0;
}

/** The storage policy that everything has; others are not known here. */
function noProfile(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.every((profile: { readonly _typeName?: string }) =>
      /^VirtualMachine(Default|Empty)ProfileSpec$/.test(profile._typeName ?? ''),
    )
  );
}
