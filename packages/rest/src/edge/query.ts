import { AutomationError } from '../errors.ts';

/** Most parameters that are looked at: lists of identifiers are long, 4,000 is what a list may answer. */
const parameterLimit = 8_192;

/** Parameters of a query in order. Fails with `invalid_request` where there are too many. */
export function parseQuery(text: string): [name: string, value: string][] {
  if (text === '') return [];
  const found: [string, string][] = [];
  for (const pair of new URLSearchParams(text)) {
    if (found.length >= parameterLimit) throw new AutomationError('invalid_request', 'The query is too long.');
    found.push(pair);
  }
  return found;
}

/** What the query asks for besides its parameters: `action=start`, or `~action=get` as `/rest` wrote it. */
export function actionOf(query: readonly (readonly [string, string])[]): string | undefined {
  return query.find(([name]) => name === 'action' || name === '~action')?.[1];
}

/** Whether the parameter says which operation it is, or how the session is told, and is none of the operation's own. */
export function isControl(name: string): boolean {
  return name === 'action' || name === '~action' || name === '~method';
}

/**
 * Parameters as the new interface names them: `filter.names=a`, `filter.names.1=a` and `names=a` are all `names`. A spec
 * that `/rest` passes in the query of a GET is prefixed in the same way.
 */
export function plainName(name: string): string {
  return name.replace(/^(filter|spec)\./, '').replace(/\.\d{1,4}$/, '');
}
