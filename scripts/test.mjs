// npm test: sets itself up, checks the house, runs every test; the last line is the count.
// --unit leaves out the tests that boot guests or drive Debian's clients.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensurePackages } from './debian-packages.mjs';
import { ensureModules } from './run.mjs';

const unitOnly = process.argv.includes('--unit');
const only = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const node = ensureModules();
if (!unitOnly) ensurePackages(['run', 'appliance', 'tests', 'ansible']);

const environment = { ...process.env, PATH: `${join(root, 'node_modules/.bin')}:${process.env.PATH}` };
const counts = { passed: 0, failed: 0, skipped: 0 };

function step(title, command, args) {
  console.log(`\n== ${title}`);
  const { status, signal } = spawnSync(command, args, { cwd: root, stdio: 'inherit', env: environment });
  return signal === null && status === 0;
}

function count(ok) {
  counts[ok ? 'passed' : 'failed'] += 1;
}

function testFiles() {
  const found = [];
  const walk = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        if (!['node_modules', 'fixtures', 'generated', '.cache', '.git'].includes(entry.name)) walk(path);
      } else if (entry.name.endsWith('.test.ts')) found.push(relative(root, path));
    }
  };
  for (const folder of ['packages', 'appliance', 'scripts', 'tests', 'bench']) {
    if (existsSync(join(root, folder))) walk(join(root, folder));
  }
  return found.sort();
}

/** Runs test files in one go of node's test runner; a reporter of ours writes the counts. */
function runTests(title, files, concurrency) {
  if (files.length === 0) return;
  const report = join(root, '.cache', `test-${process.pid}.json`);
  mkdirSync(join(root, '.cache'), { recursive: true });
  const ok = step(`${title} (${files.length} files)`, node, [
    '--disable-warning=ExperimentalWarning',
    '--test',
    '--test-timeout=600000',
    `--test-concurrency=${concurrency}`,
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    `--test-reporter=${join(root, 'scripts/count-reporter.mjs')}`,
    `--test-reporter-destination=${report}`,
    ...files,
  ]);
  try {
    const result = JSON.parse(readFileSync(report, 'utf8'));
    counts.passed += result.passed;
    counts.failed += result.failed;
    counts.skipped += result.skipped;
    if (!ok && result.failed === 0) counts.failed += 1;
  } catch {
    counts.failed += 1;
  } finally {
    rmSync(report, { force: true });
  }
}

const files = testFiles().filter((file) => only.length === 0 || only.some((part) => file.includes(part)));
const heavy = (file) => /\.(guest|system)\.test\.ts$/.test(file) || file.startsWith('tests/');
if (only.length === 0) count(step('check: types, lint, architecture, dead code', 'npm', ['run', '--silent', 'check']));
runTests(
  'unit tests',
  files.filter((file) => !heavy(file)),
  2,
);
if (!unitOnly) {
  const parts = spawnSync(node, [join(root, 'appliance/test-parts.ts')], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (parts.status !== 0) console.error('The parts of test guests could not be had; what boots a guest will fail.');
  environment.HYPOSTYLE_GUEST_PARTS = parts.stdout.trim();
}
// Guests and daemons are waited for more than they compute: two files at a time fill two cores.
if (!unitOnly) runTests('tests with guests and real clients', files.filter(heavy), 2);

console.log(
  `\n${counts.passed} passed, ${counts.failed} failed${counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''}`,
);
process.exit(counts.failed > 0 || counts.passed === 0 ? 1 : 0);
