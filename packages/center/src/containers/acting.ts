import { actingUser, type Call, type Draft, type EventRequest, type RunningTask } from '@hypostyle/vim';
import type { CenterBase } from '../center-base.ts';

/** Posts an event of what somebody does: a call, or a task of theirs. */
export type PostEvent = (draft: Draft, event: EventRequest) => void;

export function byCall({ events }: CenterBase, call: Call): PostEvent {
  return (draft, event) => events.post(draft, { userName: actingUser(call), ...event });
}

export function byTask(task: RunningTask): PostEvent {
  return (draft, event) => task.post(draft, event);
}
