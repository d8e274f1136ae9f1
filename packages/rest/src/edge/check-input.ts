import { Kind, type TObject, type TSchema } from '@sinclair/typebox';
import { Value, type ValueError, ValueErrorType } from '@sinclair/typebox/value';
import { AutomationError, invalidArgument } from '../errors.ts';
import { isControl, plainName } from './query.ts';

/** The value, when it is what the schema says. Fails with `unexpected_input` or `invalid_argument`, naming the place. */
export function checkInput<T>(schema: TSchema, value: unknown, where: string): T {
  if (Value.Check(schema, value)) return value as T;
  const first = Value.Errors(schema, value).First();
  throw first === undefined ? invalidArgument(`${where} is not valid.`) : refusal(first, where);
}

/** The parameters of a query as their schema wants them: text becomes numbers and truth values, repeated ones a list. */
export function checkQuery<T>(schema: TObject | undefined, query: readonly (readonly [string, string])[]): T {
  const properties = schema?.properties ?? {};
  const found: Record<string, unknown> = {};
  for (const [name, text] of query) {
    if (isControl(name)) continue;
    const plain = plainName(name);
    const property = Object.hasOwn(properties, plain) ? properties[plain] : undefined;
    if (property === undefined) {
      throw new AutomationError('unexpected_input', `There is no parameter ${shorten(name)}.`);
    }
    if (property[Kind] !== 'Array') {
      if (Object.hasOwn(found, plain)) throw invalidArgument(`The parameter ${plain} is given twice.`);
      found[plain] = typed(property, text);
      continue;
    }
    const items = property.items as TSchema;
    const list = (found[plain] ?? []) as unknown[];
    found[plain] = list;
    // `/api` clients join a list by commas as well.
    for (const part of isClosed(items) ? text.split(',') : [text]) list.push(typed(items, part));
  }
  if (schema === undefined) return undefined as T;
  return checkInput<T>(schema, found, 'The query');
}

/** The body without the member that `/rest` wraps it in. */
export function unwrap(body: unknown, wrap: string | null): unknown {
  if (wrap === null || body === undefined) return body;
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw invalidArgument('The body is no object.');
  for (const name of Object.keys(body)) {
    if (name !== wrap)
      throw new AutomationError('unexpected_input', `There is no member ${shorten(name)} in the body.`);
  }
  return Object.hasOwn(body, wrap) ? (body as Record<string, unknown>)[wrap] : undefined;
}

function isClosed(schema: TSchema): boolean {
  return schema[Kind] === 'Union';
}

function typed(schema: TSchema, text: string): unknown {
  if (schema[Kind] === 'Boolean') return text === 'true' ? true : text === 'false' ? false : text;
  if (schema[Kind] === 'Integer') return /^-?\d{1,15}$/.test(text) ? Number(text) : text;
  return text;
}

function refusal({ type, path, message, schema }: ValueError, where: string): AutomationError {
  const place = path === '' ? where : shorten(path.slice(1).replaceAll('/', '.'));
  if (type === ValueErrorType.ObjectAdditionalProperties) {
    return new AutomationError('unexpected_input', `There is no member ${place}.`);
  }
  if (type === ValueErrorType.ObjectRequiredProperty) return invalidArgument(`The member ${place} is missing.`);
  const choices = type === ValueErrorType.Union ? textsOf(schema) : [];
  if (choices.length > 0) return invalidArgument(`${place} is none of ${choices.join(', ')}.`);
  return invalidArgument(`${place}: ${message}.`);
}

function shorten(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 120);
}

/** The texts that a closed schema takes. */
function textsOf({ anyOf = [] }: TSchema): string[] {
  return (anyOf as readonly TSchema[]).map((one) => one.const as unknown).filter((text) => typeof text === 'string');
}
