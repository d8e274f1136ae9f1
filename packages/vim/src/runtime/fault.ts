import type { DataTypes, LocalizedMethodFault } from '../generated/types.ts';

/** A fault of the object model, thrown by a method and encoded for the client with its type and members. */
export class VimFault extends Error {
  override readonly name = 'VimFault';
  /** The fault's type, such as `InvalidPowerState`. */
  readonly type: string;
  /** The fault value, tagged with its type. */
  readonly detail: Readonly<Record<string, unknown>> & { readonly _typeName: string };

  constructor(type: string, members: object, message: string, options?: ErrorOptions) {
    super(message, options);
    this.type = type;
    this.detail = { ...members, _typeName: type };
  }
}

/** A typed fault: `throw fault('DuplicateName', { name, object }, 'The name web1 exists already.')`. */
export function fault<T extends keyof DataTypes>(
  type: T,
  members: Omit<DataTypes[T], '_typeName'>,
  message: string,
  options?: ErrorOptions,
): VimFault {
  return new VimFault(type, members, message, options);
}

/** Any error as a fault: an unexpected one becomes SystemError, which names the reason and nothing of our inside. */
export function asFault(error: unknown): VimFault {
  if (error instanceof VimFault) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new VimFault('SystemError', { reason }, `A general system error occurred: ${reason}`, { cause: error });
}

/** The fault as a value of the model: for TaskInfo.error, MissingProperty.fault, events. */
export function localizedFault(error: VimFault): LocalizedMethodFault {
  return { _typeName: 'LocalizedMethodFault', fault: error.detail as never, localizedMessage: error.message };
}
