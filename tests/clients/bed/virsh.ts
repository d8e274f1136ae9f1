import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { endpoints, type TestClient } from './case.ts';
import { runCommand, runCommandCases } from './command.ts';
import { configurationCases } from './virsh/configuration-cases.ts';
import { definitionCases } from './virsh/definition-cases.ts';
import { guestCases } from './virsh/guest-cases.ts';
import { networkCases } from './virsh/network-cases.ts';
import { powerCases } from './virsh/power-cases.ts';
import { readingCases } from './virsh/reading-cases.ts';
import { snapshotCases } from './virsh/snapshot-cases.ts';
import { storageCases } from './virsh/storage-cases.ts';

// virsh of Debian's libvirt-clients, through libvirt's ESX driver: esx:// at a host, vpx:// at a center.
const cases = [
  ...readingCases,
  ...powerCases,
  ...configurationCases,
  ...snapshotCases,
  ...storageCases,
  ...networkCases,
  ...definitionCases,
  ...guestCases,
];

export const virsh: TestClient = {
  name: 'virsh',
  endpoints,
  async run(options) {
    const { bed, face } = options;
    const scheme = face.endpoint === 'host' ? 'esx' : 'vpx';
    const credentials = join(face.home, 'virsh-credentials');
    const lines = ['[credentials-host]', `username=${face.username}`, `password=${face.password}`];
    // A host of a center that libvirt turns to by itself is asked for by its own address.
    const sections = ['esx', 'vpx'].flatMap((each) => [`[auth-${each}-${face.host}]`, 'credentials=host']);
    await writeFile(credentials, `${[...lines, ...sections].join('\n')}\n`, { mode: 0o600 });
    const path = face.endpoint === 'host' ? '' : `${face.datacenter}/${face.hostName}`;
    const uri = `${scheme}://${encodeURIComponent(face.username)}@${face.host}:${face.port}/${path}?no_verify=1`;
    const environment = { LIBVIRT_AUTH_FILE: credentials, LC_ALL: 'C' };
    const run = (words: readonly string[]) => runCommand('virsh', ['-c', uri, ...words], { environment });
    await runCommandCases(cases, { bed, face, run }, run, options);
  },
};
