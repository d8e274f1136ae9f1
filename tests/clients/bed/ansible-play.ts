import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Bed } from './bed.ts';
import type { ClientRun, Endpoint } from './case.ts';
import { failureOf, secondsSince } from './command.ts';
import type { Face } from './face.ts';

export interface AnsibleContext {
  readonly bed: Bed;
  readonly face: Face;
}

/** What a module answered. */
export interface TaskResult {
  readonly changed?: boolean;
  readonly msg?: unknown;
  readonly [member: string]: unknown;
}

/** A task of a playbook, with what it is to bring about. */
export interface AnsibleCase {
  readonly name: string;
  /** Of community.vmware. */
  readonly module: string;
  /** May have the expressions of Ansible, such as the result of a task before by its name with underscores. */
  readonly args: (context: AnsibleContext) => Readonly<Record<string, unknown>>;
  /** Both unless told. */
  readonly at?: Endpoint;
  readonly quick?: boolean;
  /** Whether it changes anything; not looked at where it is not told. */
  readonly changed?: boolean;
  readonly before?: (context: AnsibleContext) => Promise<void>;
  readonly check?: (context: AnsibleContext, result: TaskResult) => Promise<void>;
  /** Where the task runs: here, or in the guest by VMware's tools. */
  readonly play?: 'guest';
}

interface Line {
  readonly task: string;
  readonly event: 'start' | 'end';
  readonly failed?: boolean;
  readonly result?: TaskResult;
}

/** What only Debian's pyVmomi lacks, for its community.vmware. */
const pythonPath = fileURLToPath(new URL('../ansible/python', import.meta.url));
const callbacks = fileURLToPath(new URL('ansible', import.meta.url));

/** Runs the cases as one playbook; each is looked at when its task has ended, before the next begins. */
export async function playCases(cases: readonly AnsibleCase[], options: ClientRun): Promise<void> {
  const { bed, face, quick, part = '', tell } = options;
  const context = { bed, face };
  const own = cases.filter(
    (each) =>
      each.name.includes(part) && (!quick || each.quick) && (each.at === undefined || each.at === face.endpoint),
  );
  const left = new Map(own.map((each) => [each.name, each]));
  if (own.length !== left.size) throw new Error('two cases have one name');
  const folder = join(face.home, 'ansible');
  await mkdir(folder, { recursive: true });
  const playbook = join(folder, 'cases.yml');
  // YAML reads JSON.
  await writeFile(playbook, JSON.stringify(playsOf(own, context), null, 1), { mode: 0o600 });
  const child = spawn('/usr/bin/ansible-playbook', ['-i', 'localhost,', playbook], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
    timeout: 1_500_000,
    env: ansibleEnvironment(folder, bed),
  });
  let errors = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      errors = (errors + text).slice(-4_000);
    });
  }
  const ended = new Promise<string>((resolve) => {
    child.on('error', ({ message }) => resolve(message));
    child.on('close', (code, signal) => resolve(`it ended with ${code ?? signal}`));
  });
  const answers = child.stdio[4] as Writable;
  // It may end in the middle.
  answers.on('error', () => {});
  let began = performance.now();
  let unprepared: unknown;
  for await (const text of createInterface({ input: child.stdio[3] as Readable })) {
    const { task, event, failed, result = {} } = JSON.parse(text) as Line;
    const each = left.get(task);
    if (each !== undefined && event === 'start') {
      began = performance.now();
      unprepared = await each.before?.(context).then(
        () => undefined,
        (error: unknown) => error,
      );
    } else if (each !== undefined) {
      left.delete(task);
      const command = `${each.module} ${JSON.stringify(each.args(context))}`;
      const said = { command, stdout: JSON.stringify(result).slice(0, 2_000), stderr: '' };
      try {
        if (unprepared !== undefined) throw unprepared;
        if (failed) throw new Error('success');
        if (each.changed !== undefined && (result.changed ?? false) !== each.changed)
          throw new Error(each.changed ? 'a change' : 'no change');
        await each.check?.(context, result);
        tell({ case: task, passed: true, seconds: secondsSince(began) });
      } catch (error) {
        tell({ case: task, passed: false, seconds: secondsSince(began), ...failureOf(error, said) });
      }
    }
    answers.write('\n');
  }
  const end = await ended;
  for (const each of left.keys()) {
    const said = `${end}: ${errors}`;
    tell({ case: each, passed: false, seconds: 0, command: 'ansible-playbook', said, expected: 'an outcome' });
  }
}

/** Variables under which Debian's Ansible keeps what it writes in a folder. */
export function ansibleEnvironment(folder: string, { daemon }: Bed): Record<string, string> {
  return {
    PATH: '/usr/bin:/bin:/usr/sbin:/sbin',
    HOME: folder,
    LC_ALL: 'C.UTF-8',
    PYTHONDONTWRITEBYTECODE: '1',
    PYTHONPATH: pythonPath,
    PYTHONWARNINGS: 'ignore',
    // The connection by tools knows, with Debian's pyVmomi, only certificates that hold.
    SSL_CERT_FILE: join(daemon.home, 'tls', 'ca.crt'),
    REQUESTS_CA_BUNDLE: join(daemon.home, 'tls', 'ca.crt'),
    ANSIBLE_HOME: folder,
    ANSIBLE_LOCAL_TEMP: join(folder, 'local'),
    ANSIBLE_REMOTE_TEMP: join(folder, 'remote'),
    ANSIBLE_CALLBACK_PLUGINS: callbacks,
    ANSIBLE_STDOUT_CALLBACK: 'bed',
    ANSIBLE_LOCALHOST_WARNING: 'false',
    ANSIBLE_DEPRECATION_WARNINGS: 'false',
  };
}

function playsOf(cases: readonly AnsibleCase[], context: AnsibleContext): unknown[] {
  const { face } = context;
  const server = { hostname: face.host, port: face.port, username: face.username, password: face.password };
  const tasks = cases.map((each) => ({
    name: each.name,
    [each.play === 'guest' ? `ansible.builtin.${each.module}` : `community.vmware.${each.module}`]: each.args(context),
    register: each.name.replaceAll(/\W+/g, '_'),
    ignore_errors: true,
    ...(each.play === 'guest' ? { vars: guestConnection(face) } : {}),
  }));
  return [
    {
      hosts: 'localhost',
      connection: 'local',
      gather_facts: false,
      vars: { ansible_python_interpreter: '/usr/bin/python3' },
      module_defaults: { 'group/community.vmware.vmware': { ...server, validate_certs: false } },
      tasks,
    },
  ];
}

function guestConnection(face: Face): Record<string, unknown> {
  return {
    ansible_connection: 'community.vmware.vmware_tools',
    ansible_vmware_host: face.host,
    ansible_vmware_port: face.port,
    ansible_vmware_user: face.username,
    ansible_vmware_password: face.password,
    ansible_vmware_guest_path: `${face.datacenter}/vm/bed-guest`,
    ansible_vmware_tools_user: 'root',
    ansible_vmware_tools_password: 'guest-secret-1',
    ansible_vmware_tools_executable: '/bin/sh',
  };
}
