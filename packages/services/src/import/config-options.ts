import type { HardwareDescription, ResourceAllocation } from '@hypostyle/ovf';
import { data, type OptionValue, type ResourceAllocationInfo, type VirtualMachineConfigSpec } from '@hypostyle/vim';
import { settingsOfConfig } from './machine-settings.ts';

const uuidPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** What `vmw:Config` of a hardware section says that vim25 has a place for. */
export function configOptions({ config, firmware }: HardwareDescription): VirtualMachineConfigSpec {
  // Of a package that was exported with the option `uuid`.
  const uuid = config.uuid?.trim().toLowerCase();
  return data('VirtualMachineConfigSpec', {
    firmware,
    ...settingsOfConfig(config),
    ...(uuid !== undefined && uuidPattern.test(uuid) ? { uuid } : {}),
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
