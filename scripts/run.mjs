// Runs a script of this project on the project's own Node: node scripts/run.mjs scripts/stop.ts [arguments].
// Works on Node 20 and before anything is installed: installs the node_modules first when they are missing or stale.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, realpathSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const projectNode = join(root, 'node_modules', '.bin', 'node');

/** Path of the project's Node; installs the packages of the lock file when they are missing or older than it. */
export function ensureModules() {
  // Not `npm ci`: it refuses a lock file without the builds for other platforms, which some registries lack.
  if (isStale())
    npm('install --no-save --no-audit --no-fund --loglevel=error', 'installing the packages of package-lock.json');
  // npm may hold back the install script that brings the binary.
  if (!works(projectNode)) npm('rebuild node', 'fetching Node for this project');
  if (!works(projectNode)) throw new Error(`${projectNode} does not run, and "npm rebuild node" did not help`);
  return projectNode;
}

/** Runs a script with the project's Node, passes signals on to it, and answers its exit code. */
export async function runScript(script, args = []) {
  const node = ensureModules();
  const environment = { ...process.env, PATH: `${dirname(node)}:${process.env.PATH ?? ''}` };
  const child = spawn(node, [script, ...args], { stdio: 'inherit', env: environment });
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  // The terminal sends Ctrl-C to both; the script decides when to end.
  const forward = (signal) => {
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
  };
  for (const signal of signals) process.on(signal, forward);
  try {
    return await new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', (code, signal) => resolve(code ?? 128 + (constants.signals[signal] ?? 0)));
    });
  } finally {
    for (const signal of signals) process.off(signal, forward);
  }
}

function isStale() {
  const installed = join(root, 'node_modules', '.package-lock.json');
  const lock = join(root, 'package-lock.json');
  if (!existsSync(installed)) return true;
  return existsSync(lock) && statSync(lock).mtimeMs > statSync(installed).mtimeMs;
}

function works(node) {
  return existsSync(node) && spawnSync(node, ['--version'], { stdio: 'ignore' }).status === 0;
}

function npm(command, why) {
  console.error(`${why} (npm ${command})`);
  const run = spawnSync('npm', command.split(' '), { cwd: root, stdio: ['ignore', 2, 2] });
  if (run.status !== 0) throw new Error(`npm ${command} failed${run.error ? `: ${run.error.message}` : ''}`);
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [script, ...args] = process.argv.slice(2);
  if (script === undefined) {
    console.error('usage: node scripts/run.mjs <script> [arguments]');
    process.exit(2);
  }
  try {
    process.exitCode = await runScript(script, args);
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
