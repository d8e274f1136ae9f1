import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Caller } from './caller.ts';
import { waitForTask } from './wait-for-task.ts';

test('who may not see a task is told so, and does not wait for it', { timeout: 10_000 }, async () => {
  const task = { type: 'Task', value: 'task-1' } as const;
  const fault = { fault: { _typeName: 'NoPermission', privilegeId: 'System.Read' }, localizedMessage: 'No.' };
  const unseen = { kind: 'enter', obj: task, changeSet: [], missingSet: [{ path: 'info.state', fault }] };
  const answers: Record<string, unknown> = {
    CreatePropertyCollector: { type: 'PropertyCollector', value: 'pc' },
    CreateFilter: { type: 'PropertyFilter', value: 'filter' },
    WaitForUpdatesEx: { version: '1', filterSet: [{ filter: {}, objectSet: [unseen] }] },
  };
  const caller = {
    content: async () => ({ propertyCollector: { type: 'PropertyCollector', value: 'root' } }),
    call: async (_self: unknown, method: string) => answers[method],
  } as unknown as Caller;
  await assert.rejects(waitForTask(caller, task), { type: 'NoPermission' });
});
