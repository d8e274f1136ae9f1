/** A simple type: the name of one of {@link simpleTypes}. */
export type SimpleTypeName = string;

/** Elements that stand at one place of a sequence. */
export interface Particle {
  /** Local name to type name; more than one for a choice. Empty for the wildcard of other namespaces. */
  readonly elements: ReadonlyMap<string, string>;
  readonly minimum: number;
  readonly maximum: number;
  /** Any element of another namespace (`xs:any namespace="##other"`). */
  readonly isWildcard: boolean;
  /** Its absence breaks the schema and nothing else. */
  readonly isNaming: boolean;
}

export interface AttributeDeclaration {
  readonly type: SimpleTypeName;
  readonly required: boolean;
}

export interface ElementType {
  readonly name: string;
  /** Key of the namespace that its children are in. */
  readonly space: string;
  readonly particles: readonly Particle[];
  readonly attributes: ReadonlyMap<string, AttributeDeclaration>;
  /** Type of the text of an element without children. */
  readonly text?: SimpleTypeName;
}

export interface Schema {
  readonly types: ReadonlyMap<string, ElementType>;
  /** Substitution groups: head to local name to type name. */
  readonly groups: ReadonlyMap<string, ReadonlyMap<string, string>>;
}

const occurrences: Readonly<Record<string, readonly [number, number]>> = {
  '': [1, 1],
  '~': [1, 1],
  '?': [0, 1],
  '*': [0, Number.POSITIVE_INFINITY],
  '+': [1, Number.POSITIVE_INFINITY],
};

function named(text: string): [string, string] {
  const [name = '', type = 'string'] = text.split(':');
  return [name, type];
}

function particleOf(token: string): Particle {
  const [, body = '', occurrence = ''] = /^(.*?)([~?*+]?)$/.exec(token)!;
  const [minimum, maximum] = occurrences[occurrence]!;
  const isWildcard = body === 'other';
  const alternatives = body.replace(/^\(|\)$/g, '').split('|');
  return {
    elements: new Map(isWildcard ? [] : alternatives.map(named)),
    minimum,
    maximum,
    isWildcard,
    isNaming: occurrence === '~',
  };
}

function attributeOf(token: string): [string, AttributeDeclaration] {
  const [name, type] = named(token.replace('!', ''));
  return [name, { type, required: token.includes('!') }];
}

/**
 * Reads a schema in a compact form, a line for each type:
 *
 *     Name [space] = child:Type? child* (one:Type|other:Type)* other* @ attribute! attribute:simpleType
 *     Name = text:simpleType @ attribute
 *     group Head = element:Type element:Type
 *
 * `?`, `*`, `+` are occurrences, `~` is a required element that only names something, `!` a required attribute, `other*`
 * the elements of other namespaces. What has no type is a string.
 */
export function parseSchema(source: string): Schema {
  const types = new Map<string, ElementType>();
  const groups = new Map<string, ReadonlyMap<string, string>>();
  for (const line of source.split('\n')) {
    if (line.trim() === '') continue;
    const [head = '', body = ''] = line.split(' = ').map((part) => part.trim());
    const [first = '', second] = head.split(' ');
    if (first === 'group') {
      groups.set(second!, new Map(body.split(' ').map(named)));
      continue;
    }
    const [children = '', attributes = ''] = body.split('@').map((part) => part.trim());
    const text = /^text(?::(\w+))?$/.exec(children);
    types.set(first, {
      name: first,
      space: second ?? 'ovf',
      particles: text || children === '' ? [] : children.split(' ').map(particleOf),
      attributes: new Map(attributes === '' ? [] : attributes.split(' ').map(attributeOf)),
      ...(text ? { text: text[1] ?? 'string' } : {}),
    });
  }
  return { types, groups };
}
