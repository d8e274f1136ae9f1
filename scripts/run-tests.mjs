// Runs test files in their order, so many at a time: node scripts/run-tests.mjs REPORT CONCURRENCY FILE…
// (`node --test` sorts them by name.) REPORT becomes the counts of tests and the seconds of each file, as JSON.
import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const [report, concurrency, ...files] = process.argv.slice(2);
/** Most that one test or file may take, milliseconds: every case of every client takes long. */
const isLong = process.env.HYPOSTYLE_RUNS !== undefined || process.env.HYPOSTYLE_WHOLE !== undefined;
const timeout = isLong ? 3_600_000 : 600_000;

const counts = { passed: 0, failed: 0, skipped: 0 };
const seconds = {};
const stream = run({ files, concurrency: Number(concurrency), timeout });
for (const outcome of ['pass', 'fail']) {
  stream.on(`test:${outcome}`, ({ details, skip }) => {
    if (details?.type === 'suite') return;
    // A file whose tests all ran is reported as a test of its own name only when it failed to run.
    if (outcome === 'fail') counts.failed += 1;
    else counts[skip === undefined ? 'passed' : 'skipped'] += 1;
  });
}
stream.on('test:summary', ({ file, duration_ms }) => {
  if (file !== undefined) seconds[relative(process.cwd(), file)] = Math.round(duration_ms / 100) / 10;
});
stream.on('end', () => {
  writeFileSync(report, JSON.stringify({ ...counts, seconds }));
  process.exitCode = counts.failed > 0 ? 1 : 0;
});
stream.compose(new spec()).pipe(process.stdout);
