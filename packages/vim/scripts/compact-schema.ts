export interface SourceProperty {
  readonly name: string;
  readonly type: string;
  readonly optional?: boolean;
  readonly since: string;
  readonly priv?: string;
  readonly secret?: boolean;
  readonly link?: boolean;
}

export interface SourceMethod {
  readonly name: string;
  readonly params: readonly { readonly name: string; readonly type: string; readonly optional?: boolean }[];
  readonly returns?: string;
  readonly returnsOptional?: boolean;
  readonly taskResult?: string;
  readonly priv?: string;
  readonly faults?: readonly string[];
  readonly since: string;
}

export interface SourceType {
  readonly kind: 'data' | 'enum' | 'managed';
  readonly vmodl: string;
  readonly base?: string;
  readonly since: string;
  readonly props?: readonly SourceProperty[];
  readonly methods?: readonly SourceMethod[];
  readonly values?: readonly string[];
}

export interface SourceSchema {
  readonly release: string;
  readonly namespace: string;
  readonly types: Readonly<Record<string, SourceType>>;
}

/** True for a type that is a fault, or a base of one. */
export function isFault(source: SourceSchema, name: string): boolean {
  for (let at: string | undefined = name; at !== undefined; at = source.types[at]?.base) {
    if (at === 'MethodFault') return true;
  }
  return false;
}

/**
 * The type that goes over the wire. A property of a fault type carries a LocalizedMethodFault; only that wrapper's own
 * `fault` carries the fault itself.
 */
export function wireType(source: SourceSchema, owner: string, property: { name: string; type: string }): string {
  if (owner === 'LocalizedMethodFault') return property.type;
  const array = property.type.endsWith('[]') ? '[]' : '';
  const name = array ? property.type.slice(0, -2) : property.type;
  return name !== 'LocalizedMethodFault' && isFault(source, name) ? `LocalizedMethodFault${array}` : property.type;
}

const flag = { optional: 1, secret: 2, link: 4 };

/** The base as the XSD has it: LocalizedMethodFault is plain data, not a fault. */
export function wireBase(name: string, type: SourceType): string {
  if (name === 'LocalizedMethodFault') return 'DynamicData';
  if (name === 'DynamicData') return '';
  return type.base ?? '';
}

/** One line a type: name, tab, JSON array. Read by src/schema/schema.ts. */
export function compactSchema(source: SourceSchema): string {
  const lines = [`${source.release}\t${source.namespace}`];
  for (const name of Object.keys(source.types).sort()) {
    const type = source.types[name] as SourceType;
    if (type.kind === 'enum') {
      lines.push(`${name}\t${JSON.stringify(['E', type.vmodl, type.since, type.values])}`);
      continue;
    }
    const props = (type.props ?? []).map((p) => {
      const flags = (p.optional ? flag.optional : 0) | (p.secret ? flag.secret : 0) | (p.link ? flag.link : 0);
      const row: unknown[] = [p.name, wireType(source, name, p), flags, p.since];
      if (p.priv) row.push(p.priv);
      return row;
    });
    if (type.kind === 'data') {
      lines.push(`${name}\t${JSON.stringify(['D', type.vmodl, type.since, wireBase(name, type), props])}`);
      continue;
    }
    const methods = (type.methods ?? []).map((m) => [
      m.name,
      m.params.map((p) => [p.name, wireType(source, name, p), p.optional ? flag.optional : 0]),
      m.returns ? wireType(source, name, { name: 'returnval', type: m.returns }) : '',
      m.returnsOptional ? 1 : 0,
      m.taskResult ?? '',
      m.priv ?? '',
      m.faults ?? [],
      m.since,
    ]);
    lines.push(`${name}\t${JSON.stringify(['M', type.vmodl, type.since, type.base ?? '', props, methods])}`);
  }
  return `${lines.join('\n')}\n`;
}
