import type { LocalizedMethodFault, PropertyFilterSpec } from '../generated/types.ts';
import { VimFault } from '../runtime/fault.ts';
import type { ManagedObjectReference } from '../schema/values.ts';
import type { Caller } from './caller.ts';
import { follow } from './follow.ts';
import { unboxed } from './retrieve.ts';

export interface WaitForTaskOptions {
  /** Told of percents done, 0 to 100, as they come. */
  readonly onProgress?: (percent: number) => void;
  readonly signal?: AbortSignal;
}

/** Waits until a task is over, by any caller: its result, or its fault thrown. */
export async function waitForTask(
  client: Caller,
  task: ManagedObjectReference<'Task'>,
  { onProgress, signal }: WaitForTaskOptions = {},
): Promise<unknown> {
  const paths = ['info.state', 'info.progress', 'info.result', 'info.error'];
  const filter: PropertyFilterSpec = {
    objectSet: [{ obj: task }],
    propSet: [{ type: 'Task', pathSet: paths }],
  };
  const values = new Map<string, unknown>();
  for await (const { filterSet = [] } of follow(client, filter, signal === undefined ? {} : { signal })) {
    for (const { objectSet = [], missingSet = [] } of filterSet) {
      for (const { fault } of missingSet) throw thrown(fault);
      for (const update of objectSet) {
        if (update.kind === 'leave') throw new VimFault('ManagedObjectNotFound', { obj: task }, 'The task is gone.');
        // Who may not see it would wait for ever.
        for (const { fault } of update.missingSet ?? []) throw thrown(fault);
        for (const { name, val } of update.changeSet ?? []) values.set(name, val === undefined ? val : unboxed(val));
      }
    }
    const progress = values.get('info.progress');
    if (typeof progress === 'number') onProgress?.(progress);
    values.delete('info.progress');
    if (values.get('info.state') === 'success') return values.get('info.result');
    if (values.get('info.state') === 'error')
      throw thrown(values.get('info.error') as LocalizedMethodFault | undefined);
  }
  throw new VimFault('RequestCanceled', {}, 'The wait ended before the task.');
}

function thrown(error: LocalizedMethodFault | undefined): VimFault {
  const detail = (error?.fault ?? { _typeName: 'SystemError' }) as object & { readonly _typeName?: string };
  const type = detail._typeName ?? 'MethodFault';
  return new VimFault(type, detail, error?.localizedMessage ?? type);
}
