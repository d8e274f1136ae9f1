import { cpus, freemem, totalmem, uptime } from 'node:os';

/** Measures this machine's processors between two calls. */
export function hostUseMeter(
  hostMHz: number,
): () => { readonly cpuMHz: number; readonly memoryMiB: number; readonly uptimeSeconds: number } {
  const totals = () => {
    let busy = 0;
    let all = 0;
    for (const { times } of cpus()) {
      const used = times.user + times.nice + times.sys + times.irq;
      busy += used;
      all += used + times.idle;
    }
    return { busy, all };
  };
  let before = totals();
  return () => {
    const now = totals();
    const share = now.all > before.all ? (now.busy - before.busy) / (now.all - before.all) : 0;
    before = now;
    return {
      cpuMHz: Math.round(share * cpus().length * hostMHz),
      memoryMiB: Math.round((totalmem() - freemem()) / 2 ** 20),
      uptimeSeconds: Math.floor(uptime()),
    };
  };
}
