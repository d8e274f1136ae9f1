/** The server as the bench runs it: the product's own, with a stall meter and the times of commits beside it. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { startServer } from '@hypostyle/server';
import { Registry } from '@hypostyle/vim';
import type { DaemonQuestion, DaemonReply } from './daemon.ts';
import { LongestWork } from './longest-work.ts';

const [home = '', mode = 'host', keepsCommitTimes = ''] = process.argv.slice(2);
const delay = monitorEventLoopDelay({ resolution: 1 });
const work = new LongestWork();
/** When each machine last changed, in nanoseconds of the clock that all processes share. */
const changedAt = new Map<string, bigint>();
if (keepsCommitTimes !== '') keepCommitTimes();

const server = await startServer({
  home,
  listen: { host: '127.0.0.1', port: 0 },
  mode: mode === 'center' ? 'center' : 'host',
  logLevel: 'warn',
});

process.on('message', (question: DaemonQuestion) => {
  answer(question).then(
    (reply) => process.send?.(reply),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
process.on('disconnect', () => {
  server.close().catch((error: unknown) => console.error(error));
});
process.send?.({ url: server.url, userName: server.username, passwordFile: server.passwordFile });

async function answer(question: DaemonQuestion): Promise<DaemonReply> {
  switch (question.ask) {
    case 'begin':
      delay.enable();
      // What the process did just before is no stall of what comes.
      await sleep(5);
      delay.reset();
      work.begin();
      return {};
    case 'end':
      delay.disable();
      return { stall: { elapsed: delay.max / 1e6, processor: work.end() } };
    case 'settle':
      for (let round = 0; round < 3; round += 1) {
        globalThis.gc?.();
        await sleep(100);
      }
      return { heap: process.memoryUsage().heapUsed / 1e6 };
    case 'changed-at':
      return { changedAt: String(changedAt.get(question.machine ?? '') ?? '') };
  }
}

function keepCommitTimes(): void {
  const commit = Registry.prototype.commit;
  Registry.prototype.commit = function timed<R>(this: Registry, change: Parameters<typeof commit<R>>[0]): R {
    const before = this.version;
    const result = commit.call(this, change) as R;
    const now = process.hrtime.bigint();
    for (const { ref } of this.changedSince(before)) if (ref.type === 'VirtualMachine') changedAt.set(ref.value, now);
    return result;
  };
}
