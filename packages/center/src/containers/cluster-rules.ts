import type { ClusterConfigInfoEx, ClusterRuleInfo, ManagedObjectReference } from '@hypostyle/vim';

/** ClusterComputeResource.FindRulesForVm: rules that name the machine, or a group that it is in. */
export function rulesOf(
  { rule = [], group = [] }: ClusterConfigInfoEx,
  { value }: ManagedObjectReference,
): ClusterRuleInfo[] {
  const holds = (machines: unknown) =>
    Array.isArray(machines) && (machines as ManagedObjectReference[]).some((machine) => machine.value === value);
  const groups = new Set(group.filter((each) => holds((each as { vm?: unknown }).vm)).map(({ name }) => name));
  return rule.filter((each) => {
    const { vm, vmGroupName, dependsOnVmGroup, vmGroup } = each as {
      vm?: unknown;
      vmGroupName?: string;
      dependsOnVmGroup?: string;
      vmGroup?: string;
    };
    return holds(vm) || [vmGroupName, dependsOnVmGroup, vmGroup].some((name) => name !== undefined && groups.has(name));
  });
}
