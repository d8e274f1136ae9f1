import { readResourceAllocationSection, readVirtualHardwareSection } from '../hardware/hardware-section-reader.ts';
import { childElements } from '../xml/xml-tree.ts';
import { ElementReader, present } from './element-reader.ts';
import type {
  AnnotationSection,
  Content,
  EulaSection,
  InstallSection,
  OperatingSystemSection,
  StartupItem,
  StartupSection,
  VirtualSystem,
  VirtualSystemCollection,
} from './envelope.ts';
import { envelopeNamespace, vmwareNamespace } from './namespaces.ts';
import { readProductSection } from './product-section-reader.ts';
import { readSections, type SectionsRead } from './section-reader.ts';
import {
  readBootDeviceSection,
  readEnvironmentFilesSection,
  readPlacementSection,
  readScaleOutSection,
} from './version2-sections-reader.ts';
import { readBootOrderSection, readIpAssignmentSection, readStorageSection } from './vmware-sections-reader.ts';

const common = {
  AnnotationSection: readAnnotationSection,
  ProductSection: readProductSection,
  EulaSection: readEulaSection,
  EnvironmentFilesSection: readEnvironmentFilesSection,
  PlacementSection: readPlacementSection,
  'vmw:IpAssignmentSection': readIpAssignmentSection,
  'vmw:StorageSection': readStorageSection,
};

/** Reads a VirtualSystem or a VirtualSystemCollection with what it contains (DSP0243 7.2). */
export function readContent(reader: ElementReader): Content {
  return reader.element.name === 'VirtualSystem' ? readVirtualSystem(reader) : readCollection(reader);
}

function readHead(reader: ElementReader) {
  return {
    id: reader.requiredAttribute('id'),
    info: reader.requiredMessage('Info'),
    ...present('name', reader.message('Name')),
  };
}

/** What a system and a collection have alike. */
function commonContent(sections: SectionsRead<typeof common>) {
  return {
    annotations: sections.all('AnnotationSection'),
    products: sections.all('ProductSection'),
    eulas: sections.all('EulaSection'),
    ...present('environmentFiles', sections.one('EnvironmentFilesSection')),
    ...present('placements', sections.some('PlacementSection')),
    ...present('ipAssignment', sections.one('vmw:IpAssignmentSection')),
    ...present('storage', sections.some('vmw:StorageSection')),
    otherSections: sections.others,
    order: sections.order,
  };
}

function readVirtualSystem(reader: ElementReader): VirtualSystem {
  const head = readHead(reader);
  const sections = readSections(reader, {
    ...common,
    OperatingSystemSection: readOperatingSystemSection,
    VirtualHardwareSection: readVirtualHardwareSection,
    InstallSection: readInstallSection,
    BootDeviceSection: readBootDeviceSection,
    'vmw:BootOrderSection': readBootOrderSection,
  });
  return {
    kind: 'VirtualSystem',
    ...head,
    ...present('operatingSystem', sections.one('OperatingSystemSection')),
    hardware: sections.all('VirtualHardwareSection'),
    ...present('install', sections.one('InstallSection')),
    ...present('bootDevices', sections.one('BootDeviceSection')),
    ...present('bootOrder', sections.some('vmw:BootOrderSection')),
    ...commonContent(sections),
    ...reader.rest(),
  };
}

function readCollection(reader: ElementReader): VirtualSystemCollection {
  const head = readHead(reader);
  const sections = readSections(reader, {
    ...common,
    StartupSection: readStartupSection,
    ResourceAllocationSection: readResourceAllocationSection,
    ScaleOutSection: readScaleOutSection,
  });
  reader.children('VirtualSystem');
  reader.children('VirtualSystemCollection');
  const contents = childElements(reader.element)
    .filter(
      (child) =>
        child.namespace === envelopeNamespace &&
        (child.name === 'VirtualSystem' || child.name === 'VirtualSystemCollection'),
    )
    .map((child) => readContent(new ElementReader(child, reader.context)));
  return {
    kind: 'VirtualSystemCollection',
    ...head,
    ...present('startup', sections.one('StartupSection')),
    ...present('resourceAllocation', sections.one('ResourceAllocationSection')),
    ...present('scaleOut', sections.some('ScaleOutSection')),
    ...commonContent(sections),
    contents,
    ...reader.rest(),
  };
}

function readAnnotationSection(reader: ElementReader): AnnotationSection {
  return { ...reader.sectionHead(), annotation: reader.message('Annotation') ?? { text: '' }, ...reader.rest() };
}

/** Reads an EulaSection (DSP0243 9.6). */
export function readEulaSection(reader: ElementReader): EulaSection {
  return { ...reader.sectionHead(), license: reader.message('License') ?? { text: '' }, ...reader.rest() };
}

function readOperatingSystemSection(reader: ElementReader): OperatingSystemSection {
  reader.requiredMessage('Info');
  return {
    ...reader.sectionHead(),
    id: reader.integerAttribute('id') ?? reader.fail('OperatingSystemSection has no id'),
    ...present('version', reader.attribute('version') || undefined),
    ...present('vmwareType', reader.attribute('osType', vmwareNamespace)?.trim() || undefined),
    ...present('description', reader.message('Description')),
    ...reader.rest(),
  };
}

function readInstallSection(reader: ElementReader): InstallSection {
  return {
    ...reader.sectionHead(),
    ...present('initialBootStopDelay', reader.integerAttribute('initialBootStopDelay')),
    ...reader.rest(),
  };
}

function readStartupSection(reader: ElementReader): StartupSection {
  const items = reader.children('Item').map((element) => readStartupItem(reader.within(element)));
  return { ...reader.sectionHead(), items, ...reader.rest() };
}

function readStartupItem(reader: ElementReader): StartupItem {
  return {
    id: reader.requiredAttribute('id'),
    order: reader.integerAttribute('order') ?? reader.fail('a startup Item has no order'),
    ...present('startDelay', reader.integerAttribute('startDelay')),
    ...present('waitingForGuest', reader.booleanAttribute('waitingForGuest')),
    ...present('startAction', reader.attribute('startAction')),
    ...present('stopDelay', reader.integerAttribute('stopDelay')),
    ...present('stopAction', reader.attribute('stopAction')),
    ...reader.rest(),
  };
}
