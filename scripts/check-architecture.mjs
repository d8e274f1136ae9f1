// Runs dependency-cruiser and makes sure that it really read the sources: a wrong option makes it pass on nothing.
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';

const sources = globSync('packages/*/src/**/*.ts');
const run = spawnSync(
  'node_modules/.bin/depcruise',
  ['packages', '--config', '.dependency-cruiser.cjs', '--output-type', 'json'],
  {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  },
);
if (!run.stdout) {
  console.error(run.stderr || 'dependency-cruiser printed nothing');
  process.exit(2);
}
const { modules, summary } = JSON.parse(run.stdout);
const read = new Set(modules.map((module) => module.source));
const missed = sources.filter((file) => !read.has(file));
for (const violation of summary.violations) {
  console.error(`${violation.rule.name}: ${violation.from} → ${violation.to}`);
}
if (missed.length > 0) console.error(`not read by dependency-cruiser: ${missed.join(', ')}`);
const edges = modules.reduce((sum, module) => sum + module.dependencies.length, 0);
console.log(`architecture: ${read.size} modules, ${edges} imports, ${summary.violations.length} violations`);
process.exit(summary.violations.length > 0 || missed.length > 0 || edges === 0 ? 1 : 0);
