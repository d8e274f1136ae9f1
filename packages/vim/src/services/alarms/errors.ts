import { fault, type VimFault } from '../../runtime/fault.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';

/** Every fault that alarms answer with. */
export function invalidSpec(property: string, message: string): VimFault {
  return fault('InvalidArgument', { invalidProperty: property }, message);
}

export function invalidAlarmName(name: string): VimFault {
  return fault('InvalidName', { name }, 'The name of an alarm has 1 to 80 characters.');
}

export function duplicateAlarmName(name: string, object: ManagedObjectReference): VimFault {
  return fault('DuplicateName', { name, object }, `The alarm ${name} exists already.`);
}

export function actionNotSupported(what: string): VimFault {
  return fault('NotSupported', {}, `Alarms cannot ${what} here.`);
}

export function objectNotFound(obj: ManagedObjectReference): VimFault {
  return fault('ManagedObjectNotFound', { obj }, `The object '${obj.type}:${obj.value}' is not there.`);
}
