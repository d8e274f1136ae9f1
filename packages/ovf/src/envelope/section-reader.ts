import { childElements, type XmlElement } from '../xml/xml-tree.ts';
import { ElementReader } from './element-reader.ts';
import type { UnknownSection } from './envelope.ts';
import { envelope2Namespace, envelopeNamespace, vmwareNamespace } from './namespaces.ts';

/** Sections of the specification: each belongs in one place, and is refused elsewhere. */
const specified = new Set([
  'AnnotationSection',
  'DeploymentOptionSection',
  'DiskSection',
  'EulaSection',
  'InstallSection',
  'NetworkSection',
  'OperatingSystemSection',
  'ProductSection',
  'ResourceAllocationSection',
  'StartupSection',
  'VirtualHardwareSection',
]);

/** Sections of 2.x that are kept as they are until a deployer asks for them. */
const kept = new Set([
  'BootDeviceSection',
  'EnvironmentFilesSection',
  'PlacementGroupSection',
  'PlacementSection',
  'ScaleOutSection',
  'SharedDiskSection',
]);

/** Parts of an envelope or of a content that are not sections. */
const otherParts = new Set(['References', 'Info', 'Name', 'VirtualSystem', 'VirtualSystemCollection', 'Strings']);

type SectionReaders = Readonly<Record<string, (reader: ElementReader) => unknown>>;

interface SectionsRead<Readers extends SectionReaders> {
  all<Name extends keyof Readers & string>(name: Name): ReturnType<Readers[Name]>[];
  /** The only section of its kind. Throws `envelope-invalid` for a second one. */
  one<Name extends keyof Readers & string>(name: Name): ReturnType<Readers[Name]> | undefined;
  readonly others: readonly UnknownSection[];
}

/** Reads the sections of an envelope or content: those that belong here by their readers, the others kept or refused. */
export function readSections<const Readers extends SectionReaders>(
  reader: ElementReader,
  readers: Readers,
): SectionsRead<Readers> {
  const read = new Map<string, unknown[]>();
  const others: UnknownSection[] = [];
  for (const element of childElements(reader.element)) {
    const known = element.namespace === envelopeNamespace;
    if (known && otherParts.has(element.name)) continue;
    reader.children(element.name, element.namespace);
    const section = new ElementReader(element, reader.context);
    if (known && Object.hasOwn(readers, element.name)) {
      const list = read.get(element.name) ?? [];
      list.push(readers[element.name]!(section));
      read.set(element.name, list);
    } else {
      others.push(readUnknownSection(section, reader.element));
    }
  }
  return {
    all: (name) => (read.get(name) ?? []) as never,
    one: (name) => {
      const list = read.get(name) ?? [];
      if (list.length > 1) reader.fail(`${reader.element.name} has more than one ${name}`);
      return list[0] as never;
    },
    others,
  };
}

function readUnknownSection(reader: ElementReader, parent: XmlElement): UnknownSection {
  const { namespace, name } = reader.element;
  if (namespace === envelopeNamespace && specified.has(name)) reader.fail(`${name} does not belong in ${parent.name}`);
  const said = reader.booleanAttribute('required');
  const understood =
    namespace === vmwareNamespace ||
    ((namespace === envelopeNamespace || namespace === envelope2Namespace) && kept.has(name));
  if (said !== false && !understood) {
    reader.fail(
      `the section ${name} of the namespace "${namespace}" is required and not understood`,
      'section-unknown',
    );
  }
  reader.warn(`the section ${name} is kept but has no effect`);
  return { namespace, name, required: said ?? true, element: reader.element };
}
