import type { Content, HardwareItem, StartupItem, VirtualSystem, VirtualSystemCollection } from '@hypostyle/ovf';
import {
  data,
  type ImportSpec,
  type OvfFileItem,
  type ResourceAllocationInfo,
  type ResourceConfigSpec,
  type VAppConfigSpec,
  type VAppEntityConfigInfo,
  type VirtualAppImportSpec,
  type VirtualMachineImportSpec,
} from '@hypostyle/vim';
import { allocationInfo } from './config-options.ts';
import { isMachineName, machineImport, type PackageContext } from './machine-import.ts';
import { ovfFaults } from './ovf-faults.ts';
import { keptSections } from './ovf-sections.ts';
import { localizerOf, vAppProducts, vAppProperties } from './vapp-properties.ts';

/** What a content of a package is imported as; no specification where an error of the context says why. */
export interface ContentImport {
  readonly spec: ImportSpec | undefined;
  readonly fileItems: readonly OvfFileItem[];
}

/** The content of a package: a machine, or a vApp with all that is in it. */
export function contentImport(context: PackageContext): ContentImport {
  const { content } = context.envelope;
  return content.kind === 'VirtualSystem'
    ? systemImport(context, content, context.parameters.entityName)
    : collectionImport(context, content, context.parameters.entityName);
}

export function systemImport(context: PackageContext, system: VirtualSystem, name: string): ContentImport {
  const made = machineImport(context, system, name || nameOf(context, system));
  if (made === undefined) return { spec: undefined, fileItems: [] };
  const spec: VirtualMachineImportSpec = data('VirtualMachineImportSpec', { configSpec: made.configSpec });
  return { spec, fileItems: made.fileItems };
}

/** A collection as a vApp. Its machines' files are named by the vApps that they are in. */
function collectionImport(context: PackageContext, collection: VirtualSystemCollection, given: string): ContentImport {
  const name = given || nameOf(context, collection);
  if (!isMachineName(name)) {
    context.errors.push(ovfFaults.invalidName(name.slice(0, 80)));
    return { spec: undefined, fileItems: [] };
  }
  const names = new Set<string>();
  const children: ImportSpec[] = [];
  const fileItems: OvfFileItem[] = [];
  for (const content of collection.contents) {
    const own = nameOf(context, content);
    if (names.has(own)) {
      const message = `Two contents of '${name}' have the name '${own}'.`;
      context.errors.push(ovfFaults.invalidPackage(content.line ?? 0, message));
      continue;
    }
    names.add(own);
    const within = contextOf(context, content);
    const { spec, fileItems: files } =
      content.kind === 'VirtualSystem' ? systemImport(within, content, own) : collectionImport(within, content, own);
    if (spec === undefined) continue;
    children.push({ ...spec, entityConfig: entityConfig(collection.startup?.items, content.id) });
    fileItems.push(...files.map((file) => ({ ...file, deviceId: `/${name}${file.deviceId}` })));
  }
  const spec: VirtualAppImportSpec = data('VirtualAppImportSpec', {
    name,
    vAppConfigSpec: vAppConfigSpec(context, collection),
    resourcePoolSpec: resourcePoolSpec(collection.resourceAllocation?.items ?? []),
    child: children,
  });
  return { spec, fileItems };
}

/** Each content has the properties that are its own. */
function contextOf(context: PackageContext, content: Content): PackageContext {
  if (content.kind === 'VirtualSystemCollection') return context;
  return { ...context, properties: context.properties.filter(({ entityId }) => entityId === content.id) };
}

function nameOf({ envelope, parameters }: PackageContext, { name, id }: Content): string {
  return (name === undefined ? '' : localizerOf(envelope, parameters.locale)(name)) || id;
}

/** StartupSection of the collection (DSP0243 9.7); what has no item there starts first, with nothing to wait for. */
function entityConfig(items: readonly StartupItem[] | undefined, id: string): VAppEntityConfigInfo {
  const item = items?.find((candidate) => candidate.id === id);
  return data('VAppEntityConfigInfo', {
    tag: id,
    startOrder: item?.order ?? 0,
    startDelay: item?.startDelay ?? 0,
    waitingForGuest: item?.waitingForGuest ?? false,
    startAction: item?.startAction ?? 'powerOn',
    stopDelay: item?.stopDelay ?? 0,
    stopAction: item?.stopAction ?? 'powerOff',
    destroyWithParent: true,
  });
}

function vAppConfigSpec(context: PackageContext, collection: VirtualSystemCollection): VAppConfigSpec {
  const { envelope, parameters, properties } = context;
  const inLanguage = localizerOf(envelope, parameters.locale);
  const given = new Set((parameters.propertyMapping ?? []).map(({ key }) => key));
  const own = properties.filter(({ entityId }) => entityId === collection.id);
  const sections = keptSections(collection, collection === envelope.content ? envelope : undefined);
  const { ipAllocationPolicy, ipProtocol } = parameters;
  return data('VAppConfigSpec', {
    product: vAppProducts(collection.products, inLanguage).map((info) =>
      data('VAppProductSpec', { operation: 'add', info }),
    ),
    property: vAppProperties(own, given, inLanguage).map((info) =>
      data('VAppPropertySpec', { operation: 'add', info }),
    ),
    eula: collection.eulas.map(({ license }) => inLanguage(license)),
    ...(sections.length === 0 ? {} : { ovfSection: sections }),
    annotation: collection.annotations.map(({ annotation }) => inLanguage(annotation)).join('\n'),
    ...(ipAllocationPolicy
      ? { ipAssignment: data('VAppIPAssignmentInfo', { ipAllocationPolicy, ...(ipProtocol ? { ipProtocol } : {}) }) }
      : {}),
  });
}

/** ResourceAllocationSection: CPU in MHz, memory in MiB; what it does not say grows with its parent. */
function resourcePoolSpec(items: readonly HardwareItem[]): ResourceConfigSpec {
  const share = (resourceType: number): ResourceAllocationInfo => {
    const item = items.find((one) => one.resourceType === resourceType && (one.bound ?? 'normal') === 'normal');
    const said = item === undefined ? undefined : allocationInfo(amounts(item));
    return data('ResourceAllocationInfo', {
      reservation: 0,
      limit: -1,
      expandableReservation: true,
      shares: data('SharesInfo', { shares: 0, level: 'normal' }),
      ...said,
    });
  };
  return data('ResourceConfigSpec', { cpuAllocation: share(3), memoryAllocation: share(4) });
}

function amounts({ reservation, limit, weight }: HardwareItem) {
  return {
    ...(reservation === undefined ? {} : { reservation }),
    ...(limit === undefined ? {} : { limit }),
    ...(weight === undefined ? {} : { weight }),
  };
}
