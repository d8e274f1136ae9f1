import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

test('many clients at once get no wrong answer, through a kill of the daemon', { timeout: 300_000 }, async () => {
  const program = fileURLToPath(new URL('./soak/soak.ts', import.meta.url));
  const parameters = ['--clients', '24', '--minutes', '0.4', '--machines', '12', '--json'];
  const { stdout } = await run(process.execPath, [program, ...parameters]).catch((error: { stderr: string }) => {
    throw new Error(error.stderr);
  });
  const { reads, writes, uploads, memory, wrong } = JSON.parse(stdout);
  assert.equal(wrong, 0);
  for (const { count } of [reads, writes, uploads]) assert.ok(count > 5, stdout);
  // Without their garbage: what clients leave behind goes with them.
  assert.ok(memory.growth < 1.1, stdout);
});
