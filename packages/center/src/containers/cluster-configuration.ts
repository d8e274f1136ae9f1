import { randomUUID } from 'node:crypto';
import {
  type ArrayUpdateSpec,
  type ClusterConfigInfoEx,
  type ClusterConfigSpec,
  type ClusterConfigSpecEx,
  type ClusterRuleInfo,
  type ComputeResourceConfigInfo,
  type ComputeResourceConfigSpec,
  data,
  fault,
  type ManagedObjectReference,
} from '@hypostyle/vim';
import type { InventoryEdit } from '../inventory/inventory.ts';

const mostEntries = 1_000;

/** What a new cluster has where its spec says nothing: no availability, no balancing. */
function plainCluster(): ClusterConfigInfoEx {
  return data('ClusterConfigInfoEx', {
    vmSwapPlacement: 'vmDirectory',
    spbmEnabled: false,
    dasConfig: data('ClusterDasConfigInfo', {
      enabled: false,
      vmMonitoring: 'vmMonitoringDisabled',
      hostMonitoring: 'enabled',
      vmComponentProtecting: 'disabled',
      failoverLevel: 1,
      admissionControlPolicy: data('ClusterFailoverLevelAdmissionControlPolicy', { failoverLevel: 1 }),
      admissionControlEnabled: true,
      defaultVmSettings: data('ClusterDasVmSettings', {
        restartPriority: 'medium',
        restartPriorityTimeout: -1,
        isolationResponse: 'none',
        vmToolsMonitoringSettings: data('ClusterVmToolsMonitoringSettings', {
          enabled: false,
          vmMonitoring: 'vmMonitoringDisabled',
          clusterSettings: false,
          failureInterval: 30,
          minUpTime: 120,
          maxFailures: 3,
          maxFailureWindow: -1,
        }),
      }),
      hBDatastoreCandidatePolicy: 'allFeasibleDsWithUserPreference',
    }),
    drsConfig: data('ClusterDrsConfigInfo', {
      enabled: false,
      enableVmBehaviorOverrides: true,
      defaultVmBehavior: 'fullyAutomated',
      vmotionRate: 3,
      scaleDescendantsShares: 'disabled',
    }),
    dpmConfigInfo: data('ClusterDpmConfigInfo', {
      enabled: false,
      defaultDpmBehavior: 'automated',
      hostPowerActionRate: 3,
    }),
    orchestration: data('ClusterOrchestrationInfo', {
      defaultVmReadiness: data('ClusterVmReadiness', { readyCondition: 'none', postReadyDelay: 0 }),
    }),
    infraUpdateHaConfig: data('ClusterInfraUpdateHaConfigInfo', {
      enabled: false,
      behavior: 'Manual',
      moderateRemediation: 'QuarantineMode',
      severeRemediation: 'QuarantineMode',
    }),
    proactiveDrsConfig: data('ClusterProactiveDrsConfigInfo', { enabled: false }),
    vsanConfigInfo: data('VsanClusterConfigInfo', {
      enabled: false,
      defaultConfig: data('VsanClusterConfigInfoHostDefaultInfo', { autoClaimStorage: false }),
    }),
  });
}

type AnySpec = ClusterConfigSpec | ClusterConfigSpecEx | ComputeResourceConfigSpec;

/**
 * The configuration of a cluster that a spec makes: of `before` where it changes it, whole where there is none. Throws
 * InvalidArgument for lists that name what is not there, or is there already; NotSupported for vSAN.
 */
export function clusterConfiguration(
  edit: Pick<InventoryEdit, 'find'>,
  before: ClusterConfigInfoEx | undefined,
  given: AnySpec,
): ClusterConfigInfoEx {
  const spec = given as ClusterConfigSpecEx;
  const plain = plainCluster();
  const base = before ?? plain;
  if (spec.vsanConfig?.enabled === true) throw fault('NotSupported', {}, 'There is no vSAN.');
  const list = <Info extends object>(
    member: keyof ClusterConfigInfoEx,
    changes: readonly (ArrayUpdateSpec & { readonly info?: Info | undefined })[] | undefined,
    keyOf: (info: Info) => string | number | undefined,
  ) => {
    const entries = updated((base[member] ?? []) as readonly Info[], changes ?? [], { member, keyOf });
    return entries.length === 0 ? {} : { [member]: entries };
  };
  const machine = (member: string) => (info: { readonly key?: unknown; readonly vm?: unknown }) => {
    const ref = (info.key ?? info.vm) as ManagedObjectReference;
    if (edit.find(ref.value)?.type !== 'VirtualMachine') throw invalid(member, `there is no machine ${ref.value}`);
    return ref.value;
  };
  for (const { info } of spec.rulesSpec ?? []) {
    const { vm } = (info ?? {}) as { readonly vm?: unknown };
    if (Array.isArray(vm)) for (const ref of vm) machine('rulesSpec')({ key: ref });
  }
  return data('ClusterConfigInfoEx', {
    ...computeMembers(base, spec),
    dasConfig: merged(base.dasConfig, spec.dasConfig),
    drsConfig: merged(base.drsConfig, spec.drsConfig),
    dpmConfigInfo: merged(base.dpmConfigInfo, spec.dpmConfig),
    orchestration: merged(base.orchestration, spec.orchestration),
    infraUpdateHaConfig: merged(base.infraUpdateHaConfig, spec.infraUpdateHaConfig),
    proactiveDrsConfig: merged(base.proactiveDrsConfig, spec.proactiveDrsConfig),
    // Clients read it without a question, and learn that it is off.
    ...defined({ vsanConfigInfo: plain.vsanConfigInfo }),
    ...list('dasVmConfig', spec.dasVmConfigSpec, machine('dasVmConfigSpec')),
    ...list('drsVmConfig', spec.drsVmConfigSpec, machine('drsVmConfigSpec')),
    ...list('vmOrchestration', spec.vmOrchestrationSpec, machine('vmOrchestrationSpec')),
    ...list('dpmHostConfig', spec.dpmHostConfigSpec, ({ key }) => key.value),
    ...list('group', spec.groupSpec, ({ name }) => name),
    ...list('rule', numbered(base.rule ?? [], spec.rulesSpec ?? []), ({ key }) => key),
  });
}

/** The configuration of a host alone. */
export function computeConfiguration(
  before: ComputeResourceConfigInfo | undefined,
  spec: ComputeResourceConfigSpec,
): ComputeResourceConfigInfo {
  const base = before ?? data('ComputeResourceConfigInfo', { vmSwapPlacement: 'vmDirectory' });
  return data('ComputeResourceConfigInfo', computeMembers(base, spec));
}

function computeMembers(base: ComputeResourceConfigInfo, spec: ComputeResourceConfigSpec): ComputeResourceConfigInfo {
  const { vmSwapPlacement, spbmEnabled, defaultHardwareVersionKey, maximumHardwareVersionKey } = spec;
  if (vmSwapPlacement !== undefined && !['vmDirectory', 'hostLocal'].includes(vmSwapPlacement))
    throw invalid('vmSwapPlacement', 'it is vmDirectory or hostLocal');
  const { vmSwapPlacement: swap, spbmEnabled: policies } = base;
  const versions = {
    defaultHardwareVersionKey: defaultHardwareVersionKey ?? base.defaultHardwareVersionKey,
    maximumHardwareVersionKey: maximumHardwareVersionKey ?? base.maximumHardwareVersionKey,
  };
  return {
    vmSwapPlacement: vmSwapPlacement ?? swap,
    spbmEnabled: spbmEnabled ?? policies ?? false,
    ...defined(versions),
  };
}

/** Members that a change leaves out stay as they are, at every depth; lists are replaced. */
function merged<T>(before: T, change: T | undefined): T {
  if (change === undefined) return before;
  if (typeof before !== 'object' || before === null || Array.isArray(before) || Array.isArray(change)) return change;
  const tags = [before, change].map((value) => (value as { _typeName?: string })._typeName);
  if (tags[1] !== undefined && tags[0] !== tags[1]) return change;
  const result = { ...before } as Record<string, unknown>;
  for (const [name, value] of Object.entries(change as object))
    if (value !== undefined) result[name] = merged(result[name], value);
  return result as T;
}

interface Change<Info> extends ArrayUpdateSpec {
  readonly info?: Info | undefined;
}

function updated<Info extends object>(
  before: readonly Info[],
  changes: readonly Change<Info>[],
  { member, keyOf }: { readonly member: string; readonly keyOf: (info: Info) => string | number | undefined },
): Info[] {
  const keyed = (info: Info) => String(keyOf(info));
  const entries = new Map(before.map((info) => [rawKey(info), info]));
  for (const { operation, info, removeKey } of changes) {
    if (operation === 'remove') {
      if (!entries.delete(plainKey(removeKey))) throw invalid(member, 'what is removed is not there');
      continue;
    }
    if (info === undefined) throw invalid(member, 'info is unset');
    const key = keyed(info);
    if (entries.has(key) !== (operation === 'edit'))
      throw invalid(member, operation === 'edit' ? `${key} is not there` : `${key} is there already`);
    entries.set(key, operation === 'edit' ? merged(entries.get(key) as Info, info) : info);
    if (entries.size > mostEntries) throw invalid(member, `there would be over ${mostEntries}`);
  }
  return [...entries.values()];
}

/** The key of an entry that is there, whatever its list. */
function rawKey(info: object): string {
  const { key, vm, name } = info as { key?: unknown; vm?: unknown; name?: unknown };
  // A group of machines has them in `vm`, and is known by its name.
  return plainKey(key ?? (Array.isArray(vm) ? undefined : vm) ?? name);
}

function plainKey(key: unknown): string {
  if (typeof key !== 'object' || key === null) return String(key);
  return '_value' in key ? String(key._value) : String((key as { value?: unknown }).value);
}

/** New rules get a key and an identity of their own. */
function numbered(
  before: readonly ClusterRuleInfo[],
  changes: readonly Change<ClusterRuleInfo>[],
): readonly Change<ClusterRuleInfo>[] {
  let last = Math.max(0, ...before.map(({ key }) => key ?? 0), ...changes.map(({ info }) => info?.key ?? 0));
  return changes.map((change) => {
    if (change.operation !== 'add' || change.info === undefined) return change;
    const { info } = change;
    const free = info.key !== undefined && info.key > 0;
    if (!free) last += 1;
    const fresh = { key: free ? info.key : last, ruleUuid: info.ruleUuid ?? randomUUID(), status: 'green' as const };
    return { ...change, info: { enabled: true, userCreated: true, mandatory: false, ...defined(info), ...fresh } };
  });
}

function defined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T;
}

function invalid(property: string, reason: string) {
  return fault('InvalidArgument', { invalidProperty: `spec.${property}` }, `spec.${property} is invalid: ${reason}.`);
}
