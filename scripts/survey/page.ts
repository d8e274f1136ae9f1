import { loadSchema, type ManagedTypeName } from '@hypostyle/vim';
import type { Answered, Survey } from './survey.ts';

/** The page `docs/coverage.md` of what a survey found. */
export function coveragePage({ host, center }: Survey, types: readonly ManagedTypeName[]): string {
  const schema = loadSchema();
  const rows: string[][] = [head];
  const absent: string[] = [];
  for (const type of types) {
    const of = schema.managed(type);
    const methods = of?.methods.size ?? 0;
    const properties = of?.properties.length ?? 0;
    const [onHost, onCenter] = [host.get(type), center.get(type)];
    if (onHost === undefined && onCenter === undefined) {
      if (methods + properties > 0) absent.push(type);
      continue;
    }
    const cells = [
      share(onHost?.methods.size, methods),
      share(onCenter?.methods.size, methods),
      share(onHost?.properties.size, properties),
      share(onCenter?.properties.size, properties),
    ];
    rows.push([type, ...cells]);
  }
  const names = methodNames(types);
  return `# Coverage

Made from the code by \`npm run coverage\`; a test tells when it is old. The model is ${schema.namespace} ${schema.release}.

A method counts as done where an object of the type answers it, inherited ones included; at a center also where it passes it on to a host that does it. What is not done answers \`NotSupported\`. A property counts as done where an object of the type has a value for it. A dash says that the endpoint has no object of the type.

Of ${names.size} methods, a host does ${done(host, names)} and a center ${done(center, names)}.

${table(rows)}

## Not there yet

${absent.join(', ')}.
`;
}

const head = ['Managed object', 'Methods, host', 'Methods, center', 'Properties, host', 'Properties, center'];

/** A table with columns of equal width, as the formatter writes it. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = head.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const [first = '', ...others] = rows.map(
    (row) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`,
  );
  return [first, `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...others].join('\n');
}

function share(count: number | undefined, all: number): string {
  return count === undefined ? '–' : `${count} of ${all}`;
}

function methodNames(types: readonly ManagedTypeName[]): Set<string> {
  const schema = loadSchema();
  return new Set(types.flatMap((type) => [...(schema.managed(type)?.methods.keys() ?? [])]));
}

/** How many methods some object answers. */
function done(endpoint: ReadonlyMap<string, Answered>, names: ReadonlySet<string>): number {
  const found = new Set([...endpoint.values()].flatMap(({ methods }) => [...methods]));
  return [...found].filter((name) => names.has(name)).length;
}
