export type * from './generated/types.ts';
export type { Authorizer } from './runtime/authorizer.ts';
export { Dispatcher, type Invocation, noPermission, type Outcome } from './runtime/dispatcher.ts';
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
export { type ChangeCursor, type Draft, Registry } from './runtime/registry.ts';
export type { Session } from './runtime/session.ts';
export { loadSchema, type Schema } from './schema/schema.ts';
export type { AnyValue, BoxedValue, DataObject, ManagedObjectReference } from './schema/values.ts';
