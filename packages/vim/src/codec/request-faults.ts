import { fault, type VimFault } from '../runtime/fault.ts';

/** A request that is not what the schema says; `path` names the member, as in `spec.deviceChange[0].device`. */
export function invalidRequest(message: string): VimFault {
  return fault('InvalidRequest', {}, message);
}

/** A value of another type than its declaration. */
export function invalidType(path: string, message: string): VimFault {
  return fault('InvalidType', path === '' ? {} : { argument: path }, `${message}${at(path)}.`);
}

/** A value of the right type that is out of range, or is no value of its enumeration. */
export function invalidValue(path: string, message: string): VimFault {
  return fault('InvalidArgument', path === '' ? {} : { invalidProperty: path }, `${message}${at(path)}.`);
}

export function missingMember(path: string): VimFault {
  return invalidRequest(`Required member ${path} is missing.`);
}

export function unknownMember(path: string): VimFault {
  return invalidRequest(`There is no member ${path}.`);
}

export function unknownMethod(name: string): VimFault {
  return invalidRequest(`There is no method ${shorten(name)}.`);
}

/** What a stranger sent, short enough for a message. */
export function shorten(text: string): string {
  const clean = text.replace(/[^\x20-\x7e]/g, '?');
  return clean.length <= 80 ? clean : `${clean.slice(0, 77)}...`;
}

function at(path: string): string {
  return path === '' ? '' : ` at ${path}`;
}
