import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import fc from 'fast-check';
import { type EngineIdentity, parseIdentity, readIdentities, writeIdentity } from './identity.ts';
import { isProcessAlive, parseProcessStatus, readProcessMemory, readProcessStatus } from './process-status.ts';

const identity: EngineIdentity = {
  uuid: '11111111-2222-3333-4444-555555555555',
  bootId: 'b',
  startedAt: 1,
  token: '0a1b2c3d',
  platform: { machineType: 'pc', cpuModel: 'base' },
  accelerator: 'tcg',
  memoryKiB: 1024,
  serialCount: 1,
  discardFiles: ['/x'],
  phase: 'started',
  pid: 1234,
  startTime: '99',
};

it('comes back as written, and nothing half written is believed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'identity-'));
  await writeIdentity(folder, identity);
  await writeFile(join(folder, 'engine-ff.json'), '{"uuid":');
  assert.deepEqual(await readIdentities(folder), [identity]);
  assert.deepEqual(await readIdentities(join(folder, 'nowhere')), []);
  await rm(folder, { recursive: true });
});

it('takes no value that is not an identity', () => {
  assert.deepEqual(parseIdentity(identity), identity);
  fc.assert(
    fc.property(fc.constantFrom(...Object.keys(identity)), fc.jsonValue(), (key, value) => {
      const parsed = parseIdentity({ ...identity, [key]: value });
      if (parsed)
        assert.equal(typeof parsed[key as keyof EngineIdentity], typeof identity[key as keyof EngineIdentity]);
    }),
  );
  assert.equal(parseIdentity({ ...identity, pid: 1 }), undefined);
  assert.equal(parseIdentity({ ...identity, token: '../x' }), undefined);
});

it('tells a process from a later one with its number, and a zombie from a living one', async () => {
  const own = await readProcessStatus(process.pid);
  assert.ok(own && (await isProcessAlive(process.pid, own.startTime)));
  assert.equal(await isProcessAlive(process.pid, `${Number(own.startTime) + 1}`), false);
  assert.ok((await readProcessMemory(process.pid)).residentBytes > 1 << 20);
  // `sh` becomes `sleep` while its child lives, and `sleep` never waits for it: a zombie.
  const parent = spawn('sh', ['-c', 'sleep 0.3 & echo $!; exec sleep 30'], { stdio: ['ignore', 'pipe', 'ignore'] });
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const child = Number(line.toString());
  let status = await readProcessStatus(child);
  for (let round = 0; round < 500 && status?.state !== 'Z'; round += 1) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    status = await readProcessStatus(child);
  }
  assert.equal(status?.state, 'Z');
  assert.doesNotThrow(() => process.kill(child, 0));
  assert.equal(await isProcessAlive(child, status.startTime), false);
  parent.kill('SIGKILL');
});

it('reads /proc/PID/stat of a program with a nasty name', () => {
  const fields = ['S', ...Array.from({ length: 30 }, (_, index) => `${index}`)].join(' ');
  assert.deepEqual(parseProcessStatus(`5 (a) R) ${fields}`), { state: 'S', startTime: '18', cpuMilliseconds: 210 });
  fc.assert(fc.property(fc.string(), (text) => void parseProcessStatus(text)));
});
