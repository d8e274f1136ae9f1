import { publicVersions } from './api-version.ts';

/** `/sdk/vimServiceVersions.xml`: the versions that clients may choose from, the newest first. */
export function serviceVersions(): string {
  const [newest, ...prior] = publicVersions;
  return (
    '<?xml version="1.0" encoding="UTF-8" ?>\n<namespaces version="1.0">\n <namespace>\n' +
    `  <name>urn:vim25</name>\n  <version>${newest}</version>\n  <priorVersions>\n` +
    prior.map((version) => `   <version>${version}</version>\n`).join('') +
    '  </priorVersions>\n </namespace>\n' +
    ' <namespace>\n  <name>urn:vim2</name>\n  <version>2.0</version>\n </namespace>\n</namespaces>\n'
  );
}
