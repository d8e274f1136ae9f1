import {
  AlarmService,
  type CustomFields,
  createLocalCaller,
  type Dispatcher,
  type ReadMetric,
  type SessionService,
} from '@hypostyle/vim';
import type { CenterCore } from './center-core.ts';
import { services } from './services.ts';

export interface CenterAlarmsOptions {
  readonly core: CenterCore;
  readonly customFields: CustomFields;
  readonly sessions: SessionService;
  readonly dispatcher: Dispatcher;
  /** By whose rights alarms do what they are told to do. */
  readonly administrator: string;
  readonly readMetric: ReadMetric;
}

/** Evaluates the alarms of a center over what it shows; they act as the administrator. */
export function openCenterAlarms(options: CenterAlarmsOptions): Promise<AlarmService> {
  const { core, customFields, sessions, dispatcher, administrator, readMetric } = options;
  const { registry, store, events, authorizer, onDefect } = core;
  return AlarmService.open({
    registry,
    persistence: store,
    events,
    authorizer,
    rootFolder: services.rootFolder,
    defaults: true,
    readMetric,
    perform: async (entity, method, args) => {
      const { session, end } = sessions.openInternal({ userName: administrator });
      try {
        return await createLocalCaller({ dispatcher, registry, session }).call(
          entity as never,
          method as never,
          args as never,
        );
      } finally {
        end();
      }
    },
    customField: (name) =>
      customFields
        .definitions()
        .find((field) => field.name === name && (field.managedObjectType ?? 'Alarm') === 'Alarm')?.key,
    raiseStatus: (draft, entity) => {
      if (draft.has(entity)) draft.touch(entity, 'overallStatus');
    },
    onDefect,
  });
}
