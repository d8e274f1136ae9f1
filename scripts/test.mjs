// npm test: sets itself up, checks the house, runs every test; the last line is the count.
// --unit leaves out the tests that boot guests or drive Debian's clients. --clients runs those with clients, every case.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensurePackages } from './debian-packages.mjs';
import { ensureModules } from './run.mjs';

const unitOnly = process.argv.includes('--unit');
/** Files with the clients of others, or with kills at every step, of which npm test has not the time for every case. */
const clients = [
  'client-bed',
  'ansible',
  'spread',
  'pyvmomi',
  'rbvmomi',
  'virsh',
  'wsdl',
  'guest-operations',
  'guestfs',
  'other-datastore',
  'appliance.',
  'killed',
  'work-kill',
  'live-move',
  'relocate',
  'hot-change',
  'memory-image',
  'engine-found',
  'departures',
  'auto-start',
];
const only = process.argv.includes('--clients')
  ? clients
  : process.argv.slice(2).filter((argument) => !argument.startsWith('--'));

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const node = ensureModules();
if (!unitOnly) ensurePackages(['run', 'appliance', 'tests', 'ansible', 'clients']);

const environment = {
  ...process.env,
  ...(process.argv.includes('--clients') ? { HYPOSTYLE_WHOLE: '1' } : {}),
  PATH: `${join(root, 'node_modules/.bin')}:${process.env.PATH}`,
  // Every test file, daemon and command is a process that reads the same sources: they begin in a third of the time.
  NODE_COMPILE_CACHE: join(root, '.cache/compiled'),
};
const counts = { passed: 0, failed: 0, skipped: 0 };
const seconds = {};
const began = Date.now();

/** Longest first: a long file that begins late is waited for alone. `npm test` tells the longest of each run. */
const longest = [
  'packages/qemu/src/conformance.guest.test.ts',
  'tests/client-bed.test.ts',
  'tests/center-spread.test.ts',
  'tests/instant.test.ts',
  'tests/center-kill.test.ts',
  'tests/center-hosts.test.ts',
  'tests/kill.test.ts',
  'tests/ovf-properties.test.ts',
  'tests/pyvmomi.test.ts',
  'tests/center-pyvmomi.test.ts',
  'tests/bad-packages.test.ts',
  'tests/snapshots.test.ts',
  'appliance/appliance.guest.test.ts',
  'tests/guest-operations.test.ts',
  'tests/soak.test.ts',
];

/** Runs a command to its end. What it says comes at once, or in one piece at its end. */
function step(title, command, args, { atEnd = false } = {}) {
  if (!atEnd) console.log(`\n== ${title}`);
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      env: environment,
      stdio: ['inherit', atEnd ? 'pipe' : 'inherit', atEnd ? 'pipe' : 'inherit'],
    });
    const said = [];
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (piece) => said.push(piece));
    child.on('error', () => resolve(false));
    child.on('close', (code) => {
      if (atEnd) console.log(`\n== ${title}\n${Buffer.concat(said)}`);
      resolve(code === 0);
    });
  });
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
  return found;
}

/** Position in the order of a run: the long ones, and then by size, which is a guess. */
function inOrder(files) {
  const rank = (file) => (longest.includes(file) ? longest.indexOf(file) : longest.length);
  const size = (file) => statSync(join(root, file)).size;
  return [...files].sort((a, b) => rank(a) - rank(b) || size(b) - size(a));
}

/** Runs test files, `atOnce` at a time. */
async function runTests(title, files, atOnce, options) {
  if (files.length === 0) return;
  const report = join(root, '.cache', `test-${process.pid}-${title.replaceAll(' ', '-')}.json`);
  mkdirSync(dirname(report), { recursive: true });
  const runner = [join(root, 'scripts/run-tests.mjs'), report, `${atOnce}`, ...inOrder(files)];
  const words = ['--disable-warning=ExperimentalWarning', ...runner];
  const ok = await step(`${title} (${files.length} files)`, node, words, options);
  try {
    const result = JSON.parse(readFileSync(report, 'utf8'));
    counts.passed += result.passed;
    counts.failed += result.failed;
    counts.skipped += result.skipped;
    Object.assign(seconds, result.seconds);
    if (!ok && result.failed === 0) counts.failed += 1;
  } catch {
    counts.failed += 1;
  } finally {
    rmSync(report, { force: true });
  }
}

const files = testFiles().filter((file) => only.length === 0 || only.some((part) => file.includes(part)));
const isHeavy = (file) => /\.(guest|system)\.test\.ts$/.test(file) || file.startsWith('tests/');
const light = files.filter((file) => !isHeavy(file));
const heavy = unitOnly ? [] : files.filter(isHeavy);
if (heavy.length > 0) {
  const parts = spawnSync(node, [join(root, 'appliance/test-parts.ts')], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (parts.status !== 0) console.error('The parts of test guests could not be had; what boots a guest will fail.');
  environment.HYPOSTYLE_GUEST_PARTS = parts.stdout.trim();
}

/** Unit tests that are begun at a time: by then the guests may be done, and there is room for more of them. */
const batch = 30;
let guestsDone = heavy.length === 0;

/** What computes: the house is checked, and then its unit tests run. */
async function checkAndUnitTests() {
  const options = { atEnd: heavy.length > 0 };
  if (only.length === 0)
    count(await step('check: types, lint, architecture, dead code', 'npm', ['run', '--silent', 'check'], options));
  const waiting = inOrder(light);
  for (let number = 1; waiting.length > 0; number += 1)
    await runTests(`unit tests ${number}`, waiting.splice(0, batch), guestsDone ? 2 : 1, options);
}

// Guests and daemons are waited for more than they compute: what computes fills the two cores beside them.
await Promise.all([
  checkAndUnitTests(),
  runTests('tests with guests and real clients', heavy, 2).then(() => {
    guestsDone = true;
  }),
]);

if (only.length === 0) {
  const slowest = Object.entries(seconds).sort(([, a], [, b]) => b - a);
  console.log(`\n== ${Math.round((Date.now() - began) / 1000)} s; the files that took longest`);
  for (const [file, taken] of slowest.slice(0, 20)) console.log(`${`${taken}`.padStart(6)} s  ${file}`);
}
console.log(
  `\n${counts.passed} passed, ${counts.failed} failed${counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''}`,
);
process.exit(counts.failed > 0 || counts.passed === 0 ? 1 : 0);
