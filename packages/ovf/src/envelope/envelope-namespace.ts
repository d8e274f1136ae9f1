import { childElements, type XmlElement } from '../xml/xml-tree.ts';
import type { EnvelopeVersion } from './envelope.ts';
import { envelope2Namespace, envelope09Namespace, envelopeNamespace, xsiNamespace } from './namespaces.ts';

const versions: Readonly<Record<string, EnvelopeVersion>> = {
  [envelope09Namespace]: '0.9',
  [envelopeNamespace]: '1',
  [envelope2Namespace]: '2',
};

/** Where some tools put Strings, or mean to: the prefix is usually not even declared. */
const stringsNamespaces = new Set(['http://schemas.dmtf.org/ovf/strings/1', 'urn:x-unbound:ovfstr']);

/** Namespaces of CIM's classes, which tools of 2.x also write as the address of the schema: `….xsd`. */
function unifyClass(namespace: string): string {
  return namespace.startsWith('http://schemas.dmtf.org/wbem/wscim/1/') ? namespace.replace(/\.xsd$/, '') : namespace;
}

/** The namespace of the envelope: the root's, or that of the attributes where elements have none. */
function rootNamespace(root: XmlElement): string {
  if (root.namespace !== '') return root.namespace;
  const file = childElements(root)
    .filter((child) => child.name === 'References')
    .flatMap(childElements)[0];
  return file?.attributes.find((attribute) => Object.hasOwn(versions, attribute.namespace))?.namespace ?? '';
}

/** The version that the root element's namespace says, with the tree as {@link unifyNamespace} makes it. */
export function unifyEnvelope(root: XmlElement): { version: EnvelopeVersion; root: XmlElement } | undefined {
  const namespace = rootNamespace(root);
  if (root.name !== 'Envelope' || !Object.hasOwn(versions, namespace)) return undefined;
  return { version: versions[namespace]!, root: unifyNamespace(root, namespace) };
}

/**
 * The tree with the root's namespace put in place of that of 1.x, so that one reader reads every version. Elements
 * without a namespace are taken for the envelope's. The 0.9 draft names its sections and contents by `xsi:type`:
 * `<Section xsi:type="ovf:DiskSection_Type">` becomes `<DiskSection>`.
 */
function unifyNamespace(element: XmlElement, root: string): XmlElement {
  const own =
    element.namespace === root ||
    element.namespace === '' ||
    (element.name === 'Strings' && stringsNamespaces.has(element.namespace));
  const type = own && (element.name === 'Section' || element.name === 'Content') ? element.type : undefined;
  const typed = type !== undefined && (type.namespace === root || type.namespace === '');
  const attributes = element.attributes
    .filter((attribute) => !(type !== undefined && attribute.namespace === xsiNamespace && attribute.name === 'type'))
    .map((attribute) => (attribute.namespace === root ? { ...attribute, namespace: envelopeNamespace } : attribute));
  const { type: _, ...rest } = element;
  return {
    ...(type === undefined ? element : rest),
    namespace: type !== undefined && !typed ? type.namespace : own ? envelopeNamespace : unifyClass(element.namespace),
    name: type === undefined ? element.name : type.name.replace(/_Type$/, ''),
    attributes,
    children: element.children.map((child) => (typeof child === 'string' ? child : unifyNamespace(child, root))),
  };
}

/** A section of 2.x in an envelope of 1.x as it would be in one of 2.x; any other as it is. */
export function unifySection(section: XmlElement): XmlElement {
  if (section.namespace !== envelope2Namespace) return section;
  const own = (namespace: string) => (namespace === envelope2Namespace ? envelopeNamespace : namespace);
  const unify = (element: XmlElement): XmlElement => ({
    ...element,
    namespace: own(element.namespace),
    attributes: element.attributes.map((attribute) => ({ ...attribute, namespace: own(attribute.namespace) })),
    children: element.children.map((child) => (typeof child === 'string' ? child : unify(child))),
  });
  return unify(section);
}
