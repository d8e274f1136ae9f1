import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { envelopeNamespace } from '../envelope/namespaces.ts';

const schemas = fileURLToPath(new URL('../../fixtures/schemas/', import.meta.url));

/** What xmllint says of documents against one of the DMTF's schemas: by name, its complaints; none for a valid one. */
export async function schemaVerdicts(
  schema: 'envelope' | 'environment',
  documents: ReadonlyMap<string, string>,
  sections: readonly { readonly namespace: string; readonly name: string }[] = [],
): Promise<Map<string, string[]>> {
  const folder = await mkdtemp(join(tmpdir(), 'hypostyle-xmllint-'));
  try {
    const names = [...documents.keys()];
    const files = names.map((_, index) => join(folder, `${index}.xml`));
    await Promise.all(files.map((file, index) => writeFile(file, documents.get(names[index]!)!)));
    const said = await xmllint(await schemaFile(folder, schema, sections), files);
    return new Map(
      names.map((name, index) => {
        const prefix = `${files[index]}:`;
        const lines = said.filter((line) => line.startsWith(prefix)).map((line) => line.slice(prefix.length));
        return [name, lines];
      }),
    );
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The schema, with those of other makers' sections as they would be: members of the substitution group of Section. */
async function schemaFile(
  folder: string,
  schema: string,
  sections: readonly { readonly namespace: string; readonly name: string }[],
): Promise<string> {
  const own = join(schemas, `${schema}.xsd`);
  if (sections.length === 0) return own;
  const namespaces = [...new Set(sections.map(({ namespace }) => namespace))];
  const imports = namespaces.map(
    (namespace, index) => `<xs:import namespace="${namespace}" schemaLocation="${index}.xsd"/>`,
  );
  for (const [index, namespace] of namespaces.entries()) {
    const names = new Set(sections.filter((one) => one.namespace === namespace).map(({ name }) => name));
    const elements = [...names].map(
      (name) => `<xs:element name="${name}" type="t:Any" substitutionGroup="ovf:Section"/>`,
    );
    await writeFile(
      join(folder, `${index}.xsd`),
      `<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:ovf="${envelopeNamespace}" xmlns:t="${namespace}" targetNamespace="${namespace}"><xs:import namespace="${envelopeNamespace}"/><xs:complexType name="Any"><xs:complexContent><xs:extension base="ovf:Section_Type"><xs:sequence><xs:any namespace="##any" processContents="skip" minOccurs="0" maxOccurs="unbounded"/></xs:sequence></xs:extension></xs:complexContent></xs:complexType>${elements.join('')}</xs:schema>`,
    );
  }
  const path = join(folder, 'all.xsd');
  const text = [
    '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">',
    ...['xml', 'common', 'CIM_VirtualSystemSettingData', 'CIM_ResourceAllocationSettingData', 'DSP8023'].map(
      (name) => `<xs:import namespace="${schemaNamespaces[name]}" schemaLocation="${join(schemas, name)}.xsd"/>`,
    ),
    ...imports,
    '</xs:schema>',
  ];
  await writeFile(path, text.join('\n'));
  return path;
}

const cim = 'http://schemas.dmtf.org/wbem/wscim/1';
const schemaNamespaces: Readonly<Record<string, string>> = {
  xml: 'http://www.w3.org/XML/1998/namespace',
  common: `${cim}/common`,
  CIM_VirtualSystemSettingData: `${cim}/cim-schema/2/CIM_VirtualSystemSettingData`,
  CIM_ResourceAllocationSettingData: `${cim}/cim-schema/2/CIM_ResourceAllocationSettingData`,
  DSP8023: envelopeNamespace,
};

function xmllint(schema: string, files: readonly string[]): Promise<string[]> {
  return new Promise((resolve, reject) => {
    execFile(
      'xmllint',
      ['--nonet', '--noout', '--schema', schema, ...files],
      { maxBuffer: 64 * 1024 * 1024, timeout: 60_000 },
      (error, _stdout, stderr) => {
        // 3 and 4: some document is not valid. Anything else is a fault of the tool or the schema.
        const code = error?.code;
        if (error !== null && code !== 3 && code !== 4) reject(new Error(stderr.slice(0, 2000)));
        else resolve(stderr.split('\n').filter((line) => !/ (validates|fails to validate)$/.test(line)));
      },
    );
  });
}
