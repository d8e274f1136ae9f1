import { isObject } from '../qmp/qmp-message.ts';
import { type GuestAgentCall, GuestAgentError } from './guest-agent.ts';

/** The beginning of a small text file of the guest, such as one of `/proc`; undefined where it cannot be read. */
export async function readGuestText(call: GuestAgentCall, path: string, bytes: number): Promise<string | undefined> {
  try {
    const handle = await call('guest-file-open', { path, mode: 'r' });
    try {
      const answer = await call('guest-file-read', { handle, count: bytes });
      const text = isObject(answer) ? answer['buf-b64'] : undefined;
      return typeof text === 'string' ? Buffer.from(text, 'base64').subarray(0, bytes).toString('utf8') : undefined;
    } finally {
      await call('guest-file-close', { handle });
    }
  } catch (error) {
    if (error instanceof GuestAgentError) return undefined;
    throw error;
  }
}
