import { type CallContext, longestContextText } from '../runtime/call-context.ts';
import { invalidRequest } from './request-faults.ts';

const control = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

/** What a stranger sent as context. */
export interface RawContext {
  readonly operationId?: string | undefined;
  readonly activationId?: string | undefined;
  readonly realUser?: string | undefined;
}

/**
 * The context of a call; undefined when there is none. Throws InvalidRequest for a text that is too long or has control
 * characters; the operation's name, which is for logs alone, is made fit instead.
 */
export function callContext(raw: RawContext): CallContext | undefined {
  const operationId = raw.operationId === undefined ? '' : fitting(raw.operationId);
  const activationId = checked('activationId', raw.activationId);
  const realUser = checked('realUser', raw.realUser);
  if (operationId === '' && activationId === '' && realUser === '') return undefined;
  return {
    ...(operationId === '' ? {} : { operationId }),
    ...(activationId === '' ? {} : { activationId }),
    ...(realUser === '' ? {} : { realUser }),
  };
}

function fitting(text: string): string {
  return text.trim().slice(0, longestContextText).toWellFormed().replace(new RegExp(control, 'g'), '?');
}

function checked(name: string, text: string | undefined): string {
  if (text === undefined) return '';
  const trimmed = text.trim();
  if (trimmed.length > longestContextText) throw invalidRequest(`The ${name} of a call has 256 characters at most.`);
  if (control.test(trimmed)) throw invalidRequest(`The ${name} of a call has no control characters.`);
  return trimmed;
}
