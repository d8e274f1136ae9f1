import { formatBytes } from '../output/format.ts';
import { formatTable, printable } from '../output/table.ts';
import type { PackageSummary } from './package-summary.ts';

/** The picture of a package for people: a block a subject, empty ones left out. */
export function describeSummary(summary: PackageSummary, { licences }: { readonly licences: boolean }): string {
  return [
    overview(summary),
    ...summary.annotations.map((text) => block('Annotation', wrapped(text))),
    ...summary.systems.map((system) => systemBlock(system)),
    table('Networks', ['NAME', 'DESCRIPTION'], summary.networks, ({ name, description }) => [name, description]),
    table('Disks', ['ID', 'CAPACITY', 'USED', 'FORMAT', 'FILE', 'DELTA OF'], summary.disks, (disk) => [
      disk.id,
      typeof disk.capacity === 'number' ? formatBytes(disk.capacity) : disk.capacity,
      disk.populated === undefined ? undefined : formatBytes(disk.populated),
      disk.format,
      disk.file,
      disk.parent,
    ]),
    table(
      'Files',
      ['NAME', 'SIZE', 'STORED'],
      summary.files,
      ({ href, size, compression, chunkSize, encrypted, outside }) => [
        href,
        size === undefined ? undefined : formatBytes(size),
        [
          outside ? 'elsewhere: not in the package' : undefined,
          encrypted ? 'encrypted' : undefined,
          compression === 'gzip' ? 'gzip' : undefined,
          chunkSize === undefined ? undefined : `in chunks of ${formatBytes(chunkSize)}`,
        ]
          .filter((one) => one !== undefined)
          .join(', '),
      ],
    ),
    table('Deployment options', ['ID', 'LABEL', 'DESCRIPTION'], summary.options, (option) => [
      option.default ? `${option.id} (default)` : option.id,
      option.label,
      option.description,
    ]),
    table('Scales out', ['ID', 'COUNT', 'FROM', 'TO', 'DESCRIPTION'], summary.scaleOut, (one) => [
      one.id,
      String(one.default),
      String(one.minimum),
      one.maximum === undefined ? 'any' : String(one.maximum),
      one.description,
    ]),
    table('Placement', ['GROUP', 'POLICY', 'MACHINES', 'DESCRIPTION'], summary.placement, (group) => [
      group.id,
      group.policy,
      group.systems.join(', '),
      group.description,
    ]),
    table('Properties', ['KEY', 'TYPE', 'VALUE', 'LABEL'], summary.properties, (property) => [
      property.key,
      property.type,
      property.password ? '(password)' : property.needed ? '(needed)' : property.value,
      `${property.label ?? ''}${property.userConfigurable ? '' : ' (fixed)'}`,
    ]),
    ...summary.licences.map(({ of, text }) =>
      licences
        ? block(`Licence of ${printable(of)}`, wrapped(text))
        : block(`Licence of ${printable(of)}`, `${text.length} characters; --eula shows it`),
    ),
    summary.warnings.length === 0
      ? undefined
      : block('Warnings', summary.warnings.map((warning) => printable(warningLine(warning))).join('\n')),
  ]
    .filter((part) => part !== undefined)
    .join('\n\n');
}

function overview({
  name,
  descriptor,
  ovfVersion,
  products,
  storedBytes,
  manifest,
  signature,
}: PackageSummary): string {
  return [
    fact('name', name),
    ...products.flatMap(({ product, vendor, version, url }) => [
      fact('product', [product, version].filter(Boolean).join(' ')),
      fact('vendor', vendor),
      fact('more at', url),
    ]),
    fact('descriptor', `${descriptor}, OVF ${ovfVersion}`),
    fact('stored', formatBytes(storedBytes)),
    fact('manifest', manifest.length === 0 ? 'none' : manifest.join(', ')),
    fact('signature', [signature.detail, ...signature.weaknesses.map((one) => `${one}.`)].join(' ')),
  ]
    .filter((line) => line !== undefined)
    .join('\n');
}

function systemBlock(system: PackageSummary['systems'][number]): string {
  const { name, id, guest, cpus, memoryMiB, firmware, families, disks, nics, drives, environment } = system;
  const lines = [
    fact('guest', guest),
    cpus === undefined || memoryMiB === undefined
      ? fact('hardware', 'cannot be built; see the warnings')
      : fact(
          'hardware',
          `${cpus === 1 ? 'one CPU' : `${cpus} CPUs`}, ${formatBytes(memoryMiB * 2 ** 20)}, ${firmware}, ${families.join(' ') || 'any'}`,
        ),
    ...disks.map(({ label, capacity, file, parent }) =>
      fact(
        'disk',
        [
          label,
          typeof capacity === 'number' ? formatBytes(capacity) : capacity,
          file ?? 'empty',
          parent === undefined ? undefined : `a delta of ${parent}`,
        ]
          .filter(Boolean)
          .join(', '),
      ),
    ),
    ...nics.map(({ label, model, network }) => fact('network', `${label}, ${model}, ${network ?? 'on none'}`)),
    ...drives.map(({ label, file }) => fact('drive', `${label}, ${file ?? 'empty'}`)),
    fact('environment', environment.join(', ')),
  ];
  return block(
    name === id ? `Machine ${printable(id)}` : `Machine ${printable(name)} (${printable(id)})`,
    lines.filter((line) => line !== undefined).join('\n'),
  );
}

function fact(label: string, value: string | undefined): string | undefined {
  return value ? `${label.padEnd(16)} ${printable(value)}` : undefined;
}

function block(title: string, body: string): string {
  return `${title}\n${body.replace(/^/gm, '  ')}`;
}

function table<T>(
  title: string,
  head: readonly string[],
  rows: readonly T[],
  cells: (row: T) => readonly (string | undefined)[],
): string | undefined {
  if (rows.length === 0) return undefined;
  return block(
    title,
    formatTable(
      head,
      rows.map((row) => cells(row).map((cell) => cell ?? '')),
    ),
  );
}

/** A text of several lines, each harmless to a terminal. */
function wrapped(text: string): string {
  return text
    .split(/\r\n|\n|\r/)
    .map((line) => printable(line.trim()))
    .join('\n');
}

/** Where, then what. */
export function warningLine({
  detail,
  file,
  line,
  section,
}: {
  readonly detail: string;
  readonly file?: string | undefined;
  readonly line?: number | undefined;
  readonly section?: string | undefined;
}): string {
  const where = [file, line === undefined ? undefined : `line ${line}`, section].filter((part) => part !== undefined);
  return where.length === 0 ? detail : `${where.join(', ')}: ${detail}`;
}
