import type { ObjectContent, RetrieveResult } from '../generated/types.ts';
import type { Call, MethodTable } from '../runtime/managed-object.ts';
import type { Session } from '../runtime/session.ts';
import { invalidArgument, notAuthenticated } from './errors.ts';
import { type CollectorContext, type Selection, select } from './retrieval.ts';
import type { RetrievalTokens } from './retrieval-tokens.ts';

type RetrieveMethod =
  | 'RetrieveProperties'
  | 'RetrievePropertiesEx'
  | 'ContinueRetrievePropertiesEx'
  | 'CancelRetrievePropertiesEx';

/** Methods of PropertyCollector that read once. */
export function retrieveMethods(
  context: CollectorContext,
  { tokens, maxObjects: limit }: { readonly tokens: RetrievalTokens; readonly maxObjects: number | undefined },
): Pick<MethodTable<'PropertyCollector'>, RetrieveMethod> {
  const part = (call: Call, selection: Selection, maxObjects: number): RetrieveResult => {
    if (selection.length <= maxObjects) return { objects: selection.toResult() };
    const token = tokens.keep(signedIn(call), call.self.ref.value, { rest: selection.slice(maxObjects), maxObjects });
    return { token, objects: selection.slice(0, maxObjects).toResult() };
  };
  return {
    RetrieveProperties: async (call, { specSet }): Promise<readonly ObjectContent[]> =>
      (await select(specSet, call.session, context)).toResult(),

    RetrievePropertiesEx: async (call, { specSet, options }): Promise<RetrieveResult | undefined> => {
      const { maxObjects = limit } = options;
      if (maxObjects !== undefined && maxObjects <= 0) {
        throw invalidArgument('options.maxObjects', 'maxObjects must be positive.');
      }
      const selection = await select(specSet, call.session, context);
      return selection.length === 0 ? undefined : part(call, selection, maxObjects ?? Number.POSITIVE_INFINITY);
    },

    ContinueRetrievePropertiesEx: (call, { token }): RetrieveResult => {
      const { rest, maxObjects } = tokens.take(signedIn(call), call.self.ref.value, token);
      return part(call, rest, maxObjects);
    },

    CancelRetrievePropertiesEx: (call, { token }): void => {
      tokens.take(signedIn(call), call.self.ref.value, token);
    },
  };
}

/** The caller's session; throws NotAuthenticated without. */
export function signedIn({ session, self, method }: Call): Session {
  if (session === undefined) throw notAuthenticated(self.ref, method.privilege ?? 'System.View');
  return session;
}
