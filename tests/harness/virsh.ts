import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Daemon } from './daemon.ts';

const run = promisify(execFile);

export type Virsh = (...command: string[]) => Promise<string>;

export interface VirshOptions {
  /** At a center: `datacenter/compute resource`, or `datacenter/cluster/host`. Without it the daemon is a host. */
  readonly path?: string;
  /** Network namespace that virsh runs in. */
  readonly networkNamespace?: string;
}

/** Runs virsh as libvirt's ESX driver has it, against a host or a host of a center; what it writes, or its failure. */
export async function virshOf(daemon: Daemon, { path, networkNamespace }: VirshOptions = {}): Promise<Virsh> {
  const scheme = path === undefined ? 'esx' : 'vpx';
  const credentials = join(daemon.home, 'virsh-credentials');
  await writeFile(
    credentials,
    [
      '[credentials-host]',
      `username=${daemon.username}`,
      `password=${daemon.password}`,
      // A host of a center that libvirt turns to by itself is asked for by its own address.
      ...['esx', 'vpx'].flatMap((each) => [`[auth-${each}-${daemon.host}]`, 'credentials=host']),
      '',
    ].join('\n'),
    { mode: 0o600 },
  );
  const user = encodeURIComponent(daemon.username);
  const uri = `${scheme}://${user}@${daemon.host}:${daemon.port}/${path ?? ''}?no_verify=1`;
  const within = networkNamespace === undefined ? [] : ['ip', 'netns', 'exec', networkNamespace];
  return async (...command) => {
    const [program = '', ...words] = [...within, 'virsh', '-c', uri, ...command];
    const { stdout } = await run(program, words, {
      timeout: 60_000,
      env: { ...process.env, LC_ALL: 'C', LIBVIRT_AUTH_FILE: credentials },
    });
    return stdout.trim();
  };
}

/** The lines `Name: value` of what virsh writes. */
export function virshFields(text: string): Record<string, string> {
  const lines = [...text.matchAll(/^([^:\n]+):\s+(.*)$/gm)];
  return Object.fromEntries(lines.map(([, name, value = '']) => [name, value.trim()]));
}
