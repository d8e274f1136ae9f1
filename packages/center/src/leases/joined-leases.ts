import type { Call, HttpNfcLeaseSourceFile, ManagedObjectReference, RunningTask } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import { JoinedLease, type JoinedLeaseOptions, type PullPart } from './joined-lease.ts';

interface PullInput {
  readonly parts: readonly { readonly lease: string; readonly files: readonly HttpNfcLeaseSourceFile[] }[];
}

/** Opens leases over the leases of several machines. Made once a center: what they fetch is a task. */
export class JoinedLeases {
  readonly #core: CenterCore;
  readonly #pull: (call: Call, parts: readonly PullPart[]) => Promise<ManagedObjectReference<'Task'>>;

  constructor(core: CenterCore, forwarding: Forwarding) {
    this.#core = core;
    // The lease goes with the process: a restart ends it, and its fetching too.
    const start = core.tasks.define<PullInput>('HttpNfcLease.pullFromUrls', {
      method: 'HttpNfcLeasePullFromUrls_Task',
      cancelable: true,
      run: async (task: RunningTask, { parts }) => {
        await Promise.all(
          parts.map(({ lease, files }) => {
            const { link, ref } = core.hosts.route({ type: 'HttpNfcLease', value: lease });
            return forwarding.step(task, link, ref, 'HttpNfcLeasePullFromUrls_Task', { files }, { part: lease });
          }),
        );
        return undefined;
      },
    });
    this.#pull = (call, parts) =>
      start(call, { input: { parts: parts.map(({ lease, files }) => ({ lease: lease.value, files })) } });
  }

  open(options: Omit<JoinedLeaseOptions, 'pull'>): JoinedLease {
    return new JoinedLease(this.#core, { ...options, pull: this.#pull });
  }
}
