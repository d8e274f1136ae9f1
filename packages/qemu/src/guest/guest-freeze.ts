import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, qemuErrors } from '../errors.ts';
import { type GuestAgentCall, GuestAgentError } from './guest-agent.ts';

/** How long a guest may take to flush what it has in memory, unless told, and how long to let go. */
const freezeTimeoutMs = 60_000;
const thawTimeoutMs = 60_000;
/** Milliseconds between attempts to have a guest let go that does not answer, and how many there are. */
const thawPauseMs = 2_000;
const thawAttempts = 300;

type WithAgent = <T>(use: (call: GuestAgentCall) => Promise<T>) => Promise<T>;

/** The guest heard that it is to hold its file systems, and did not say in time that it does. */
class LateFreeze extends Error {}

/**
 * Has the guest flush and hold its file systems (`guest-fsfreeze-freeze`); the answer lets go of them. Rejects with
 * `guest-agent-absent`, or `quiesce-failed` when the guest refuses or is late. A guest that may hold them all the same
 * is told to let go until it answers.
 */
export async function freezeGuest(
  withAgent: WithAgent,
  { timeoutMs = freezeTimeoutMs }: { readonly timeoutMs?: number } = {},
): Promise<() => Promise<void>> {
  for (let again = false; ; again = true) {
    try {
      await withAgent((call) => freeze(call, timeoutMs));
      return () => letGo(withAgent);
    } catch (error) {
      if (error instanceof LateFreeze) {
        void thawLater(withAgent);
        throw qemuErrors.quiesceFailed(error.message, error);
      }
      // Some may be held all the same, or all of them since an owner that was killed asked for it.
      const held = await thaw(withAgent).catch(() => 0);
      if (held > 0 && !again) continue;
      if (error instanceof GuestAgentError && !error.refused) throw qemuErrors.agentAbsent(messageOf(error));
      throw qemuErrors.quiesceFailed(`The guest does not hold its file systems: ${messageOf(error)}`, error);
    }
  }
}

/** Lets go of file systems that an earlier owner had the guest hold. */
export async function thawGuest(withAgent: WithAgent): Promise<void> {
  try {
    await thaw(withAgent);
  } catch (error) {
    // One that knows of no holding holds nothing.
    if (error instanceof GuestAgentError && error.refused) return;
    throw error instanceof GuestAgentError ? qemuErrors.agentAbsent(messageOf(error)) : error;
  }
}

async function freeze(call: GuestAgentCall, timeoutMs: number): Promise<void> {
  try {
    await call('guest-fsfreeze-freeze', undefined, timeoutMs);
  } catch (error) {
    if (!(error instanceof GuestAgentError) || error.refused) throw error;
    throw new LateFreeze(`The guest did not hold its file systems within ${Math.round(timeoutMs / 1000)} s.`, {
      cause: error,
    });
  }
}

/** Answers how many file systems were held. */
async function thaw(withAgent: WithAgent): Promise<number> {
  const held = await withAgent((call) => call('guest-fsfreeze-thaw', undefined, thawTimeoutMs));
  return typeof held === 'number' ? held : 0;
}

async function letGo(withAgent: WithAgent): Promise<void> {
  try {
    await thaw(withAgent);
  } catch (error) {
    void thawLater(withAgent);
    throw error;
  }
}

/** An agent that still flushes hears nothing else until it is done. */
async function thawLater(withAgent: WithAgent): Promise<void> {
  for (let attempt = 0; attempt < thawAttempts; attempt += 1) {
    await sleep(thawPauseMs, undefined, { ref: false });
    const answered = await thaw(withAgent).then(
      () => true,
      (error: unknown) => error instanceof GuestAgentError && error.refused,
    );
    if (answered) return;
  }
}
