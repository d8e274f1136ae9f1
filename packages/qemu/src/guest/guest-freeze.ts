import { messageOf, qemuErrors } from '../errors.ts';
import { type GuestAgentCall, GuestAgentError } from './guest-agent.ts';

/** How long a guest may take to flush what it has in memory. */
const freezeTimeoutMs = 60_000;

type WithAgent = <T>(use: (call: GuestAgentCall) => Promise<T>) => Promise<T>;

/**
 * Has the guest flush and hold its file systems (`guest-fsfreeze-freeze`); the answer lets go of them. Rejects with
 * `guest-agent-absent`, or `quiesce-failed` when the guest refuses.
 */
export async function freezeGuest(withAgent: WithAgent): Promise<() => Promise<void>> {
  const ask = (command: string) => withAgent((call) => call(command, undefined, freezeTimeoutMs));
  const thaw = () => ask('guest-fsfreeze-thaw');
  for (let again = false; ; again = true) {
    try {
      await ask('guest-fsfreeze-freeze');
      return async () => void (await thaw());
    } catch (error) {
      // Some may be held all the same, or all of them since an owner that was killed asked for it.
      const held = await thaw().catch(() => 0);
      if (typeof held === 'number' && held > 0 && !again) continue;
      if (error instanceof GuestAgentError && !error.refused) throw qemuErrors.agentAbsent(messageOf(error));
      throw qemuErrors.quiesceFailed(`The guest does not hold its file systems: ${messageOf(error)}`, error);
    }
  }
}
