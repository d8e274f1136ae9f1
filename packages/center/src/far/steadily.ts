import { VimFault } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { HostLink } from '../hosts/connection/host-link.ts';

const never = new AbortController().signal;

/**
 * Does something on a host that has to be done, again where the host is lost on the way; nothing where the center has it
 * no more. Rejects with what `work` rejects with, and with HostNotConnected where nobody waits for the host any more.
 */
export async function steadily(
  { hosts }: Pick<CenterCore, 'hosts'>,
  host: string,
  work: (link: HostLink) => Promise<void>,
): Promise<void> {
  for (;;) {
    const link = hosts.link(host);
    if (link === undefined) return;
    const ready = await hosts.ready(link, never);
    try {
      await work(ready);
      return;
    } catch (error) {
      if (hosts.closed || !(error instanceof VimFault) || error.type !== 'HostNotConnected') throw error;
    }
  }
}
