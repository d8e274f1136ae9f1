import type { ManagedObjectReference, Registry } from '@hypostyle/vim';

/**
 * By what a center finds the host's task of one of its own. Numbers of tasks alone would not do: a center that was put
 * back to an older state gives some of them again, while hosts still know the tasks that had them.
 */
export function taskToken(registry: Registry, { value }: Pick<ManagedObjectReference<'Task'>, 'value'>): string {
  const queueTime = registry.read<'Task', 'info'>({ type: 'Task', value }, 'info')?.queueTime;
  return queueTime === undefined ? value : `${value}@${Date.parse(queueTime).toString(36)}`;
}

/** Reference value of the task that a token, or a part of it after `/`, speaks of; undefined when there is none such. */
export function taskOfToken(registry: Registry, token: string): string | undefined {
  const [whole = ''] = token.split('/', 1);
  const [value = ''] = whole.split('@', 1);
  return taskToken(registry, { value }) === whole ? value : undefined;
}
