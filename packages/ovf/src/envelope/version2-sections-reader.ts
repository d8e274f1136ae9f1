import { childElements, type XmlElement } from '../xml/xml-tree.ts';
import { type ElementReader, present } from './element-reader.ts';
import type { LocalizedText } from './envelope.ts';
import { envelope2Namespace } from './namespaces.ts';
import { readDisk } from './package-sections-reader.ts';
import type {
  BootConfiguration,
  BootDeviceSection,
  EncryptionSection,
  EnvironmentFilesSection,
  PlacementGroupSection,
  PlacementSection,
  ScaleOutSection,
  SharedDiskSection,
} from './version2-sections.ts';

/** Children in the namespace of the envelope or, in a descriptor of 1.x, of 2.x. */
function children(reader: ElementReader, name: string): XmlElement[] {
  return [...reader.children(name), ...reader.children(name, envelope2Namespace)];
}

function attribute(reader: ElementReader, name: string): string | undefined {
  return reader.attribute(name, envelope2Namespace) ?? reader.attribute(name);
}

function requiredAttribute(reader: ElementReader, name: string): string {
  return attribute(reader, name)?.trim() || reader.fail(`${reader.element.name} has no ${name}`);
}

function message(reader: ElementReader, name: string): LocalizedText | undefined {
  const [child] = children(reader, name);
  return child && reader.within(child).ownMessage();
}

/** Reads an EnvironmentFilesSection (DSP0243 2.1 9.11). */
export function readEnvironmentFilesSection(reader: ElementReader): EnvironmentFilesSection {
  return {
    ...reader.sectionHead(),
    transports: (attribute(reader, 'transport') ?? '').split(/[\s,]+/).filter((transport) => transport !== ''),
    files: children(reader, 'File').map((element) => {
      const file = reader.within(element);
      return { fileId: requiredAttribute(file, 'fileRef'), path: requiredAttribute(file, 'path'), ...file.rest() };
    }),
    ...reader.rest(),
  };
}

/** Reads a BootDeviceSection (DSP0243 2.1 9.12). */
export function readBootDeviceSection(reader: ElementReader): BootDeviceSection {
  return {
    ...reader.sectionHead(),
    configurations: reader
      .children('CIM_BootConfigSetting', '*')
      .map((element) => readBootConfiguration(reader.within(element))),
    ...reader.rest(),
  };
}

function readBootConfiguration(reader: ElementReader): BootConfiguration {
  return {
    ...present('caption', reader.message('Caption', '*')),
    ...present('description', reader.message('Description', '*')),
    ...present('instanceId', reader.text('InstanceID')),
    sources: reader.children('CIM_BootSourceSetting', '*').map((element) => {
      const source = reader.within(element);
      return {
        ...present('caption', source.message('Caption', '*')),
        ...present('instanceId', source.text('InstanceID')),
        ...source.rest(() => true),
      };
    }),
    ...reader.rest(() => true),
  };
}

/** Reads a SharedDiskSection (DSP0243 2.1 9.13). */
export function readSharedDiskSection(reader: ElementReader): SharedDiskSection {
  return {
    ...reader.sectionHead(),
    disks: children(reader, 'SharedDisk').map((element) => {
      const disk = reader.within(element);
      const readOnly = disk.booleanAttribute('readOnly');
      return { ...readDisk(disk), ...present('readOnly', readOnly) };
    }),
    ...reader.rest(),
  };
}

/** Reads a ScaleOutSection (DSP0243 2.1 9.14). */
export function readScaleOutSection(reader: ElementReader): ScaleOutSection {
  const head = reader.sectionHead();
  const id = requiredAttribute(reader, 'id');
  const [element] = children(reader, 'InstanceCount');
  const count = element && reader.within(element);
  const number = (name: string) =>
    count?.integerAttribute(name, 0, envelope2Namespace) ?? count?.integerAttribute(name, 0);
  const counts = {
    ...present('minimum', number('minimum')),
    ...present('default', number('default')),
    ...present('maximum', number('maximum')),
  };
  count?.rest();
  return { ...head, id, ...present('description', message(reader, 'Description')), ...counts, ...reader.rest() };
}

/** Reads a PlacementGroupSection (DSP0243 2.1 9.15). */
export function readPlacementGroupSection(reader: ElementReader): PlacementGroupSection {
  return {
    ...reader.sectionHead(),
    id: requiredAttribute(reader, 'id'),
    ...present('policy', attribute(reader, 'policy')?.trim() || undefined),
    ...present('description', message(reader, 'Description')),
    ...reader.rest(),
  };
}

/** Reads a PlacementSection (DSP0243 2.1 9.15). */
export function readPlacementSection(reader: ElementReader): PlacementSection {
  return { ...reader.sectionHead(), group: requiredAttribute(reader, 'group'), ...reader.rest() };
}

/** Reads an EncryptionSection (DSP0243 2.1 9.16): its XML Encryption stays as it is. */
export function readEncryptionSection(reader: ElementReader): EncryptionSection {
  const algorithms = new Set<string>();
  const references = new Set<string>();
  const visit = (element: XmlElement): void => {
    for (const child of childElements(element)) {
      const value = (name: string) => child.attributes.find((one) => one.name === name)?.value;
      if (child.name === 'EncryptionMethod') algorithms.add(value('Algorithm') ?? '');
      if (child.name === 'DataReference' || child.name === 'CipherReference') references.add(value('URI') ?? '');
      visit(child);
    }
  };
  visit(reader.element);
  return {
    ...reader.sectionHead(),
    algorithms: [...algorithms].filter((one) => one !== ''),
    references: [...references].filter((one) => one !== ''),
    ...reader.rest(() => true),
  };
}
