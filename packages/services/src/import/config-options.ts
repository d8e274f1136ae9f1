import type { HardwareDescription, ResourceAllocation } from '@hypostyle/ovf';
import { data, type OptionValue, type ResourceAllocationInfo, type VirtualMachineConfigSpec } from '@hypostyle/vim';

const flag = (value: string | undefined): boolean | undefined =>
  value === undefined ? undefined : value.trim().toLowerCase() === 'true';

/** What `vmw:Config` of a hardware section says that vim25 has a place for. */
export function configOptions({ config, firmware, secureBoot }: HardwareDescription): VirtualMachineConfigSpec {
  const vbsEnabled = flag(config['flags.vbsEnabled']);
  const syncTimeWithHost = flag(config['tools.syncTimeWithHost']);
  return data('VirtualMachineConfigSpec', {
    firmware,
    ...(secureBoot ? { bootOptions: data('VirtualMachineBootOptions', { efiSecureBootEnabled: true }) } : {}),
    ...present('cpuHotAddEnabled', flag(config.cpuHotAddEnabled)),
    ...present('cpuHotRemoveEnabled', flag(config.cpuHotRemoveEnabled)),
    ...present('memoryHotAddEnabled', flag(config.memoryHotAddEnabled)),
    ...present('nestedHVEnabled', flag(config.nestedHVEnabled)),
    ...(vbsEnabled === undefined ? {} : { flags: data('VirtualMachineFlagInfo', { vbsEnabled }) }),
    ...(syncTimeWithHost === undefined ? {} : { tools: data('ToolsConfigInfo', { syncTimeWithHost }) }),
  });
}

export function extraOptions(extraConfig: Readonly<Record<string, string>>): OptionValue[] {
  return Object.entries(extraConfig).map(([key, value]) => data('OptionValue', { key, value }));
}

/** Shares of the host, where the descriptor says any. CPU in MHz, memory in MiB. */
export function allocationInfo({ reservation, limit, weight }: ResourceAllocation): ResourceAllocationInfo | undefined {
  if (reservation === undefined && limit === undefined && weight === undefined) return undefined;
  return data('ResourceAllocationInfo', {
    ...present('reservation', reservation),
    ...present('limit', limit),
    ...(weight === undefined ? {} : { shares: data('SharesInfo', { shares: weight, level: 'custom' }) }),
  });
}

function present<Key extends string, Value>(key: Key, value: Value | undefined): { [K in Key]?: Value } {
  return (value === undefined ? {} : { [key]: value }) as { [K in Key]?: Value };
}
