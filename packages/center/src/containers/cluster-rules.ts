import type { ClusterConfigInfoEx, ClusterRuleInfo, ManagedObjectReference } from '@hypostyle/vim';
import type { MachineDocument } from '../inventory/entity-document.ts';
import type { InventoryEdit } from '../inventory/inventory.ts';

type Machines = readonly ManagedObjectReference[];

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

/** A machine that is no more is in no rule or group of its cluster, and has no setting there. */
export function forgetInCluster(edit: InventoryEdit, { value, host }: MachineDocument): void {
  const cluster = edit.find(edit.find(host)?.parent ?? '');
  if (cluster?.type !== 'ClusterComputeResource') return;
  const before = cluster.configuration as ClusterConfigInfoEx;
  const after = withoutMachine(before, value);
  if (after !== before) edit.put({ ...cluster, configuration: after });
}

/** The same configuration where it does not speak of the machine. A rule that came with a vApp goes with it. */
function withoutMachine(before: ClusterConfigInfoEx, value: string): ClusterConfigInfoEx {
  const { rule = [], group = [], dasVmConfig = [], drsVmConfig = [], vmOrchestration = [] } = before;
  const isOther = (ref: ManagedObjectReference) => ref.value !== value;
  const leave = <T extends object>(one: T): T => {
    const { vm } = one as { readonly vm?: unknown };
    return Array.isArray(vm) && !(vm as Machines).every(isOther)
      ? { ...one, vm: (vm as Machines).filter(isOther) }
      : one;
  };
  const members = {
    rule: rule
      .map(leave)
      .filter((one, index) => one === rule[index] || one.userCreated !== false || machinesIn(one) > 1),
    group: group.map(leave),
    dasVmConfig: dasVmConfig.filter(({ key }) => isOther(key)),
    drsVmConfig: drsVmConfig.filter(({ key }) => isOther(key)),
    vmOrchestration: vmOrchestration.filter(({ vm }) => isOther(vm)),
  };
  const lists = { rule, group, dasVmConfig, drsVmConfig, vmOrchestration };
  const changed = Object.entries(members).filter(([name, list]) => {
    const old = lists[name as keyof typeof lists] as readonly unknown[];
    return list.length !== old.length || list.some((one, index) => one !== old[index]);
  });
  if (changed.length === 0) return before;
  const kept = Object.entries({ ...before, ...Object.fromEntries(changed) });
  return Object.fromEntries(
    kept.filter(([, list]) => !Array.isArray(list) || list.length > 0),
  ) as unknown as typeof before;
}

function machinesIn(rule: ClusterRuleInfo): number {
  const { vm } = rule as { readonly vm?: unknown };
  return Array.isArray(vm) ? vm.length : 0;
}
