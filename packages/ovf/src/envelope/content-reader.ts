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
} from './envelope.ts';
import { envelopeNamespace, vmwareNamespace } from './namespaces.ts';
import { readProductSection } from './product-section-reader.ts';
import { readSections } from './section-reader.ts';

const common = {
  AnnotationSection: readAnnotationSection,
  ProductSection: readProductSection,
  EulaSection: readEulaSection,
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

function checkProducts(reader: ElementReader, products: ReturnType<typeof readProductSection>[]) {
  const seen = new Set<string>();
  for (const product of products) {
    const key = `${product.class ?? ''}\0${product.instance ?? ''}`;
    if (seen.has(key)) {
      reader.fail(
        `two ProductSections have the class "${product.class ?? ''}" and instance "${product.instance ?? ''}"`,
      );
    }
    seen.add(key);
  }
  return products;
}

function readVirtualSystem(reader: ElementReader): Content {
  const head = readHead(reader);
  const sections = readSections(reader, {
    ...common,
    OperatingSystemSection: readOperatingSystemSection,
    VirtualHardwareSection: readVirtualHardwareSection,
    InstallSection: readInstallSection,
  });
  const hardware = sections.all('VirtualHardwareSection');
  if (hardware.length === 0) reader.fail(`the VirtualSystem ${head.id} has no VirtualHardwareSection`);
  return {
    kind: 'VirtualSystem',
    ...head,
    ...present('operatingSystem', sections.one('OperatingSystemSection')),
    hardware,
    ...present('install', sections.one('InstallSection')),
    annotations: sections.all('AnnotationSection'),
    products: checkProducts(reader, sections.all('ProductSection')),
    eulas: sections.all('EulaSection'),
    otherSections: sections.others,
    ...reader.rest(),
  };
}

function readCollection(reader: ElementReader): Content {
  const head = readHead(reader);
  const sections = readSections(reader, {
    ...common,
    StartupSection: readStartupSection,
    ResourceAllocationSection: readResourceAllocationSection,
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
    annotations: sections.all('AnnotationSection'),
    products: checkProducts(reader, sections.all('ProductSection')),
    eulas: sections.all('EulaSection'),
    otherSections: sections.others,
    contents,
    ...reader.rest(),
  };
}

function readSectionHead(reader: ElementReader) {
  return {
    info: reader.message('Info') ?? { text: '' },
    ...present('required', reader.booleanAttribute('required')),
  };
}

function readAnnotationSection(reader: ElementReader): AnnotationSection {
  return { ...readSectionHead(reader), annotation: reader.message('Annotation') ?? { text: '' }, ...reader.rest() };
}

/** Reads an EulaSection (DSP0243 9.6). */
export function readEulaSection(reader: ElementReader): EulaSection {
  return { ...readSectionHead(reader), license: reader.message('License') ?? { text: '' }, ...reader.rest() };
}

function readOperatingSystemSection(reader: ElementReader): OperatingSystemSection {
  return {
    ...readSectionHead(reader),
    info: reader.requiredMessage('Info'),
    id: reader.integerAttribute('id') ?? reader.fail('OperatingSystemSection has no id'),
    ...present('version', reader.attribute('version') || undefined),
    ...present('vmwareType', reader.attribute('osType', vmwareNamespace)?.trim() || undefined),
    ...present('description', reader.message('Description')),
    ...reader.rest(),
  };
}

function readInstallSection(reader: ElementReader): InstallSection {
  return {
    ...readSectionHead(reader),
    ...present('initialBootStopDelay', reader.integerAttribute('initialBootStopDelay')),
    ...reader.rest(),
  };
}

const startActions = new Set(['powerOn', 'none']);
const stopActions = new Set(['powerOff', 'guestShutdown', 'none']);

function readStartupSection(reader: ElementReader): StartupSection {
  const items = reader.children('Item').map((element) => readStartupItem(reader.within(element)));
  return { ...readSectionHead(reader), items, ...reader.rest() };
}

function readStartupItem(reader: ElementReader): StartupItem {
  const startAction = reader.attribute('startAction');
  const stopAction = reader.attribute('stopAction');
  if (startAction !== undefined && !startActions.has(startAction))
    reader.fail(`startAction "${startAction}" is unknown`);
  if (stopAction !== undefined && !stopActions.has(stopAction)) reader.fail(`stopAction "${stopAction}" is unknown`);
  return {
    id: reader.requiredAttribute('id'),
    order: reader.integerAttribute('order') ?? reader.fail('a startup Item has no order'),
    ...present('startDelay', reader.integerAttribute('startDelay')),
    ...present('waitingForGuest', reader.booleanAttribute('waitingForGuest')),
    ...present('startAction', startAction),
    ...present('stopDelay', reader.integerAttribute('stopDelay')),
    ...present('stopAction', stopAction),
    ...reader.rest(),
  };
}
