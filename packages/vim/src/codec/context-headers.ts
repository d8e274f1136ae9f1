import type { CallContext } from '../runtime/call-context.ts';
import { type HttpRequest, header } from './http-exchange.ts';
import { callContext } from './request-context.ts';
import { invalidRequest } from './request-faults.ts';

/** Headers of HTTP that carry the context of a call: the first two as the Automation interface names them. */
const operationHeader = 'vapi-ctx-opid';
const activationHeader = 'vapi-ctx-actid';
/** Our own; percent-encoded, as names are in any script. */
const realUserHeader = 'hypostyle-real-user';

/** The context that an HTTP request carries in its headers. Throws InvalidRequest. */
export function contextOfHeaders(request: HttpRequest): CallContext | undefined {
  const operationId = header(request, operationHeader);
  const activationId = header(request, activationHeader);
  const realUser = header(request, realUserHeader);
  if (operationId === undefined && activationId === undefined && realUser === undefined) return undefined;
  return callContext({ operationId, activationId, realUser: realUser === undefined ? undefined : decoded(realUser) });
}

/** The headers of a context. */
export function headersOfContext({ operationId, activationId, realUser }: CallContext): Record<string, string> {
  return {
    ...(operationId === undefined ? {} : { [operationHeader]: operationId }),
    ...(activationId === undefined ? {} : { [activationHeader]: activationId }),
    ...(realUser === undefined ? {} : { [realUserHeader]: encodeURIComponent(realUser) }),
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalidRequest('The realUser of a call is not percent-encoded.');
  }
}
