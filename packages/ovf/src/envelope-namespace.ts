import type { EnvelopeVersion } from './envelope.ts';
import { envelope09Namespace, envelope2Namespace, envelopeNamespace, xsiNamespace } from './namespaces.ts';
import type { XmlElement } from './xml-tree.ts';

const versions: Readonly<Record<string, EnvelopeVersion>> = {
  [envelope09Namespace]: '0.9',
  [envelopeNamespace]: '1',
  [envelope2Namespace]: '2',
};

/** The version that the root element's namespace says; absent for another document. */
export function envelopeVersion(root: XmlElement): EnvelopeVersion | undefined {
  return root.name === 'Envelope' && Object.hasOwn(versions, root.namespace) ? versions[root.namespace] : undefined;
}

/**
 * The tree with the root's namespace put in place of that of 1.x, so that one reader reads every version. Elements
 * without a namespace are taken for the envelope's. The 0.9 draft names its sections and contents by `xsi:type`:
 * `<Section xsi:type="ovf:DiskSection_Type">` becomes `<DiskSection>`.
 */
export function unifyNamespace(element: XmlElement, root: string = element.namespace): XmlElement {
  const own = element.namespace === root || element.namespace === '';
  const type = own && (element.name === 'Section' || element.name === 'Content') ? element.type : undefined;
  const typed = type !== undefined && (type.namespace === root || type.namespace === '');
  const attributes = element.attributes
    .filter((attribute) => !(type !== undefined && attribute.namespace === xsiNamespace && attribute.name === 'type'))
    .map((attribute) => (attribute.namespace === root ? { ...attribute, namespace: envelopeNamespace } : attribute));
  return {
    ...element,
    namespace: type !== undefined && !typed ? type.namespace : own ? envelopeNamespace : element.namespace,
    name: type === undefined ? element.name : type.name.replace(/_Type$/, ''),
    attributes,
    children: element.children.map((child) => (typeof child === 'string' ? child : unifyNamespace(child, root))),
  };
}
