import { isEncryptedData } from '../encryption/encryption-elements.ts';
import { childElements, type XmlElement } from '../xml/xml-tree.ts';
import { ElementReader } from './element-reader.ts';
import type { UnknownSection } from './envelope.ts';
import { unifySection } from './envelope-namespace.ts';
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

/** Sections of 2.x, which descriptors of 1.x have too, in the namespace of 2.x. */
const specified2 = new Set([
  'BootDeviceSection',
  'EncryptionSection',
  'EnvironmentFilesSection',
  'PlacementGroupSection',
  'PlacementSection',
  'ScaleOutSection',
  'SharedDiskSection',
]);

/** Parts of an envelope or of a content that are not sections. */
const otherParts = new Set(['References', 'Info', 'Name', 'VirtualSystem', 'VirtualSystemCollection', 'Strings']);

type SectionReaders = Readonly<Record<string, (reader: ElementReader) => unknown>>;

export interface SectionsRead<Readers extends SectionReaders> {
  all<Name extends keyof Readers & string>(name: Name): ReturnType<Readers[Name]>[];
  /** {@link SectionsRead.all}, or nothing where there is none. */
  some<Name extends keyof Readers & string>(name: Name): ReturnType<Readers[Name]>[] | undefined;
  /** The only section of its kind. A second one is merged into the first, or throws `envelope-invalid`. */
  one<Name extends keyof Readers & string>(
    name: Name,
    merge?: (first: ReturnType<Readers[Name]>, second: ReturnType<Readers[Name]>) => ReturnType<Readers[Name]>,
  ): ReturnType<Readers[Name]> | undefined;
  readonly others: readonly UnknownSection[];
  /** Names of the sections in their order, `*` for one of the others. */
  readonly order: readonly string[];
}

/** The name by which a reader knows a section: its own, with `vmw:` before those of VMware. */
function keyOf(element: XmlElement): string | undefined {
  if (element.namespace === envelopeNamespace) return element.name;
  if (element.namespace === envelope2Namespace && specified2.has(element.name)) return element.name;
  return element.namespace === vmwareNamespace ? `vmw:${element.name}` : undefined;
}

/** Reads the sections of an envelope or content: those that belong here by their readers, the others kept or refused. */
export function readSections<const Readers extends SectionReaders>(
  reader: ElementReader,
  readers: Readers,
): SectionsRead<Readers> {
  const read = new Map<string, { readonly values: unknown[]; readonly elements: XmlElement[] }>();
  const others: UnknownSection[] = [];
  const order: string[] = [];
  for (const element of childElements(reader.element)) {
    if (element.namespace === envelopeNamespace && otherParts.has(element.name)) continue;
    reader.take(element);
    const key = keyOf(element);
    const reading = key !== undefined && Object.hasOwn(readers, key) ? readers[key] : undefined;
    if (key === undefined || reading === undefined) {
      order.push('*');
      others.push(readUnknownSection(new ElementReader(element, reader.context), reader.element));
      continue;
    }
    order.push(key);
    const list = read.get(key) ?? { values: [], elements: [] };
    read.set(key, list);
    list.elements.push(element);
    list.values.push((reading as SectionReaders[string])(new ElementReader(unifySection(element), reader.context)));
  }
  return {
    all: (name) => (read.get(name)?.values ?? []) as never,
    some: (name) => read.get(name)?.values as never,
    one: (name, merge) => {
      const { values, elements } = read.get(name) ?? { values: [], elements: [] };
      const second = elements[1];
      if (second === undefined) return values[0] as never;
      const where = new ElementReader(second, reader.context);
      if (merge === undefined) return where.fail(`${reader.element.name} has more than one ${name}`);
      where.report('section-once', `${reader.element.name} has more than one ${name}; they are read as one`);
      return values.reduce((first, next) => merge(first as never, next as never)) as never;
    },
    others,
    order,
  };
}

function readUnknownSection(reader: ElementReader, parent: XmlElement): UnknownSection {
  const { namespace, name } = reader.element;
  if (namespace === envelopeNamespace && specified.has(name)) reader.fail(`${name} does not belong in ${parent.name}`);
  if (isEncryptedData(reader.element))
    reader.fail('a part of the descriptor is encrypted; it takes the passphrase of the package', 'encrypted');
  const said = reader.booleanAttribute('required');
  const understood =
    namespace === vmwareNamespace ||
    ((namespace === envelopeNamespace || namespace === envelope2Namespace) && specified2.has(name));
  if (said !== false && !understood) {
    reader.fail(
      `the section ${name} of the namespace "${namespace}" is required and not understood`,
      'section-unknown',
    );
  }
  reader.report('section-kept', `the section ${name} is kept but has no effect`);
  return { namespace, name, required: said ?? true, element: reader.element };
}
