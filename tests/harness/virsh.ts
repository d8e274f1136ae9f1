import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Daemon } from './daemon.ts';

const run = promisify(execFile);

export type Virsh = (...command: string[]) => Promise<string>;

/** Runs virsh against a host as libvirt's ESX driver has it; what it writes, or its failure. */
export async function virshOf(daemon: Daemon): Promise<Virsh> {
  const credentials = join(daemon.home, 'virsh-credentials');
  await writeFile(
    credentials,
    [
      '[credentials-host]',
      `username=${daemon.username}`,
      `password=${daemon.password}`,
      `[auth-esx-${daemon.host}]`,
      'credentials=host',
      '',
    ].join('\n'),
    { mode: 0o600 },
  );
  const uri = `esx://${daemon.username}@${daemon.host}:${daemon.port}/?no_verify=1`;
  return async (...command) => {
    const { stdout } = await run('virsh', ['-c', uri, ...command], {
      timeout: 60_000,
      env: { ...process.env, LC_ALL: 'C', LIBVIRT_AUTH_FILE: credentials },
    });
    return stdout.trim();
  };
}
