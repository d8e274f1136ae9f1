import { setTimeout as sleep } from 'node:timers/promises';
import type { ProcessGroup, ProcessGroups, ProcessGroupsInfo } from '@hypostyle/contracts';

/** Process groups in memory. */
export class FakeProcessGroups implements ProcessGroups {
  #groups: readonly ProcessGroup[] = [];
  /** What `apply` fails with. */
  failure: Error | undefined;

  async probe(): Promise<ProcessGroupsInfo> {
    return { cpu: true, memory: true, disk: true };
  }

  async apply(groups: readonly ProcessGroup[]): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    this.#groups = groups;
  }

  paths(): string[] {
    return this.#groups.map(({ path }) => path.join('/'));
  }

  /** Processors that a group of that name has at most. */
  limit(name: string): number | undefined {
    return this.#groups.find(({ path }) => path.at(-1) === name)?.cpuLimit;
  }

  /** Resolves once it is so. */
  async until(condition: () => boolean): Promise<void> {
    const deadline = performance.now() + 60_000;
    while (!condition()) {
      if (performance.now() > deadline) throw new Error(`It never became so: ${condition}`);
      await sleep(5);
    }
  }
}
