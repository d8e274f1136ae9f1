import { fault, VimFault } from '../runtime/fault.ts';
import type { ManagedObjectReference } from '../schema/values.ts';

/** Every fault that the collector, the views and the search index throw or report. */
export function invalidProperty(path: string): VimFault {
  return fault('InvalidProperty', { name: path }, `The property path '${path.slice(0, 200)}' is invalid.`);
}

export function invalidArgument(argument: string, message: string): VimFault {
  return fault('InvalidArgument', { invalidProperty: argument }, message);
}

export function objectNotFound(obj: ManagedObjectReference): VimFault {
  return fault(
    'ManagedObjectNotFound',
    { obj },
    `The object '${obj.type}:${obj.value}' has already been deleted or has not been completely created.`,
  );
}

export function notAuthenticated(object: ManagedObjectReference, privilegeId: string): VimFault {
  return fault('NotAuthenticated', { object, privilegeId }, 'The session is not authenticated.');
}

export function invalidCollectorVersion(): VimFault {
  return new VimFault('InvalidCollectorVersion', {}, 'The version is not one that this collector gave out.');
}

export function requestCanceled(): VimFault {
  return new VimFault('RequestCanceled', {}, 'The request was canceled.');
}
