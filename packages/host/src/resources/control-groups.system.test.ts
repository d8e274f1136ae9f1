import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ControlGroups } from './control-groups.ts';

test('a busy process is slowed down by its limit, by the kernel of this machine', async (t) => {
  const groups = new ControlGroups({ name: `hypostyle-test-${process.pid}` });
  const { cpu, reason } = await groups.probe();
  if (!cpu) return t.skip(`no control groups to write: ${reason}`);
  const busy = spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' });
  try {
    const { pid = 0 } = busy;
    const memory = { reserved: 0, entitled: 0 };
    await groups.apply([
      { path: ['pool1'], cpuWeight: 1, memory, diskWeight: 1 },
      { path: ['pool1', 'vm-1'], cpuWeight: 1, cpuLimit: 0.1, memory, diskWeight: 1, pid },
    ]);
    const lines = (await readFile(`/proc/${pid}/cgroup`, 'utf8')).split('\n');
    const [, path] = lines.map((line) => /:[^:]*:(.*\/pool1\/vm-1)$/.exec(line)).find((found) => found !== null) ?? [];
    assert.ok(path !== undefined, lines.join(' '));
    const stat = ['/sys/fs/cgroup/cpu', '/sys/fs/cgroup/cpu,cpuacct', '/sys/fs/cgroup', '/sys/fs/cgroup/unified'];
    const throttled = async () => {
      const texts = await Promise.all(
        stat.map((mount) => readFile(`${mount}${path}/cpu.stat`, 'utf8').catch(() => '')),
      );
      return Math.max(...texts.map((text) => Number(/^nr_throttled (\d+)/m.exec(text)?.[1] ?? 0)));
    };
    while ((await throttled()) === 0) await sleep(20);
  } finally {
    const ended = new Promise((resolve) => busy.once('exit', resolve));
    busy.kill('SIGKILL');
    await ended;
    await groups.apply([]);
  }
});
