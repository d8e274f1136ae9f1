/** A JSON object whose members are not known yet. */
export type JsonObject = { readonly [name: string]: unknown };

export type QmpMessage =
  | { readonly kind: 'greeting'; readonly version: string }
  | { readonly kind: 'return'; readonly id: unknown; readonly value: unknown }
  | { readonly kind: 'error'; readonly id: unknown; readonly errorClass: string; readonly description: string }
  | { readonly kind: 'event'; readonly name: string; readonly data: JsonObject };

export interface QmpEvent {
  readonly name: string;
  readonly data: JsonObject;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Reads one QMP message; undefined for one of no known kind (docs/interop/qmp-spec.txt, section 2). */
export function parseQmpMessage(value: unknown): QmpMessage | undefined {
  if (!isObject(value)) return undefined;
  if (isObject(value.QMP)) return { kind: 'greeting', version: versionOf(value.QMP.version) };
  if (typeof value.event === 'string') {
    return { kind: 'event', name: value.event, data: isObject(value.data) ? value.data : {} };
  }
  if (isObject(value.error)) {
    const { class: errorClass, desc } = value.error;
    return {
      kind: 'error',
      id: value.id,
      errorClass: typeof errorClass === 'string' ? errorClass : 'GenericError',
      description: typeof desc === 'string' ? desc : 'no description',
    };
  }
  if ('return' in value) return { kind: 'return', id: value.id, value: value.return };
  return undefined;
}

function versionOf(value: unknown): string {
  const qemu = isObject(value) ? value.qemu : undefined;
  if (!isObject(qemu)) return 'unknown';
  return [qemu.major, qemu.minor, qemu.micro].map(String).join('.');
}
