import { type Client, type ManagedObjectReference, unboxed, VimFault } from '@hypostyle/vim';

type Task = ManagedObjectReference<'Task'>;

/** Waits for many tasks by one filter, as scripts do that begin many: their results, in their order. Throws a fault. */
export async function tasksOver(client: Client, tasks: readonly Task[]): Promise<unknown[]> {
  const results = new Map<string, unknown>();
  const over = new Set<string>();
  const filter = {
    objectSet: tasks.map((obj) => ({ obj })),
    propSet: [{ type: 'Task', pathSet: ['info.state', 'info.result', 'info.error'] }],
  };
  for await (const { filterSet = [] } of client.follow(filter)) {
    for (const { obj, changeSet = [] } of filterSet.flatMap(({ objectSet = [] }) => objectSet)) {
      for (const { name, val } of changeSet) {
        const value = val === undefined ? undefined : unboxed(val);
        if (name === 'info.result') results.set(obj.value, value);
        if (name === 'info.state' && value === 'success') over.add(obj.value);
        if (name === 'info.error' && value !== undefined) {
          const { fault, localizedMessage } = value as { fault: { _typeName?: string }; localizedMessage?: string };
          throw new VimFault(fault._typeName ?? 'MethodFault', fault, localizedMessage ?? 'A task failed.');
        }
      }
    }
    if (over.size === tasks.length) break;
  }
  return tasks.map(({ value }) => results.get(value));
}
