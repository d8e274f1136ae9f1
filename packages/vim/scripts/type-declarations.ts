import { type SourceSchema, type SourceType, wireBase, wireType } from './compact-schema.ts';

const primitives: Readonly<Record<string, string>> = {
  string: 'string',
  boolean: 'boolean',
  byte: 'number',
  short: 'number',
  int: 'number',
  long: 'number | bigint',
  float: 'number',
  double: 'number',
  dateTime: 'string',
  base64Binary: 'string',
  anyType: 'AnyValue',
  TypeName: 'string',
  MethodName: 'string',
  PropertyPath: 'string',
  Link: 'string',
};

/** Types only: never loaded at run time. */
export function typeDeclarations(source: SourceSchema): string {
  const out = [
    '// Written by scripts/generate.ts from schema/. Do not edit.',
    "import type { AnyValue, DataObject, ManagedObjectReference } from '../schema/values.ts';",
    '',
  ];
  /** The type and all that derive from it: a reference declared with a base may name any of them. */
  const family = (base: string): string[] => [
    base,
    ...Object.keys(source.types)
      .sort()
      .filter((name) => source.types[name]?.kind === 'managed' && source.types[name]?.base === base)
      .flatMap(family),
  ];
  const reference = (type: string): string => {
    const array = type.endsWith('[]');
    const name = array ? type.slice(0, -2) : type;
    const kind = source.types[name]?.kind;
    let text = primitives[name];
    if (name === 'ManagedObject') text = 'ManagedObjectReference';
    else if (kind === 'managed')
      text = `ManagedObjectReference<${family(name)
        .map((member) => `'${member}'`)
        .join(' | ')}>`;
    else text ??= name;
    if (!array) return text;
    return text.includes('|') && !text.endsWith('>') ? `readonly (${text})[]` : `readonly ${text}[]`;
  };
  const names = Object.keys(source.types).sort();
  const of = (kind: SourceType['kind']) => names.filter((name) => source.types[name]?.kind === kind);

  for (const name of of('enum')) {
    const values = source.types[name]?.values ?? [];
    out.push(`export type ${name} = ${values.map((v) => `'${v}'`).join(' | ')};`);
  }
  for (const name of of('data')) {
    const type = source.types[name] as SourceType;
    const base = wireBase(name, type);
    const rows = (type.props ?? []).map(
      (p) =>
        `  readonly ${p.name}${p.optional ? '?' : ''}: ${reference(wireType(source, name, p))}${p.optional ? ' | undefined' : ''};`,
    );
    if (base === '') rows.unshift('  readonly _typeName?: string;');
    out.push(`export interface ${name}${base ? ` extends ${base}` : ''} {`, ...rows, '}');
  }
  out.push('export interface ManagedObjectProperties {}', 'export interface ManagedObjectMethods {}');
  for (const name of of('managed')) {
    const type = source.types[name] as SourceType;
    const base = type.base ?? 'ManagedObject';
    out.push(`export interface ${name}Properties extends ${base}Properties {`);
    for (const p of type.props ?? []) {
      out.push(
        `  readonly ${p.name}${p.optional ? '?' : ''}: ${reference(wireType(source, name, p))}${p.optional ? ' | undefined' : ''};`,
      );
    }
    out.push('}', `export interface ${name}Methods extends ${base}Methods {`);
    for (const m of type.methods ?? []) {
      const args = m.params.map(
        (p) =>
          `readonly ${p.name}${p.optional ? '?' : ''}: ${reference(wireType(source, name, p))}${p.optional ? ' | undefined' : ''}`,
      );
      const result = m.returns
        ? `${reference(wireType(source, name, { name: 'returnval', type: m.returns }))}${m.returnsOptional ? ' | undefined' : ''}`
        : 'void';
      out.push(`  ${m.name}: { args: { ${args.join('; ')} }; result: ${result} };`);
    }
    out.push('}');
  }
  out.push('/** Every data type by its name. */', 'export interface DataTypes {');
  for (const name of of('data')) out.push(`  ${name}: ${name};`);
  out.push('}', '/** Every managed type by its name. */', 'export interface ManagedTypes {');
  for (const name of of('managed')) {
    out.push(`  ${name}: { properties: ${name}Properties; methods: ${name}Methods };`);
  }
  out.push('}', '');
  return out.join('\n');
}
