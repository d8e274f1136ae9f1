import type { Content, HardwareItem, StartupItem, VirtualSystemCollection } from '@hypostyle/ovf';
import type {
  OvfCreateDescriptorParams,
  OvfCreateDescriptorResult,
  OvfFile,
  ResourceAllocationInfo,
  ResourceConfigSpec,
  VAppConfigInfo,
  VAppEntityConfigInfo,
  VirtualMachineConfigInfo,
} from '@hypostyle/vim';
import {
  annotationsOf,
  describedMachine,
  descriptorResult,
  mustBeUsed,
  newPackageParts,
  type PackageParts,
} from './create-descriptor.ts';
import { type ExportOption, exportOptionsOf } from './export-options.ts';
import { vAppSections } from './vapp-sections.ts';

/** A machine or vApp that is described with its vApp. */
export interface DescribedMember {
  readonly name: string;
  /** Reference value: what the keys of a lease's devices begin with. */
  readonly value: string;
  readonly entity: VAppEntityConfigInfo | undefined;
  readonly content: { readonly machine: VirtualMachineConfigInfo } | { readonly vApp: DescribedVApp };
}

export interface DescribedVApp {
  readonly name: string;
  readonly config: VAppConfigInfo;
  readonly resources: ResourceConfigSpec | undefined;
  readonly members: readonly DescribedMember[];
}

/** OvfManager.CreateDescriptor for a vApp: its machines and vApps, their order, resources and what came with them. */
export function createVAppDescriptor(
  vApp: DescribedVApp,
  parameters: OvfCreateDescriptorParams,
): OvfCreateDescriptorResult {
  const parts = newPackageParts();
  const files = new Map((parameters.ovfFiles ?? []).map((file) => [file.deviceId, file]));
  const options = exportOptionsOf(parameters.exportOption);
  const described = { ...vApp, name: parameters.name || vApp.name };
  const content = collectionOf(described, { parts, files, ids: new Set(), options }, parameters.description ?? '');
  mustBeUsed(files);
  return descriptorResult(content, parts);
}

interface Around {
  readonly parts: PackageParts;
  readonly files: Map<string, OvfFile>;
  /** Ids that are taken. */
  readonly ids: Set<string>;
  readonly options: ReadonlySet<ExportOption>;
}

function collectionOf(vApp: DescribedVApp, around: Around, description = ''): VirtualSystemCollection {
  const sections = vAppSections(vApp.config);
  around.parts.envelopeSections.push(...sections.envelopeSections);
  const id = freeId(vApp.name, around.ids);
  const members = vApp.members.map((member) => ({ member, content: contentOf(member, around) }));
  const items = members.map(({ member, content }) => startupItem(content.id, member.entity));
  const shares = resourceItems(vApp.resources);
  return {
    kind: 'VirtualSystemCollection',
    id,
    info: { text: 'A collection of virtual machines' },
    name: { text: vApp.name },
    annotations: annotationsOf(description || (vApp.config.annotation ?? '')),
    products: sections.products,
    eulas: sections.eulas,
    otherSections: sections.otherSections,
    ...(items.length === 0 ? {} : { startup: { info: { text: 'The order of starting' }, items } }),
    ...(shares.length === 0 ? {} : { resourceAllocation: { info: { text: 'What all of it needs' }, items: shares } }),
    contents: members.map(({ content }) => content),
  };
}

function contentOf({ name, value, content }: DescribedMember, around: Around): Content {
  if ('vApp' in content) return collectionOf(content.vApp, around);
  const files = new Map<string, OvfFile>();
  for (const [deviceId, file] of around.files) {
    if (!deviceId.split('/').includes(value)) continue;
    files.set(deviceId.slice(deviceId.lastIndexOf('/') + 1), file);
    around.files.delete(deviceId);
  }
  const { machine: config } = content;
  const id = freeId(name, around.ids);
  const system = describedMachine(
    { config, id, name, annotation: config.annotation ?? '', options: around.options, files },
    around.parts,
  );
  mustBeUsed(files);
  return system;
}

/** Ids are unique in an envelope, names in their vApp alone. */
function freeId(name: string, ids: Set<string>): string {
  let id = name;
  for (let number = 2; ids.has(id); number += 1) id = `${name}-${number}`;
  ids.add(id);
  return id;
}

function startupItem(id: string, entity: VAppEntityConfigInfo | undefined): StartupItem {
  const { startOrder = 0, startDelay, waitingForGuest, startAction, stopDelay, stopAction } = entity ?? {};
  return {
    id,
    order: startOrder,
    ...(startDelay === undefined ? {} : { startDelay }),
    ...(waitingForGuest === undefined ? {} : { waitingForGuest }),
    ...(startAction === undefined ? {} : { startAction }),
    ...(stopDelay === undefined ? {} : { stopDelay }),
    // A descriptor knows of no suspending (DSP0243 9.7).
    ...(stopAction === undefined ? {} : { stopAction: stopAction === 'suspend' ? 'powerOff' : stopAction }),
  };
}

/** What is reserved or limited; what is as usual says nothing. */
function resourceItems(resources: ResourceConfigSpec | undefined): HardwareItem[] {
  const said = (
    allocation: ResourceAllocationInfo | undefined,
    kind: Pick<HardwareItem, 'instanceId' | 'resourceType' | 'allocationUnits' | 'elementName'>,
  ): HardwareItem[] => {
    const reservation = Number(allocation?.reservation ?? 0);
    const limit = Number(allocation?.limit ?? -1);
    const { level, shares } = allocation?.shares ?? { level: 'normal', shares: 0 };
    if (reservation === 0 && limit < 0 && level !== 'custom') return [];
    return [
      {
        element: 'Item',
        ...kind,
        reservation,
        ...(limit < 0 ? {} : { limit }),
        ...(level === 'custom' ? { weight: shares } : {}),
      },
    ];
  };
  return [
    ...said(resources?.cpuAllocation, {
      instanceId: '1',
      resourceType: 3,
      allocationUnits: 'hertz * 10^6',
      elementName: { text: 'CPU' },
    }),
    ...said(resources?.memoryAllocation, {
      instanceId: '2',
      resourceType: 4,
      allocationUnits: 'byte * 2^20',
      elementName: { text: 'Memory' },
    }),
  ];
}
