// Loaded into the daemon by NODE_OPTIONS: measures how long its event loop stood still, and what it holds. On SIGUSR2 it
// collects garbage and writes both to the file that HYPOSTYLE_METER names, and begins anew. Time that passes is also what
// other processes took; the processor time of the loop's thread is its own: so is how much of it passes from the
// beginning of a reader's request to the end of its answer, for itself and for others that came before.
import { channel } from 'node:diagnostics_channel';
import { renameSync, writeFileSync } from 'node:fs';
import { constants, monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks';
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
  let collection = 0;
  new PerformanceObserver((list) => {
    for (const { duration, detail } of list.getEntries()) {
      // Not those that the meter asks for.
      if ((detail.flags & constants.NODE_PERFORMANCE_GC_FLAGS_FORCED) === 0)
        collection = Math.max(collection, duration);
    }
  }).observe({ entryTypes: ['gc'] });
  const reads = [];
  const begun = new WeakMap();
  channel('http.server.request.start').subscribe(({ request }) => {
    const { cookie, 'user-agent': agent } = request.headers;
    // Signing in takes its time on purpose.
    if (agent === 'soak-reader' && cookie !== undefined) begun.set(request, processorTime());
  });
  channel('http.server.response.finish').subscribe(({ request }) => {
    const at = begun.get(request);
    if (at !== undefined) reads.push(processorTime() - at);
  });
  process.on('SIGUSR2', () => {
    const stalls = {
      p99: delay.percentile(99) / 1e6,
      p999: delay.percentile(99.9) / 1e6,
      longest: delay.max / 1e6,
      work: longest,
      collection,
    };
    delay.reset();
    collect();
    const { rss, heapUsed, external } = process.memoryUsage();
    reads.sort((a, b) => a - b);
    const read = { count: reads.length, median: at(reads, 0.5), p99: at(reads, 0.99) };
    writeFileSync(`${file}.partial`, JSON.stringify({ pid: process.pid, stalls, read, rss, heapUsed, external }));
    reads.length = 0;
    renameSync(`${file}.partial`, file);
    delay.reset();
    longest = 0;
    collection = 0;
    before = processorTime();
  });
}

/** Milliseconds. */
function processorTime() {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function at(sorted, share) {
  return sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
}
