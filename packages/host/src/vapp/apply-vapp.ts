import { changedVApp } from '@hypostyle/services';
import type { VirtualMachineConfigSpec, VmConfigInfo } from '@hypostyle/vim';
import { invalid } from '../configuration/invalid.ts';

/**
 * The vApp configuration after a spec: what it was, or undefined when there is none. Throws `InvalidArgument` with the
 * member, InvalidPropertyType, InvalidPropertyValue and NotUserConfigurableProperty.
 */
export function applyVApp(before: VmConfigInfo | undefined, spec: VirtualMachineConfigSpec): VmConfigInfo | undefined {
  const change = spec.vAppConfig;
  if (spec.vAppConfigRemoved === true) {
    if (change !== undefined) throw invalid('vAppConfigRemoved', 'vAppConfig is set too');
    return undefined;
  }
  if (change === undefined) return before;
  return changedVApp(before, change, (member, reason) =>
    invalid(member === '' ? 'vAppConfig' : `vAppConfig.${member}`, reason),
  );
}
