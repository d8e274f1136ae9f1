import type { XmlAttribute, XmlElement } from '../xml/xml-tree.ts';
import { diskElement } from './disk-writer.ts';
import {
  type AttributeValue,
  type Child,
  element,
  extended,
  message,
  ovfAttributes,
  section,
  textElement,
} from './element-builder.ts';
import type { Section } from './envelope.ts';
import { bootConfigNamespace, bootSourceNamespace, envelope2Namespace, envelopeNamespace } from './namespaces.ts';
import type {
  BootConfiguration,
  BootDeviceSection,
  EncryptionSection,
  EnvironmentFilesSection,
  InstanceCount,
  PlacementGroupSection,
  PlacementSection,
  ScaleOutSection,
  SharedDiskSection,
} from './version2-sections.ts';

/**
 * Writes sections of 2.x. In an envelope of 1.x they stay in the namespace of 2.x, all but Info and `ovf:required`; in one
 * of 2.x the envelope's own namespace stands for it until the whole is written.
 */
class Version2Writer {
  readonly #isVersion2: boolean;

  constructor(isVersion2: boolean) {
    this.#isVersion2 = isVersion2;
  }

  own(source: XmlElement): XmlElement {
    if (this.#isVersion2) return source;
    return source.namespace === envelopeNamespace
      ? { ...source, namespace: envelope2Namespace, prefix: 'ovf2' }
      : source;
  }

  attributes(values: Readonly<Record<string, AttributeValue>>): XmlAttribute[] {
    const written = ovfAttributes(values);
    if (this.#isVersion2) return written;
    return written.map((attribute) => ({ ...attribute, namespace: envelope2Namespace, prefix: 'ovf2' }));
  }

  section(
    name: string,
    source: Section,
    values: Readonly<Record<string, AttributeValue>>,
    children: readonly Child[],
  ): XmlElement {
    const own = children.map((child) => (typeof child === 'object' ? this.own(child) : child));
    return this.own(section(name, source, this.attributes(values), own));
  }
}

export function environmentFilesElement(files: EnvironmentFilesSection, isVersion2: boolean): XmlElement {
  const writer = new Version2Writer(isVersion2);
  const transport = files.transports.length > 0 ? files.transports.join(' ') : undefined;
  return writer.section(
    'EnvironmentFilesSection',
    files,
    { transport },
    files.files.map((file) => extended('File', file, writer.attributes({ fileRef: file.fileId, path: file.path }), [])),
  );
}

export function bootDeviceElement(boot: BootDeviceSection, isVersion2: boolean): XmlElement {
  return new Version2Writer(isVersion2).section(
    'BootDeviceSection',
    boot,
    {},
    boot.configurations.map(bootConfigurationElement),
  );
}

function bootConfigurationElement(configuration: BootConfiguration): XmlElement {
  const { caption, description, instanceId, sources, attributes = [], extensions = [] } = configuration;
  return element(
    'CIM_BootConfigSetting',
    attributes,
    [
      message('Caption', caption, bootConfigNamespace, 'bootc'),
      message('Description', description, bootConfigNamespace, 'bootc'),
      textElement('InstanceID', instanceId, bootConfigNamespace, 'bootc'),
      ...extensions,
      ...sources.map((source) =>
        element(
          'CIM_BootSourceSetting',
          source.attributes ?? [],
          [
            message('Caption', source.caption, bootSourceNamespace, 'boots'),
            textElement('InstanceID', source.instanceId, bootSourceNamespace, 'boots'),
            ...(source.extensions ?? []),
          ],
          bootSourceNamespace,
          'boots',
        ),
      ),
    ],
    bootConfigNamespace,
    'bootc',
  );
}

export function sharedDiskElement(shared: SharedDiskSection, isVersion2: boolean): XmlElement {
  const writer = new Version2Writer(isVersion2);
  const disks = shared.disks.map((disk) => {
    const written = diskElement({ ...disk, attributes: [] });
    const attributes = [...written.attributes, ...ovfAttributes({ readOnly: disk.readOnly })].map((attribute) =>
      isVersion2 ? attribute : { ...attribute, namespace: envelope2Namespace, prefix: 'ovf2' },
    );
    return { ...written, name: 'SharedDisk', attributes: [...attributes, ...(disk.attributes ?? [])] };
  });
  return writer.section('SharedDiskSection', shared, {}, disks);
}

export function scaleOutElement(scale: ScaleOutSection, isVersion2: boolean): XmlElement {
  const writer = new Version2Writer(isVersion2);
  const { id, description, optionCounts = [] } = scale;
  const count = ({ minimum, default: usual, maximum }: InstanceCount, configuration?: string) =>
    element('InstanceCount', writer.attributes({ default: usual, minimum, maximum, configuration }), []);
  const hasOwn = [scale.minimum, scale.default, scale.maximum].some((value) => value !== undefined);
  return writer.section('ScaleOutSection', scale, { id }, [
    message('Description', description),
    hasOwn || optionCounts.length === 0 ? count(scale) : undefined,
    ...optionCounts.map((one) => count(one, one.configurations.join(' '))),
  ]);
}

export function placementGroupElement(group: PlacementGroupSection, isVersion2: boolean): XmlElement {
  return new Version2Writer(isVersion2).section(
    'PlacementGroupSection',
    group,
    { id: group.id, policy: group.policy },
    [message('Description', group.description)],
  );
}

export function placementElement(placement: PlacementSection, isVersion2: boolean): XmlElement {
  return new Version2Writer(isVersion2).section('PlacementSection', placement, { group: placement.group }, []);
}

export function encryptionElement(encryption: EncryptionSection, isVersion2: boolean): XmlElement {
  return new Version2Writer(isVersion2).section('EncryptionSection', encryption, {}, []);
}
