import { hardwareSection, resourceAllocationSection } from '../hardware/hardware-section-writer.ts';
import type { XmlAttribute, XmlElement } from '../xml/xml-tree.ts';
import { formatXml } from '../xml/xml-writer.ts';
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
import type { Content, DiskDescription, Envelope, LocalizedText, ProductProperty, ProductSection } from './envelope.ts';
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

/** Writes a descriptor that {@link parseEnvelope} reads back as the same value; 0.9 is written as 1.x. */
export function formatEnvelope(envelope: Envelope): string {
  const namespace = envelope.version === '2' ? envelope2Namespace : envelopeNamespace;
  const root = extended('Envelope', envelope, languageAttribute(envelope.language), [
    element(
      'References',
      [],
      envelope.files.map((file) => {
        const { id, href, size, compression, chunkSize } = file;
        return extended('File', file, ovfAttributes({ id, href, size, compression, chunkSize }), []);
      }),
    ),
    envelope.diskSection &&
      section('DiskSection', envelope.diskSection, [], envelope.diskSection.disks.map(diskElement)),
    envelope.networkSection &&
      section(
        'NetworkSection',
        envelope.networkSection,
        [],
        envelope.networkSection.networks.map((network) =>
          extended('Network', network, ovfAttributes({ name: network.name }), [
            message('Description', network.description),
          ]),
        ),
      ),
    envelope.deploymentOptionSection &&
      section(
        'DeploymentOptionSection',
        envelope.deploymentOptionSection,
        [],
        envelope.deploymentOptionSection.configurations.map((configuration) =>
          extended(
            'Configuration',
            configuration,
            ovfAttributes({ id: configuration.id, default: configuration.isDefault }),
            [message('Label', configuration.label), message('Description', configuration.description)],
          ),
        ),
      ),
    ...envelope.otherSections.map((other) => other.element),
    contentElement(envelope.content),
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
    ...(envelope.version === '2' ? { sasd: sasdNamespace, epasd: epasdNamespace } : {}),
  };
  return formatXml(namespace === envelopeNamespace ? root : renamespace(root, namespace), prefixes);
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

function diskElement(disk: DiskDescription): XmlElement {
  const { capacity } = disk;
  return extended(
    'Disk',
    disk,
    ovfAttributes({
      capacity: 'property' in capacity ? `\${${capacity.property}}` : capacity.quantity,
      capacityAllocationUnits: capacity.unit === 'byte' ? undefined : capacity.unit,
      diskId: disk.id,
      fileRef: disk.fileId,
      format: disk.format,
      parentRef: disk.parentId,
      populatedSize: disk.populatedSize,
    }),
    [],
  );
}

function contentElement(content: Content): XmlElement {
  const children: Child[] = [message('Info', content.info), message('Name', content.name)];
  for (const annotation of content.annotations) {
    children.push(section('AnnotationSection', annotation, [], [message('Annotation', annotation.annotation)]));
  }
  for (const product of content.products) children.push(productSection(product));
  for (const eula of content.eulas) children.push(section('EulaSection', eula, [], [message('License', eula.license)]));
  if (content.kind === 'VirtualSystem') {
    const { operatingSystem: system, install } = content;
    if (system !== undefined) {
      const attributes = [
        ...ovfAttributes({ id: system.id, version: system.version }),
        ...vmwareAttributes({ osType: system.vmwareType }),
      ];
      children.push(
        section('OperatingSystemSection', system, attributes, [message('Description', system.description)]),
      );
    }
    children.push(...content.hardware.map(hardwareSection));
    if (install !== undefined) {
      const attributes = ovfAttributes({ initialBootStopDelay: install.initialBootStopDelay });
      children.push(section('InstallSection', install, attributes, []));
    }
  } else {
    if (content.resourceAllocation !== undefined) children.push(resourceAllocationSection(content.resourceAllocation));
    if (content.startup !== undefined) {
      const items = content.startup.items.map((item) => {
        const { id, order, startDelay, waitingForGuest, startAction, stopDelay, stopAction } = item;
        const attributes = { id, order, startDelay, waitingForGuest, startAction, stopDelay, stopAction };
        return extended('Item', item, ovfAttributes(attributes), []);
      });
      children.push(section('StartupSection', content.startup, [], items));
    }
  }
  children.push(...content.otherSections.map((other) => other.element));
  if (content.kind === 'VirtualSystemCollection') children.push(...content.contents.map(contentElement));
  return extended(content.kind, content, ovfAttributes({ id: content.id }), children);
}

function productSection(product: ProductSection): XmlElement {
  const properties: Child[] = [];
  let category: LocalizedText | undefined;
  for (const property of product.properties) {
    if (property.category?.text !== category?.text || property.category?.messageId !== category?.messageId) {
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
