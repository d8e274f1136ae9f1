import { xmlNamespace, xsiNamespace } from '../envelope/namespaces.ts';
import { OvfError } from '../errors.ts';
import type { XmlAttribute, XmlElement } from './xml-tree.ts';

const forbidden =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;
const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\r': '&#13;',
  '\n': '&#10;',
  '\t': '&#9;',
};

function escapeText(text: string, pattern: RegExp): string {
  if (forbidden.test(text)) {
    throw new OvfError(
      'text-invalid',
      `the text ${JSON.stringify(text.slice(0, 64))} holds a character that XML cannot`,
    );
  }
  return text.replace(pattern, (character) => entities[character]!);
}

type Scope = ReadonlyMap<string, string>;

/** Writes a tree as an XML document. `prefixes` are declared on the root; others where they are first needed. */
export function formatXml(root: XmlElement, prefixes: Readonly<Record<string, string>> = {}): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${formatElement(root, new Map(), '', Object.entries(prefixes))}\n`;
}

function formatElement(element: XmlElement, outer: Scope, indent: string, declare: [string, string][]): string {
  const scope = new Map(outer);
  const declarations: string[] = [];
  const declareAs = (prefix: string, namespace: string): void => {
    scope.set(prefix, namespace);
    declarations.push(` xmlns${prefix === '' ? '' : `:${prefix}`}="${escapeText(namespace, /[&<"\r\n\t]/g)}"`);
  };
  for (const [prefix, namespace] of declare) declareAs(prefix, namespace);

  if ((scope.get(element.prefix) ?? '') !== element.namespace) declareAs(element.prefix, element.namespace);
  const own = new Set([element.prefix]);
  const qualified = ({ namespace, prefix, name }: Pick<XmlAttribute, 'namespace' | 'prefix' | 'name'>): string => {
    if (namespace === '') return name;
    if (namespace === xmlNamespace) return `xml:${name}`;
    let chosen = prefix;
    for (let n = 1; chosen === '' || (scope.get(chosen) !== namespace && own.has(chosen)); n += 1) chosen = `ns${n}`;
    if (scope.get(chosen) !== namespace) declareAs(chosen, namespace);
    own.add(chosen);
    return `${chosen}:${name}`;
  };
  const written = ({ namespace, name, value }: XmlAttribute): string => {
    const { type } = element;
    if (namespace !== xsiNamespace || name !== 'type' || type === undefined) return value;
    // The value names a type by a prefix, which must mean here what it meant where it was read.
    const [prefix = ''] = value.trim().split(':');
    return type.namespace === '' ? type.name : qualified({ ...type, prefix: value.includes(':') ? prefix : '' });
  };
  const attributes = element.attributes.map((attribute) => {
    const name = qualified(attribute);
    return ` ${name}="${escapeText(written(attribute), /[&<"\r\n\t]/g)}"`;
  });

  const name = element.prefix === '' ? element.name : `${element.prefix}:${element.name}`;
  const start = `<${name}${declarations.join('')}${attributes.join('')}`;
  if (element.children.length === 0) return `${start}/>`;
  // White space between elements is free to add only where there is no text.
  const inline = element.children.some((child) => typeof child === 'string');
  const inner = `${indent}  `;
  const children = element.children.map((child) =>
    typeof child === 'string' ? escapeText(child, /[&<>\r]/g) : formatElement(child, scope, inner, []),
  );
  if (inline) return `${start}>${children.join('')}</${name}>`;
  return `${start}>\n${children.map((child) => `${inner}${child}\n`).join('')}${indent}</${name}>`;
}
