import {
  type Envelope,
  OvfError,
  parseSection,
  placementGroups,
  placementPolicy,
  type UnknownSection,
} from '@hypostyle/ovf';
import {
  type ImportSpec,
  isData,
  type VAppOvfSectionSpec,
  type VimFault,
  type VirtualAppImportSpec,
  type VirtualMachineImportSpec,
} from '@hypostyle/vim';
import { ovfFaults } from './ovf-faults.ts';

/** A placement group of an import that becomes a rule of the cluster. */
export interface ImportedPlacement {
  /** Name of the group, with that of the vApp before it. */
  readonly name: string;
  /** `affinity`: on one host; `availability`: each on another. */
  readonly kind: 'affinity' | 'availability';
  /** Two at least. */
  readonly machines: readonly VirtualMachineImportSpec[];
}

/** What a rule between hosts cannot do for the placement groups of a package, for who imports it. */
export function placementRemarks(envelope: Envelope, noRules: string | undefined): VimFault[] {
  return placementGroups(envelope).flatMap(({ section, systems }) => {
    const policy = placementPolicy(section.policy);
    const group = `The placement group '${section.id}' (${section.policy ?? 'no policy'})`;
    if (systems.length < 2) return [];
    if (policy === undefined) return [ovfFaults.remark(`${group} is kept and not followed: the policy is not known.`)];
    if (noRules !== undefined) return [ovfFaults.remark(`${group} is kept and not followed: ${noRules}`)];
    if (policy.scope === 'host') return [];
    const how =
      policy.kind === 'affinity'
        ? 'is kept and not followed: where the hosts stand is not known.'
        : 'becomes a rule that keeps the machines on different hosts: where those stand is not known.';
    return [ovfFaults.remark(`${group} ${how}`)];
  });
}

/** The placement groups of a vApp that is imported, from the sections that its specification keeps of the package. */
export function importedPlacements(spec: ImportSpec): ImportedPlacement[] {
  if (!isData('VirtualAppImportSpec', spec)) return [];
  const vApp = spec as VirtualAppImportSpec;
  const members = new Map<string, VirtualMachineImportSpec[]>();
  const visit = (one: ImportSpec, outer: ReadonlySet<string>): void => {
    const isVApp = isData('VirtualAppImportSpec', one);
    const sections = isVApp
      ? (one as VirtualAppImportSpec).vAppConfigSpec.ovfSection
      : (one as VirtualMachineImportSpec).configSpec.vAppConfig?.ovfSection;
    const own = sectionsNamed(sections, 'PlacementSection').map((section) => attributeOf(section, 'group') ?? '');
    const groups = new Set([...outer, ...own]);
    if (isVApp) for (const child of (one as VirtualAppImportSpec).child ?? []) visit(child, groups);
    else for (const id of groups) members.set(id, [...(members.get(id) ?? []), one as VirtualMachineImportSpec]);
  };
  visit(vApp, new Set());
  return sectionsNamed(vApp.vAppConfigSpec.ovfSection, 'PlacementGroupSection').flatMap((section) => {
    const id = attributeOf(section, 'id') ?? '';
    const policy = placementPolicy(attributeOf(section, 'policy'));
    const machines = members.get(id) ?? [];
    if (policy === undefined || machines.length < 2) return [];
    if (policy.kind === 'affinity' && policy.scope !== 'host') return [];
    return [{ name: `${vApp.name} ${attributeOf(section, 'name') ?? id}`.slice(0, 80), kind: policy.kind, machines }];
  });
}

function sectionsNamed(sections: readonly VAppOvfSectionSpec[] | undefined, name: string): UnknownSection[] {
  return (sections ?? []).flatMap(({ info }) => {
    if (info?.type !== name || !/\/ovf\/envelope\/2$/.test(info.namespace ?? '')) return [];
    try {
      return [parseSection(info.contents ?? '')];
    } catch (error) {
      // What a client made up is no group of a package.
      if (error instanceof OvfError) return [];
      throw error;
    }
  });
}

function attributeOf({ element }: UnknownSection, name: string): string | undefined {
  return element.attributes.find((attribute) => attribute.name === name)?.value.trim() || undefined;
}
