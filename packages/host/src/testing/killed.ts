import { filesAtRest } from './files-at-rest.ts';
import type { Computer, Daemon } from './host-fixture.ts';

/** Each step of each case is wanted, not some. */
export const isWhole = process.env.HYPOSTYLE_WHOLE !== undefined;

/** Options of a test that kills a process at one step after another. */
export const killLimit = { timeout: isWhole ? 3_600_000 : 300_000 };

/**
 * Steps after which a process dies, one after another, without an end: each where the whole is asked for, else the
 * first, and each `usual`-th from a random one on.
 */
export function* deaths(usual: number): Generator<number> {
  const stride = isWhole ? 1 : usual;
  let tried = 0;
  const began = performance.now();
  try {
    yield tried;
    for (let dies = 1 + Math.floor(Math.random() * stride); ; dies += stride) {
      tried += 1;
      yield dies;
    }
  } finally {
    // Whoever runs the whole wants to know what that was.
    if (isWhole) process.stdout.write(`${tried} kills, ${Math.round((performance.now() - began) / tried)} ms each\n`);
  }
}

export interface AfterKill {
  /** The process that is there now. */
  readonly daemon: Daemon;
  /** The work came to its end before the process died; the process is the same then. */
  readonly whole: boolean;
}

/** Has a process do something that is its last after so many steps; the next one has brought to an end what it found. */
export async function killedAt(
  { computer, daemon, dies }: { readonly computer: Computer; readonly daemon: Daemon; readonly dies: number },
  work: (daemon: Daemon) => Promise<unknown>,
): Promise<AfterKill> {
  daemon.store.stepsLeft = dies;
  const whole = await daemon.store.outlives(work(daemon));
  if (whole) return { daemon, whole };
  // What it was doing to files comes to an end; nobody hears of it.
  await filesAtRest();
  daemon.bury();
  const next = await computer.start();
  await next.idle();
  return { daemon: next, whole };
}
