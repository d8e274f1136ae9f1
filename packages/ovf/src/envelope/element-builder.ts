import type { XmlAttribute, XmlElement } from '../xml/xml-tree.ts';
import type { Extensible, LocalizedText, Section } from './envelope.ts';
import { envelopeNamespace, vmwareNamespace } from './namespaces.ts';

export type AttributeValue = string | number | boolean | undefined;
export type Child = XmlElement | string | undefined;

/** An attribute of the envelope's namespace (`ovf:`); nothing for an absent value. */
export function ovfAttributes(values: Readonly<Record<string, AttributeValue>>): XmlAttribute[] {
  return attributesOf(values, envelopeNamespace, 'ovf');
}

/** An attribute of VMware's namespace (`vmw:`). */
export function vmwareAttributes(values: Readonly<Record<string, AttributeValue>>): XmlAttribute[] {
  return attributesOf(values, vmwareNamespace, 'vmw');
}

function attributesOf(values: Readonly<Record<string, AttributeValue>>, namespace: string, prefix: string) {
  return Object.entries(values)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ({ namespace, prefix, name, value: String(value) }));
}

export function element(
  name: string,
  attributes: readonly XmlAttribute[],
  children: readonly Child[],
  namespace: string = envelopeNamespace,
  prefix = '',
): XmlElement {
  return { namespace, prefix, name, attributes, children: children.filter((child) => child !== undefined) };
}

/** An element with what its value kept of the descriptor that it was read from. */
export function extended(
  name: string,
  source: Extensible,
  attributes: readonly XmlAttribute[],
  children: readonly Child[],
) {
  return element(name, [...attributes, ...(source.attributes ?? [])], [...children, ...(source.extensions ?? [])]);
}

/** A section: Info first. */
export function section(
  name: string,
  source: Section,
  attributes: readonly XmlAttribute[],
  children: readonly Child[],
) {
  return extended(
    name,
    source,
    [...ovfAttributes({ required: source.required }), ...attributes],
    [message('Info', source.info), ...children],
  );
}

export function message(name: string, text: LocalizedText | undefined, namespace?: string, prefix?: string): Child {
  if (text === undefined) return undefined;
  return element(
    name,
    [...ovfAttributes({ msgid: text.messageId }), ...(text.attributes ?? [])],
    text.text === '' ? [] : [text.text],
    namespace,
    prefix,
  );
}

export function textElement(name: string, value: AttributeValue, namespace?: string, prefix?: string): Child {
  return value === undefined ? undefined : element(name, [], value === '' ? [] : [String(value)], namespace, prefix);
}
