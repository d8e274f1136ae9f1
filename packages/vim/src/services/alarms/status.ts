import type { ManagedEntityStatus } from '../../generated/types.ts';

export type Status = ManagedEntityStatus;

const severity: Readonly<Record<string, number>> = { gray: 0, green: 1, yellow: 2, red: 3 };

/** True for a status that is shown in `triggeredAlarmState`. */
export function isTriggered(status: Status): boolean {
  return status === 'yellow' || status === 'red';
}

export function isWorse(status: Status, than: Status): boolean {
  return (severity[status] ?? 0) > (severity[than] ?? 0);
}

/** OrAlarmExpression: gray ones are ignored, the worst counts; gray when all are gray. */
export function anyOf(statuses: readonly Status[]): Status {
  let worst: Status = 'gray';
  for (const status of statuses) if (isWorse(status, worst)) worst = status;
  return worst;
}

/** AndAlarmExpression: gray ones are ignored, the mildest counts; gray when all are gray. */
export function allOf(statuses: readonly Status[]): Status {
  let mildest: Status = 'gray';
  for (const status of statuses) {
    if (status !== 'gray' && (mildest === 'gray' || isWorse(mildest, status))) mildest = status;
  }
  return mildest;
}
