import { childElements, type XmlElement } from '../xml/xml-tree.ts';
import { type ElementReader, present } from './element-reader.ts';
import { readDisk } from './package-sections-reader.ts';
import type {
  BootConfiguration,
  BootDeviceSection,
  EncryptionSection,
  EnvironmentFilesSection,
  OptionInstanceCount,
  PlacementGroupSection,
  PlacementSection,
  ScaleOutSection,
  SharedDiskSection,
} from './version2-sections.ts';

/** Reads an EnvironmentFilesSection (DSP0243 2.1 9.11). */
export function readEnvironmentFilesSection(reader: ElementReader): EnvironmentFilesSection {
  return {
    ...reader.sectionHead(),
    transports: (reader.attribute('transport') ?? '').split(/[\s,]+/).filter((transport) => transport !== ''),
    files: reader.children('File').map((element) => {
      const file = reader.within(element);
      return { fileId: file.requiredAttribute('fileRef'), path: file.requiredAttribute('path'), ...file.rest() };
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
    disks: reader.children('SharedDisk').map((element) => {
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
  const id = reader.requiredAttribute('id');
  const counts = reader.children('InstanceCount').map((element) => readInstanceCount(reader.within(element)));
  const [general, second] = counts.filter(({ configurations }) => configurations.length === 0);
  if (second !== undefined) reader.fail('ScaleOutSection has more than one InstanceCount');
  const { configurations: _, ...count } = general ?? { configurations: [] };
  const optionCounts = counts.filter(({ configurations }) => configurations.length > 0);
  return {
    ...head,
    id,
    ...present('description', reader.message('Description')),
    ...count,
    ...(optionCounts.length === 0 ? {} : { optionCounts }),
    ...reader.rest(),
  };
}

function readInstanceCount(reader: ElementReader): OptionInstanceCount {
  const counts = {
    ...present('minimum', reader.integerAttribute('minimum')),
    ...present('default', reader.integerAttribute('default')),
    ...present('maximum', reader.integerAttribute('maximum')),
    configurations: (reader.attribute('configuration') ?? '').split(/\s+/).filter((id) => id !== ''),
  };
  reader.rest();
  return counts;
}

/** Reads a PlacementGroupSection (DSP0243 2.1 9.15). */
export function readPlacementGroupSection(reader: ElementReader): PlacementGroupSection {
  return {
    ...reader.sectionHead(),
    id: reader.requiredAttribute('id'),
    ...present('policy', reader.attribute('policy')?.trim() || undefined),
    ...present('description', reader.message('Description')),
    ...reader.rest(),
  };
}

/** Reads a PlacementSection (DSP0243 2.1 9.15). */
export function readPlacementSection(reader: ElementReader): PlacementSection {
  return { ...reader.sectionHead(), group: reader.requiredAttribute('group'), ...reader.rest() };
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
