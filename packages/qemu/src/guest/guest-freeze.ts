import { messageOf, qemuErrors } from '../errors.ts';
import { type GuestAgentCall, GuestAgentError } from './guest-agent.ts';

/** How long a guest may take to flush what it has in memory. */
const freezeTimeoutMs = 60_000;

type WithAgent = <T>(use: (call: GuestAgentCall) => Promise<T>) => Promise<T>;

/**
 * Has the guest flush and hold its file systems (`guest-fsfreeze-freeze`); the answer lets go of them. Rejects with
 * `guest-agent-absent`, or `quiesce-failed` when the guest refuses or holds none.
 */
export async function freezeGuest(withAgent: WithAgent): Promise<() => Promise<void>> {
  const thaw = async () => {
    await withAgent((call) => call('guest-fsfreeze-thaw', undefined, freezeTimeoutMs));
  };
  let frozen: unknown;
  try {
    frozen = await withAgent((call) => call('guest-fsfreeze-freeze', undefined, freezeTimeoutMs));
  } catch (error) {
    // Some may be held all the same.
    await thaw().catch(() => {});
    if (error instanceof GuestAgentError && !error.refused) throw qemuErrors.agentAbsent(messageOf(error));
    throw qemuErrors.quiesceFailed(`The guest does not hold its file systems: ${messageOf(error)}`, error);
  }
  if (typeof frozen === 'number' && frozen > 0) return thaw;
  await thaw().catch(() => {});
  throw qemuErrors.quiesceFailed('The guest holds none of its file systems.');
}
