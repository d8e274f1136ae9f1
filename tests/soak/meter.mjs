// Loaded into the daemon by NODE_OPTIONS: measures how long its event loop stood still, and what it holds. On SIGUSR2 it
// collects garbage and writes both to the file that HYPOSTYLE_METER names, and begins anew. Time that passes is also what
// other processes took; the processor time of the loop's thread is its own.
import { renameSync, writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread } from 'node:worker_threads';

const file = process.env.HYPOSTYLE_METER;
// The command starts the daemon in a process of its own; its threads are no daemons.
if (file !== undefined && isMainThread && process.argv.includes('--ready-file')) {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  let longest = 0;
  let before = processorTime();
  setInterval(() => {
    const now = processorTime();
    longest = Math.max(longest, now - before);
    before = now;
  }, 2).unref();
  process.on('SIGUSR2', () => {
    const stalls = {
      p99: delay.percentile(99) / 1e6,
      p999: delay.percentile(99.9) / 1e6,
      longest: delay.max / 1e6,
      work: longest,
    };
    delay.reset();
    collect();
    const { rss, heapUsed, external } = process.memoryUsage();
    writeFileSync(`${file}.partial`, JSON.stringify({ pid: process.pid, stalls, rss, heapUsed, external }));
    renameSync(`${file}.partial`, file);
    delay.reset();
    longest = 0;
    before = processorTime();
  });
}

/** Milliseconds. */
function processorTime() {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
