import type { Session } from './session.ts';

/** What comes with a call beside its arguments: in the SOAP header, or in headers of HTTP. Texts of 256 characters at most. */
export interface CallContext {
  /** The client's name for the operation, for logs. */
  readonly operationId?: string;
  /** The client's token for the tasks that the call starts: `TaskInfo.activationId`. */
  readonly activationId?: string;
  /** For whom it is done, as a center says to its hosts; a call has it only where its session is trusted with it. */
  readonly realUser?: string;
}

export const longestContextText = 256;

export const noContext: CallContext = Object.freeze({});

/** The context as far as the session is trusted with it. */
export function trustedContext(context: CallContext | undefined, session: Session | undefined): CallContext {
  if (context === undefined) return noContext;
  if (context.realUser === undefined || session?.mayActForOthers === true) return context;
  const { realUser: _, ...trusted } = context;
  return trusted;
}

/** Who acts, as events and tasks name them: the session's user, with the one that it acts for; empty before sign-in. */
export function actingUser({
  session,
  context: { realUser },
}: {
  readonly session: Session | undefined;
  readonly context: CallContext;
}): string {
  if (session === undefined) return '';
  return realUser === undefined ? session.userName : `${session.userName}:${realUser}`;
}
