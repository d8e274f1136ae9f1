import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findDaemon, homeAt } from '@hypostyle/server';
import { type Client, createClient, type ManagedObjectReference } from '@hypostyle/vim';

/** Name of the machine that `npm start` brings up. */
export const demoName = 'hypostyle-demo';

/** Home of the daemon: `$HYPOSTYLE_HOME`, else `~/.hypostyle`. */
export const home = homeAt(process.env.HYPOSTYLE_HOME || join(homedir(), '.hypostyle'));

const hypoProgram = fileURLToPath(new URL('../packages/cli/bin/hypo.mjs', import.meta.url));

/** Runs the `hypo` command with this terminal; rejects when it fails. */
export async function hypo(...args: string[]): Promise<void> {
  const child = spawn(process.execPath, [hypoProgram, ...args], { stdio: 'inherit' });
  const code = await new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (exitCode) => resolve(exitCode ?? 1));
  });
  if (code !== 0) throw new Error(`hypo ${args.join(' ')} failed (exit code ${code})`);
}

export interface DemoMachine {
  readonly ref: ManagedObjectReference<'VirtualMachine'>;
  readonly powerState: string;
  readonly address: string | undefined;
  /** Port of this machine that leads to the guest's port 80. */
  readonly port: number | undefined;
}

export interface RunningDaemon {
  readonly url: string;
  /** Its administrator. */
  readonly userName: string;
  /** Where the host of a center answers by itself. */
  readonly hostUrl: string | undefined;
}

/** Where the daemon of the home answers; undefined when none runs. */
export async function runningDaemon(): Promise<RunningDaemon | undefined> {
  const { url, userName = 'root', hostUrl } = (await findDaemon(home)) ?? {};
  return url === undefined ? undefined : { url, userName, hostUrl };
}

/** Signed in at the daemon of the home as its administrator, by the certificate that it made. */
export async function signIn({ url, userName }: RunningDaemon): Promise<Client> {
  const [ca, password] = await Promise.all([readFile(home.authorityFile, 'utf8'), readFile(home.passwordFile, 'utf8')]);
  const client = createClient({ url, tls: { ca }, encoding: 'json' });
  await client.signIn(userName, password.trim());
  return client;
}

/** The demo machine as it is now; undefined before it is deployed. */
export async function findDemo(client: Client): Promise<DemoMachine | undefined> {
  const { rootFolder, viewManager } = await client.content();
  if (viewManager === undefined) throw new Error('the server has no ViewManager');
  const view = await client.call(viewManager, 'CreateContainerView', {
    container: rootFolder,
    type: ['VirtualMachine'],
    recursive: true,
  });
  const [found] = await client.retrieve(view, ['view']);
  const machines = (found?.values.view ?? []) as readonly ManagedObjectReference<'VirtualMachine'>[];
  if (machines.length === 0) return undefined;
  const all = await client.retrieve(machines, [
    'name',
    'runtime.powerState',
    'guest.ipAddress',
    'config.extraConfig',
    'config.hardware',
  ]);
  for (const { ref, values } of all) {
    if (values.name !== demoName) continue;
    const options = (values['config.extraConfig'] ?? []) as readonly {
      readonly key: string;
      readonly value?: unknown;
    }[];
    const forwards = String(options.find(({ key }) => key === 'ethernet0.forwards')?.value ?? '');
    const port = /tcp:[\d.]+:(\d+):80(?:,|$)/.exec(forwards)?.[1];
    return {
      ref,
      powerState: String(values['runtime.powerState']),
      address: values['guest.ipAddress'] as string | undefined,
      port: port === undefined ? undefined : Number(port),
    };
  }
  return undefined;
}
