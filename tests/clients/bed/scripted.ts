import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Endpoint, endpoints, type TestClient } from './case.ts';

interface ScriptedClient {
  readonly name: string;
  /** Program and file of its cases, which lie beside this one. */
  readonly interpreter: string;
  readonly script: string;
  /** Words before the script, and files after it. */
  readonly words?: readonly string[];
  readonly more?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly endpoints?: readonly Endpoint[];
  readonly quickAt?: readonly Endpoint[];
  /** A file that is there when the client is installed, and the Debian package that brings it. */
  readonly needs: { readonly file: string; readonly package: string };
}

interface Line {
  readonly plan?: readonly string[];
  readonly case?: string;
  readonly passed?: boolean;
  readonly seconds?: number;
  readonly command?: string;
  readonly said?: string;
  readonly expected?: string;
}

const here = fileURLToPath(new URL('.', import.meta.url));

/** A client that is a library: its cases are a program in its own language, which tells its plan and each outcome. */
export function scriptedClient(options: ScriptedClient): TestClient {
  const { name, interpreter, needs } = options;
  const script = fileURLToPath(new URL(options.script, import.meta.url));
  return {
    name,
    endpoints: options.endpoints ?? endpoints,
    ...(options.quickAt === undefined ? {} : { quickAt: options.quickAt }),
    ...(existsSync(needs.file) ? {} : { missing: `${needs.package} is not installed` }),
    async run({ bed, face, quick, part = '', tell }) {
      const more = (options.more ?? []).map((file) => fileURLToPath(new URL(file, import.meta.url)));
      const child = spawn(interpreter, [...(options.words ?? []), script, ...more], {
        stdio: ['ignore', 'pipe', 'pipe'],
        // Of all its cases; each waits for states by itself.
        timeout: 1_500_000,
        cwd: dirname(script),
        env: {
          PATH: '/usr/bin:/bin',
          LANG: 'C.UTF-8',
          HOME: face.home,
          PYTHONPATH: [here, join(here, '..')].join(':'),
          PYTHONDONTWRITEBYTECODE: '1',
          PYTHONWARNINGS: 'ignore',
          BED_ENDPOINT: face.endpoint,
          BED_QUICK: quick ? '1' : '0',
          BED_CASE: part,
          SERVER_HOST: face.host,
          SERVER_PORT: `${face.port}`,
          SERVER_USER: face.username,
          SERVER_PASSWORD: face.password,
          SERVER_HOME: bed.daemon.home,
          SERVER_DATASTORE: bed.daemon.datastore,
          ...options.environment,
        },
      });
      let errors = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        errors = (errors + text).slice(-4_000);
      });
      const ended = new Promise<string>((resolve) => {
        child.on('error', ({ message }) => resolve(message));
        child.on('close', (code, signal) => resolve(`it ended with ${code ?? signal}`));
      });
      const left = new Set<string>();
      for await (const text of createInterface({ input: child.stdout })) {
        if (!text.startsWith('{')) continue;
        const line = JSON.parse(text) as Line;
        for (const each of line.plan ?? []) left.add(each);
        if (line.case === undefined) continue;
        left.delete(line.case);
        const { command, said, expected } = line;
        tell({
          case: line.case,
          passed: line.passed === true,
          seconds: line.seconds ?? 0,
          ...(line.passed ? {} : { command: command ?? script, said: said ?? '', expected: expected ?? '' }),
        });
      }
      const end = await ended;
      if (end === 'it ended with 0') return;
      const rest = left.size === 0 ? ['starts and ends'] : left;
      for (const each of rest) {
        const said = `${end}: ${errors}`;
        tell({
          case: each,
          passed: false,
          seconds: 0,
          command: `${interpreter} ${script}`,
          said,
          expected: 'an outcome',
        });
      }
    },
  };
}
