import { monitorOf } from './engine-monitor.ts';
import type { Engine } from './engines.ts';

/**
 * Does on a machine's first disk what its guest would do, by qemu-io(1) at the guest's device: a guest without an
 * operating system writes as well.
 */
export async function guestIo(engine: Engine, commands: readonly string[]): Promise<void> {
  const monitor = await monitorOf(engine);
  try {
    const devices = (await monitor.execute('query-block')) as { qdev?: string }[];
    const device = devices.find(({ qdev }) => qdev !== undefined && /(^|\/)disk-/.test(qdev))?.qdev;
    if (device === undefined) throw new Error('the machine has no disk');
    for (const command of commands) {
      const line = `qemu-io -d ${device} "${command}"`;
      const said = String(await monitor.execute('human-monitor-command', { 'command-line': line }));
      if (/error|fail|invalid|unknown/i.test(said)) throw new Error(`${command}: ${said}`);
    }
  } finally {
    await monitor.close();
  }
}
