import { findDaemon, type Home, isAlive } from '@hypostyle/server';
import { CliError } from '../errors.ts';

/** Milliseconds that a server has for its end. */
const patience = 60_000;

/** Ends the server of a home and waits for it; answers its pid, or undefined when none runs. */
export async function stopDaemon(home: Home, signal: AbortSignal): Promise<number | undefined> {
  const daemon = await findDaemon(home);
  if (daemon === undefined) return undefined;
  try {
    process.kill(daemon.pid, 'SIGTERM');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ESRCH') return daemon.pid;
    throw new CliError(
      'failed',
      `Process ${daemon.pid} cannot be ended: ${cause instanceof Error ? cause.message : cause}.`,
      {
        next: 'Do it as the user who started it.',
        cause,
      },
    );
  }
  const until = Date.now() + patience;
  while (await isAlive(daemon)) {
    signal.throwIfAborted();
    if (Date.now() > until) {
      throw new CliError('failed', `Process ${daemon.pid} did not end within ${patience / 1000} seconds.`, {
        next: `See ${home.logFile} for what it waits for.`,
      });
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return daemon.pid;
}
