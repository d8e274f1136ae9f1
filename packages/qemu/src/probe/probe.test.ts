import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { HypervisorError } from '@hypostyle/contracts';
import { cpuModelArgument } from './engine-query.ts';
import { probeEngine } from './probe.ts';

it('says which program is missing, and the command that brings it', async () => {
  const cacheDirectory = await mkdtemp(join(tmpdir(), 'probe-'));
  try {
    for (const program of ['no-such-engine', '/no/such/engine']) {
      await assert.rejects(
        probeEngine({ program, cacheDirectory }),
        (error) => error instanceof HypervisorError && error.code === 'engine-missing' && /apt-get/.test(error.message),
      );
    }
    // A program that is no engine is told too, and no verdict is kept of it.
    await assert.rejects(probeEngine({ program: '/bin/true', cacheDirectory }), HypervisorError);
  } finally {
    await rm(cacheDirectory, { recursive: true });
  }
});

it('names every CPU feature that is on, in a fixed order', () => {
  const props = { sse2: true, la57: true, avx: false, level: 13, 'model-id': 'A, B' };
  assert.equal(cpuModelArgument({ name: 'base', props }), 'base,level=13,model-id=A,, B,sse2=on');
});
