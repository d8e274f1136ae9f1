export type { Caller, CallOptions } from './client/caller.ts';
export { Client, type ClientOptions, createClient } from './client/client.ts';
export { ClientError, type ClientErrorCode } from './client/errors.ts';
export { type FollowOptions, follow } from './client/follow.ts';
export { createLocalCaller, type LocalCaller, type LocalCallerOptions } from './client/local-caller.ts';
export { type Retrieved, retrieve, unboxed } from './client/retrieve.ts';
export { type ClientTls, secureAgent } from './client/transport.ts';
export { type WaitForTaskOptions, waitForTask } from './client/wait-for-task.ts';
export type { HttpHeaders, HttpRequest, HttpResponder, HttpSink } from './codec/http-exchange.ts';
export { ManagementEndpoint, type ManagementEndpointOptions } from './codec/management-endpoint.ts';
export { type HttpHandler, handleNodeRequest } from './codec/node-http.ts';
export type { SessionResolver } from './codec/session-resolver.ts';
export { ChangeFeed } from './collector/change-feed.ts';
export { createPropertyCollector, type PropertyCollectorOptions } from './collector/property-collector.ts';
export { createSearchIndex, type SearchIndexOptions } from './collector/search-index.ts';
export { TimeSlice } from './collector/time-slice.ts';
export { createViewManager, type ViewManagerOptions } from './collector/view-manager.ts';
export type * from './generated/types.ts';
export type { Authorizer, RightsListener } from './runtime/authorizer.ts';
export { actingUser, type CallContext } from './runtime/call-context.ts';
export { Dispatcher, type Invocation, noPermission, type Outcome } from './runtime/dispatcher.ts';
export { nextTurn, turnEnd } from './runtime/event-loop-turn.ts';
export { asFault, fault, localizedFault, VimFault } from './runtime/fault.ts';
export type {
  Call,
  CallConnection,
  DerivedProperty,
  ManagedObject,
  ManagedObjectClass,
  ManagedTypeName,
  MethodTable,
  Properties,
} from './runtime/managed-object.ts';
export { checksAsItRuns } from './runtime/privileges.ts';
export { type ChangeCursor, type Draft, Registry } from './runtime/registry.ts';
export type { Session } from './runtime/session.ts';
export { Turns } from './runtime/turns.ts';
export { data, isData } from './schema/data.ts';
export { loadSchema, type Schema } from './schema/schema.ts';
export type { AnyValue, BoxedValue, DataObject, ManagedObjectReference } from './schema/values.ts';
export { addAccountManager, addUserDirectory } from './services/accounts/account-managers.ts';
export { LocalAccounts, type LocalAccountsOptions } from './services/accounts/local-accounts.ts';
export type { PerformMethod } from './services/alarms/action-runner.ts';
export type { EventSource } from './services/alarms/alarm-events.ts';
export { AlarmService, type AlarmServiceOptions } from './services/alarms/alarm-service.ts';
export { alarmProperties } from './services/alarms/entity-alarms.ts';
export type { PostedEvent } from './services/alarms/event-condition.ts';
export type { ReadMetric } from './services/alarms/metric-reading.ts';
export {
  type AuthorizationManagerOptions,
  addAuthorizationManager,
} from './services/authorization/authorization-manager.ts';
export { Permissions, type PermissionsOptions, type Principal } from './services/authorization/permissions.ts';
export type { PrincipalDirectory, PrincipalWatcher } from './services/authorization/principal-directory.ts';
export { type Clock, dateTime, systemClock } from './services/clock.ts';
export {
  type CustomFieldProperties,
  CustomFields,
  type CustomFieldsOptions,
} from './services/custom-fields/custom-fields.ts';
export { CustomizationSpecs } from './services/customization/customization-specs.ts';
export { fromDocument, toDocument } from './services/document.ts';
export type { EventPoster, EventRequest } from './services/events/event-poster.ts';
export { EventService, type EventServiceOptions } from './services/events/event-service.ts';
export { HistoryAges, type HistoryAgesOptions } from './services/history/history-age.ts';
export { MemoryPersistence } from './services/memory-persistence.ts';
export { counterKey, counters } from './services/performance/counter-table.ts';
export { type CurrentRequest, type CurrentSamples, currentInterval } from './services/performance/current-samples.ts';
export type { HistoricalInterval } from './services/performance/historical-intervals.ts';
export { HistoryKeeper, type HistoryKeeperOptions } from './services/performance/history-keeper.ts';
export {
  type IntervalSample,
  type IntervalValues,
  type PerformanceHistory,
  seriesKey,
} from './services/performance/performance-history.ts';
export { PerformanceService, type PerformanceServiceOptions } from './services/performance/performance-service.ts';
export { RealtimeSamples, type SampleWriter, tickOf } from './services/performance/realtime-samples.ts';
export {
  type EntitySamples,
  noSamples,
  type SampledSeries,
  type SampleRange,
  type SeriesId,
} from './services/performance/samples.ts';
export type { Persistence, PersistenceEntry, PersistenceRange, PersistenceWrite } from './services/persistence.ts';
export type { LockOutPolicy } from './services/sessions/account-locks.ts';
export type { Identity, IdentityProvider } from './services/sessions/identity-provider.ts';
export type { ServiceRequest } from './services/sessions/service-request.ts';
export {
  type InternalSession,
  type InternalSessionOptions,
  SessionService,
  type SessionServiceOptions,
} from './services/sessions/session-service.ts';
export type { SessionKind, SessionOrigin, SignedInSession } from './services/sessions/signed-in-session.ts';
export { ExtensionService, type ExtensionServiceOptions } from './services/settings/extension-service.ts';
export { addLicenseManager, type LicenseManagerOptions } from './services/settings/license-manager.ts';
export { type OptionDefinition, OptionService, type OptionServiceOptions } from './services/settings/option-service.ts';
export { addServiceInstance, type ServiceInstanceOptions } from './services/settings/service-instance.ts';
export { addServiceManager, type ServiceManagerOptions } from './services/settings/service-manager.ts';
export type {
  CancelHandler,
  OwnedTask,
  OwnedTaskChange,
  OwnedTaskRequest,
  OwnedTasks,
} from './services/tasks/owned-tasks.ts';
export type { RunningTask, TaskKind, TaskOrigin, TaskRequest } from './services/tasks/task-kind.ts';
export { TaskService } from './services/tasks/task-service.ts';
export type { TaskServiceOptions } from './services/tasks/task-service-options.ts';
