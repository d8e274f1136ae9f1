import { type Schema, VimFault } from '@hypostyle/vim';

/** Errors of the Automation API by their old name, with the HTTP status of each (com.vmware.vapi.std.errors). */
const statuses = {
  already_exists: 400,
  already_in_desired_state: 400,
  canceled: 400,
  concurrent_change: 409,
  error: 500,
  internal_server_error: 500,
  invalid_argument: 400,
  invalid_request: 400,
  not_allowed_in_current_state: 400,
  not_found: 404,
  operation_not_found: 404,
  resource_busy: 500,
  resource_in_use: 400,
  resource_inaccessible: 500,
  service_unavailable: 503,
  timed_out: 504,
  unable_to_allocate_resource: 500,
  unauthenticated: 401,
  unauthorized: 403,
  unexpected_input: 400,
  unsupported: 400,
} as const;

export type ErrorName = keyof typeof statuses;

export const errorNames = Object.keys(statuses) as ErrorName[];

/** What an answer of an error says. */
export interface ErrorMessage {
  readonly id: string;
  readonly default_message: string;
  readonly args: readonly string[];
}

/** An error of the Automation API. Nothing else leaves a handler but this and VimFault. */
export class AutomationError extends Error {
  override readonly name = 'AutomationError';
  readonly error: ErrorName;
  readonly messages: readonly ErrorMessage[];

  constructor(error: ErrorName, message: string, options: ErrorOptions & { readonly id?: string } = {}) {
    super(message, options);
    this.error = error;
    this.messages = [{ id: options.id ?? `com.hypostyle.automation.${error}`, default_message: message, args: [] }];
  }

  get status(): number {
    return statuses[this.error];
  }

  /** The new spelling, such as `NOT_FOUND`. */
  get errorType(): string {
    return this.error.toUpperCase();
  }
}

export function notFound(type: string, id: string): AutomationError {
  return new AutomationError('not_found', `${type} with identifier '${id.slice(0, 200)}' does not exist.`);
}

export function unauthorized(privilege: string): AutomationError {
  return new AutomationError('unauthorized', `Permission to perform this operation was denied: ${privilege}.`, {
    id: 'vapi.security.authorization.invalid',
  });
}

export function invalidArgument(message: string): AutomationError {
  return new AutomationError('invalid_argument', message);
}

/** Which error a fault of the object model is here. A fault that is not named is an `error`. */
const faultErrors: Readonly<Record<string, ErrorName>> = {
  AlreadyExists: 'already_exists',
  AlreadyConnected: 'already_in_desired_state',
  AlreadyUpgraded: 'already_in_desired_state',
  ConcurrentAccess: 'concurrent_change',
  CustomizationFault: 'invalid_argument',
  DuplicateName: 'already_exists',
  FileAlreadyExists: 'already_exists',
  DirectoryNotEmpty: 'not_allowed_in_current_state',
  FileFault: 'resource_inaccessible',
  FileNotFound: 'not_found',
  GuestMultipleMappings: 'invalid_argument',
  GuestOperationsUnavailable: 'service_unavailable',
  GuestPermissionDenied: 'unauthorized',
  GuestProcessNotFound: 'not_found',
  HostConnectFault: 'resource_inaccessible',
  HostNotConnected: 'resource_inaccessible',
  HostNotReachable: 'resource_inaccessible',
  InsufficientResourcesFault: 'unable_to_allocate_resource',
  InvalidArgument: 'invalid_argument',
  InvalidDatastore: 'invalid_argument',
  InvalidDeviceSpec: 'invalid_argument',
  InvalidGuestLogin: 'unauthenticated',
  InvalidLogin: 'invalid_argument',
  InvalidName: 'invalid_argument',
  InvalidPowerState: 'not_allowed_in_current_state',
  InvalidRequest: 'invalid_argument',
  InvalidState: 'not_allowed_in_current_state',
  InvalidType: 'invalid_argument',
  ManagedObjectNotFound: 'not_found',
  MethodNotFound: 'unsupported',
  NoPermission: 'unauthorized',
  NotAuthenticated: 'unauthenticated',
  NotADirectory: 'invalid_argument',
  NotAFile: 'invalid_argument',
  NotFound: 'not_found',
  NotImplemented: 'unsupported',
  NotSupported: 'unsupported',
  OperationDisabledByGuest: 'unsupported',
  OperationNotSupportedByGuest: 'unsupported',
  OutOfBounds: 'invalid_argument',
  RequestCanceled: 'canceled',
  ResourceInUse: 'resource_in_use',
  SSLVerifyFault: 'invalid_argument',
  TaskInProgress: 'resource_busy',
  Timedout: 'timed_out',
  TooManyGuestLogons: 'resource_busy',
  ToolsUnavailable: 'service_unavailable',
  VmConfigFault: 'invalid_argument',
};

/** Any error as one of this API. What nobody foresaw tells a client nothing of our inside. */
export function asAutomationError(error: unknown, schema: Schema): AutomationError {
  if (error instanceof AutomationError) return error;
  if (!(error instanceof VimFault)) {
    return new AutomationError('internal_server_error', 'An internal error occurred.', { cause: error });
  }
  const id = `com.vmware.api.vcenter.${error.type}`;
  for (let type: string | undefined = error.type; type !== undefined; type = schema.data(type)?.base) {
    const name = faultErrors[type];
    if (name !== undefined) return new AutomationError(name, error.message, { cause: error, id });
  }
  return new AutomationError('error', error.message, { cause: error, id });
}
