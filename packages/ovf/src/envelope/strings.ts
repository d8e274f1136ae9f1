import { OvfError } from '../errors.ts';
import { IssueLog } from '../validation/issue-log.ts';
import { parseXml, type XmlLimits } from '../xml/xml-reader.ts';
import { childElements, textOf, type XmlElement } from '../xml/xml-tree.ts';
import { ElementReader, present, type ReadContext } from './element-reader.ts';
import type { Envelope, LocalizedText, StringBundle } from './envelope.ts';
import { envelopeNamespace, xmlNamespace } from './namespaces.ts';

/**
 * A text in a language: the bundle's message of exactly this language, of its primary language (`de` for `de-DE`), else the
 * text itself (DSP0243 10.1). `bundles` are those that were read from files of the package.
 */
export function localize(
  envelope: Envelope,
  text: LocalizedText,
  language: string,
  bundles: readonly StringBundle[] = [],
): string {
  const { messageId } = text;
  if (messageId === undefined) return text.text;
  const wanted = language.toLowerCase().replaceAll('_', '-');
  const primary = wanted.split('-')[0]!;
  const all = [...envelope.strings, ...bundles];
  const find = (matches: (candidate: string) => boolean) =>
    all.find((bundle) => matches((bundle.language ?? '').toLowerCase()) && bundle.messages[messageId] !== undefined);
  const bundle =
    find((candidate) => candidate === wanted) ??
    find((candidate) => candidate === primary) ??
    find((candidate) => candidate.split('-')[0] === primary);
  return bundle?.messages[messageId] ?? text.text;
}

/** Reads a string bundle that is a file of the package: a `Strings` document. Throws `not-an-envelope` for another one. */
export function parseStringBundle(source: string | Uint8Array, options: XmlLimits = {}): StringBundle {
  const root = parseXml(source, options);
  if (root.name !== 'Strings') {
    throw new OvfError('not-an-envelope', `the root element is ${root.name}, not Strings`, { file: options.fileName });
  }
  return readStrings(unify(root), { fileName: options.fileName, version: '1', log: new IssueLog('lax', true) });
}

/** Strings and Msg in the namespace of the envelope, whatever version theirs is of. */
function unify(element: XmlElement): XmlElement {
  return {
    ...element,
    namespace: envelopeNamespace,
    attributes: element.attributes.map((attribute) =>
      attribute.namespace === element.namespace ? { ...attribute, namespace: envelopeNamespace } : attribute,
    ),
    children: childElements(element).map((child) => ({
      ...child,
      namespace: envelopeNamespace,
      attributes: child.attributes.map((attribute) =>
        attribute.namespace === child.namespace ? { ...attribute, namespace: envelopeNamespace } : attribute,
      ),
    })),
  };
}

/** Reads a Strings element (DSP0243 10). */
export function readStrings(element: XmlElement, context: ReadContext): StringBundle {
  const reader = new ElementReader(element, context);
  const messages: Record<string, string> = Object.create(null);
  for (const child of reader.children('Msg')) {
    const message = reader.within(child);
    const id = message.requiredAttribute('msgid');
    if (messages[id] !== undefined) message.report('message-unique', `the message "${id}" is there twice`);
    messages[id] = textOf(child);
  }
  return {
    ...present('language', reader.attribute('lang', xmlNamespace)),
    ...present('fileId', reader.attribute('fileRef') || undefined),
    messages,
    ...reader.rest(),
  };
}
