import { hardwareSection, resourceAllocationSection } from '../hardware/hardware-section-writer.ts';
import type { XmlAttribute, XmlElement } from '../xml/xml-tree.ts';
import { formatXml } from '../xml/xml-writer.ts';
import { diskElement } from './disk-writer.ts';
import {
  type Child,
  element,
  extended,
  message,
  ovfAttributes,
  section,
  textElement,
  vmwareAttributes,
} from './element-builder.ts';
import type {
  Content,
  DeploymentOptionSection,
  Envelope,
  FileReference,
  LocalizedText,
  NetworkSection,
  OperatingSystemSection,
  ProductProperty,
  ProductSection,
  StartupSection,
  VirtualSystem,
  VirtualSystemCollection,
} from './envelope.ts';
import {
  envelope2Namespace,
  envelopeNamespace,
  epasdNamespace,
  rasdNamespace,
  sasdNamespace,
  vmwareNamespace,
  vssdNamespace,
  xmlNamespace,
} from './namespaces.ts';
import {
  bootDeviceElement,
  encryptionElement,
  environmentFilesElement,
  placementElement,
  placementGroupElement,
  scaleOutElement,
  sharedDiskElement,
} from './version2-sections-writer.ts';
import {
  bootOrderElement,
  ipAssignmentElement,
  storageElement,
  storageGroupElement,
} from './vmware-sections-writer.ts';

/** Writes a descriptor that {@link parseEnvelope} reads back as the same value; 0.9 is written as 1.x. */
export function formatEnvelope(envelope: Envelope): string {
  const isVersion2 = envelope.version === '2';
  const namespace = isVersion2 ? envelope2Namespace : envelopeNamespace;
  const root = extended('Envelope', envelope, languageAttribute(envelope.language), [
    extended('References', {}, [], envelope.files.map(fileElement)),
    ...ordered(packageSections(envelope, isVersion2), envelope),
    contentElement(envelope.content, isVersion2),
    ...envelope.strings.map((bundle) =>
      extended(
        'Strings',
        bundle,
        [...languageAttribute(bundle.language), ...ovfAttributes({ fileRef: bundle.fileId })],
        Object.entries(bundle.messages).map(([id, text]) => element('Msg', ovfAttributes({ msgid: id }), [text])),
      ),
    ),
  ]);
  const prefixes: Record<string, string> = {
    '': namespace,
    ovf: namespace,
    rasd: rasdNamespace,
    vssd: vssdNamespace,
    vmw: vmwareNamespace,
    ...(isVersion2 ? { sasd: sasdNamespace, epasd: epasdNamespace } : {}),
  };
  return formatXml(isVersion2 ? renamespace(root, namespace) : root, prefixes);
}

/** The tree with the envelope's namespace of 1.x, which stands for all inside this package, replaced. */
function renamespace(source: XmlElement, namespace: string): XmlElement {
  const own = (candidate: string) => (candidate === envelopeNamespace ? namespace : candidate);
  return {
    ...source,
    namespace: own(source.namespace),
    attributes: source.attributes.map((attribute) => ({ ...attribute, namespace: own(attribute.namespace) })),
    children: source.children.map((child) => (typeof child === 'string' ? child : renamespace(child, namespace))),
  };
}

function languageAttribute(language: string | undefined): XmlAttribute[] {
  return language === undefined ? [] : [{ namespace: xmlNamespace, prefix: 'xml', name: 'lang', value: language }];
}

function fileElement(file: FileReference): XmlElement {
  const { id, href, size, compression, chunkSize } = file;
  return extended('File', file, ovfAttributes({ id, href, size, compression, chunkSize }), []);
}

/** Sections by the name under which their order is kept. */
type Sections = ReadonlyMap<string, readonly XmlElement[]>;

function sectionsOf(entries: readonly (readonly [string, readonly (XmlElement | undefined)[]])[]): Sections {
  return new Map(
    entries.map(([name, elements]) => [name, elements.filter((candidate) => candidate !== undefined)] as const),
  );
}

/** Sections in the order in which they were read, and behind them those that are new. */
function ordered(sections: Sections, source: Pick<Envelope, 'order' | 'otherSections'>): XmlElement[] {
  const all = new Map([...sections, ['*', source.otherSections.map((other) => other.element)] as const]);
  const queues = new Map([...all].map(([name, elements]) => [name, [...elements]]));
  const placed = (source.order ?? []).flatMap((name) => queues.get(name)?.shift() ?? []);
  return [...placed, ...[...queues.values()].flat()];
}

function packageSections(envelope: Envelope, isVersion2: boolean): Sections {
  const { diskSection, networkSection, deploymentOptionSection, sharedDiskSection, encryption } = envelope;
  // The schema has no DeploymentOptionSection without an option.
  const options = deploymentOptionSection?.configurations.length ? deploymentOptionSection : undefined;
  return sectionsOf([
    ['DiskSection', [diskSection && section('DiskSection', diskSection, [], diskSection.disks.map(diskElement))]],
    ['NetworkSection', [networkSection && networkElement(networkSection)]],
    ['DeploymentOptionSection', [options && deploymentOptionElement(options)]],
    ['SharedDiskSection', [sharedDiskSection && sharedDiskElement(sharedDiskSection, isVersion2)]],
    ['PlacementGroupSection', (envelope.placementGroups ?? []).map((one) => placementGroupElement(one, isVersion2))],
    ['EncryptionSection', [encryption && encryptionElement(encryption, isVersion2)]],
    ['vmw:IpAssignmentSection', [envelope.ipAssignment && ipAssignmentElement(envelope.ipAssignment)]],
    ['vmw:StorageGroupSection', (envelope.storageGroups ?? []).map(storageGroupElement)],
  ]);
}

function networkElement(networkSection: NetworkSection): XmlElement {
  return section(
    'NetworkSection',
    networkSection,
    [],
    networkSection.networks.map((network) =>
      extended('Network', network, ovfAttributes({ name: network.name }), [
        message('Description', network.description),
      ]),
    ),
  );
}

function deploymentOptionElement(options: DeploymentOptionSection): XmlElement {
  return section(
    'DeploymentOptionSection',
    options,
    [],
    options.configurations.map((configuration) =>
      extended(
        'Configuration',
        configuration,
        ovfAttributes({ id: configuration.id, default: configuration.isDefault }),
        [message('Label', configuration.label), message('Description', configuration.description)],
      ),
    ),
  );
}

function contentElement(content: Content, isVersion2: boolean): XmlElement {
  const { environmentFiles, ipAssignment } = content;
  const common = [
    ...content.annotations.map(
      (one) =>
        ['AnnotationSection', section('AnnotationSection', one, [], [message('Annotation', one.annotation)])] as const,
    ),
    ...content.products.map((one) => ['ProductSection', productSection(one)] as const),
    ...content.eulas.map(
      (one) => ['EulaSection', section('EulaSection', one, [], [message('License', one.license)])] as const,
    ),
  ];
  const own =
    content.kind === 'VirtualSystem' ? systemSections(content, isVersion2) : collectionSections(content, isVersion2);
  const sections = sectionsOf([
    ...['AnnotationSection', 'ProductSection', 'EulaSection'].map(
      (name) => [name, common.filter(([one]) => one === name).map(([, built]) => built)] as const,
    ),
    ...own,
    ['EnvironmentFilesSection', [environmentFiles && environmentFilesElement(environmentFiles, isVersion2)]],
    ['PlacementSection', (content.placements ?? []).map((one) => placementElement(one, isVersion2))],
    ['vmw:IpAssignmentSection', [ipAssignment && ipAssignmentElement(ipAssignment)]],
    ['vmw:StorageSection', (content.storage ?? []).map(storageElement)],
  ]);
  return extended(content.kind, content, ovfAttributes({ id: content.id }), [
    message('Info', content.info),
    message('Name', content.name),
    ...ordered(sections, content),
    ...(content.kind === 'VirtualSystem' ? [] : content.contents.map((child) => contentElement(child, isVersion2))),
  ]);
}

type SectionEntries = readonly (readonly [string, readonly (XmlElement | undefined)[]])[];

function systemSections(system: VirtualSystem, isVersion2: boolean): SectionEntries {
  const { operatingSystem, install, bootDevices } = system;
  return [
    ['OperatingSystemSection', [operatingSystem && operatingSystemElement(operatingSystem)]],
    ['VirtualHardwareSection', system.hardware.map(hardwareSection)],
    [
      'InstallSection',
      [
        install &&
          section('InstallSection', install, ovfAttributes({ initialBootStopDelay: install.initialBootStopDelay }), []),
      ],
    ],
    ['BootDeviceSection', [bootDevices && bootDeviceElement(bootDevices, isVersion2)]],
    ['vmw:BootOrderSection', (system.bootOrder ?? []).map(bootOrderElement)],
  ];
}

function operatingSystemElement(system: OperatingSystemSection): XmlElement {
  const attributes = [
    ...ovfAttributes({ id: system.id, version: system.version }),
    ...vmwareAttributes({ osType: system.vmwareType }),
  ];
  return section('OperatingSystemSection', system, attributes, [message('Description', system.description)]);
}

function collectionSections(collection: VirtualSystemCollection, isVersion2: boolean): SectionEntries {
  const { resourceAllocation, startup } = collection;
  return [
    ['ResourceAllocationSection', [resourceAllocation && resourceAllocationSection(resourceAllocation)]],
    ['StartupSection', [startup && startupElement(startup)]],
    ['ScaleOutSection', (collection.scaleOut ?? []).map((one) => scaleOutElement(one, isVersion2))],
  ];
}

function startupElement(startup: StartupSection): XmlElement {
  const items = startup.items.map((item) => {
    const { id, order, startDelay, waitingForGuest, startAction, stopDelay, stopAction } = item;
    const attributes = { id, order, startDelay, waitingForGuest, startAction, stopDelay, stopAction };
    return extended('Item', item, ovfAttributes(attributes), []);
  });
  return section('StartupSection', startup, [], items);
}

function productSection(product: ProductSection): XmlElement {
  const properties: Child[] = [];
  let category: LocalizedText | undefined;
  for (const property of product.properties) {
    if (property.category !== category) {
      properties.push(message('Category', property.category));
      category = property.category;
    }
    properties.push(propertyElement(property));
  }
  return section('ProductSection', product, ovfAttributes({ class: product.class, instance: product.instance }), [
    message('Product', product.product),
    message('Vendor', product.vendor),
    textElement('Version', product.version),
    textElement('FullVersion', product.fullVersion),
    textElement('ProductUrl', product.productUrl),
    textElement('VendorUrl', product.vendorUrl),
    ...(product.appUrls ?? []).map((url) => textElement('AppUrl', url)),
    ...(product.icons ?? []).map((icon) => {
      const { height, width, mimeType, fileId } = icon;
      return extended('Icon', icon, ovfAttributes({ height, width, mimeType, fileRef: fileId }), []);
    }),
    ...properties,
    ...(product.unusedCategories ?? []).map((unused) => message('Category', unused)),
  ]);
}

function propertyElement(property: ProductProperty): XmlElement {
  const { key, type, qualifiers, userConfigurable, value, required, password } = property;
  const attributes = ovfAttributes({ key, type, qualifiers, userConfigurable, value, required, password });
  return extended('Property', property, attributes, [
    message('Label', property.label),
    message('Description', property.description),
    ...(property.values ?? []).map((entry) =>
      extended('Value', entry, ovfAttributes({ value: entry.value, configuration: entry.configuration }), []),
    ),
  ]);
}
