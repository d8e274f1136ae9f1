/** An attribute with its namespace resolved; `namespace` is empty for an unprefixed one. */
export interface XmlAttribute {
  readonly namespace: string;
  readonly prefix: string;
  readonly name: string;
  readonly value: string;
}

/** An element with its namespace resolved; comments and processing instructions are not kept. */
export interface XmlElement {
  readonly namespace: string;
  readonly prefix: string;
  readonly name: string;
  readonly attributes: readonly XmlAttribute[];
  readonly children: readonly (XmlElement | string)[];
  /** Namespace and local name that `xsi:type` names. */
  readonly type?: { readonly namespace: string; readonly name: string };
  /** Line of the start tag, from 1; absent on an element that was not read. */
  readonly line?: number;
}

/** Child elements, without text. */
export function childElements(element: XmlElement): XmlElement[] {
  return element.children.filter((child) => typeof child !== 'string');
}

/** The element's own text, without that of its children. */
export function textOf(element: XmlElement): string {
  return element.children.filter((child) => typeof child === 'string').join('');
}
