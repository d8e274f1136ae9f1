import type { Call, ManagedObjectReference, RunningTask } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { clusterOf, moveHostIntoCluster, poolOfCluster } from './host-places.ts';

type Host = ManagedObjectReference<'HostSystem'>;
type Task = Promise<ManagedObjectReference<'Task'>>;

export interface HostMoves {
  moveInto(call: Call, hosts: readonly Host[]): Task;
  moveHostInto(call: Call, host: Host, pool: ManagedObjectReference | undefined): Task;
}

interface MoveInput {
  readonly cluster: string;
  readonly hosts: readonly string[];
  readonly pool?: string;
}

/** Tasks that move hosts into a cluster. Each is one change: whole, or not at all. */
export function defineHostMoves(core: CenterCore): HostMoves {
  const run = async (_: RunningTask, input: MoveInput) => {
    await move(core, input);
  };
  const many = core.tasks.define<MoveInput>('ClusterComputeResource.moveInto', {
    method: 'MoveInto_Task',
    run,
    resume: run,
  });
  const one = core.tasks.define<MoveInput>('ClusterComputeResource.moveHostInto', {
    method: 'MoveHostInto_Task',
    run,
    resume: run,
  });
  return {
    moveInto: (call, hosts) =>
      many(call, { input: { cluster: call.self.ref.value, hosts: hosts.map(({ value }) => value) } }),
    moveHostInto: (call, host, pool) =>
      one(call, {
        input: {
          cluster: call.self.ref.value,
          hosts: [host.value],
          ...(pool === undefined ? {} : { pool: pool.value }),
        },
      }),
  };
}

async function move(core: CenterCore, { cluster: value, hosts, pool }: MoveInput): Promise<void> {
  const { inventory } = core;
  await inventory.edit((edit) => {
    const cluster = clusterOf(core, { value });
    const into = pool === undefined ? undefined : poolOfCluster(core, pool, cluster.value);
    for (const host of hosts)
      moveHostIntoCluster(core, edit, inventory.get('HostSystem', { value: host }), cluster, into);
  });
  for (const host of hosts) core.hosts.link(host)?.placeChanged();
}
