// Makes sure that node_modules is there and belongs to the lock file. Plain JavaScript for Node 20: runs before anything is installed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** The Node that the project runs on, brought by the package `node`. */
export const projectNode = join(root, 'node_modules/.bin/node');

function npm(...args) {
  const { status } = spawnSync('npm', args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (status !== 0) {
    console.error(`npm ${args.join(' ')} failed; run it in ${root} to see why.`);
    process.exit(1);
  }
}

export function ensureNodeModules() {
  const stamp = join(root, 'node_modules/.hypostyle-lock');
  const lock = createHash('sha256').update(readFileSync(join(root, 'package-lock.json'))).digest('hex');
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== lock) {
    console.error('Installing npm packages …');
    npm('ci', '--no-audit', '--no-fund', '--loglevel=error');
    // npm may have been told to run no install scripts; the one of `node` brings the binary.
    if (!existsSync(projectNode)) npm('rebuild', 'node');
    if (!existsSync(projectNode)) {
      console.error('The package `node` brought no binary. Allow its install script (npm rebuild node) and try again.');
      process.exit(1);
    }
    writeFileSync(stamp, lock);
  }
}
