import { type SessionService, VimFault } from '@hypostyle/vim';
import { Type } from '@sinclair/typebox';
import { basicCredentials, single } from '../edge/session-token.ts';
import { AutomationError } from '../errors.ts';
import { type Operation, operation } from './operation.ts';

const sessionInfo = Type.Object({
  user: Type.String(),
  created_time: Type.String({ format: 'date-time' }),
  last_accessed_time: Type.String({ format: 'date-time' }),
});

const oldPath = '/com/vmware/cis/session';

/** Sign-in by name and password, for every client of this interface; the session is one of SOAP as well. */
export function sessionOperations(sessions: SessionService): Operation[] {
  const describe = (key: string | undefined) => {
    const session = key === undefined ? undefined : sessions.byKey(key);
    if (session === undefined) throw new AutomationError('unauthenticated', 'The session is not authenticated.');
    const { userName, loginTime, lastActiveTime } = session.toUserSession();
    return { user: userName, created_time: loginTime, last_accessed_time: lastActiveTime };
  };
  return [
    operation({
      id: 'cis.session.create',
      summary: 'Begins a session by Basic sign-in; the answer is its identifier.',
      method: 'POST',
      path: '/session',
      rest: { path: oldPath, wrap: null },
      open: true,
      created: true,
      // Clients send `{}` or nothing at all.
      body: Type.Object({}),
      bodyOptional: true,
      answer: Type.String(),
      async run({ request }) {
        const credentials = basicCredentials(request);
        if (credentials === undefined) throw new AutomationError('unauthenticated', 'Basic sign-in is required.');
        const origin = { clientAddress: request.clientAddress, userAgent: single(request, 'user-agent') ?? '' };
        try {
          return (await sessions.signIn(credentials, origin)).token;
        } catch (error) {
          if (!(error instanceof VimFault)) throw error;
          throw error.type === 'InvalidLogin'
            ? new AutomationError('unauthenticated', error.message, { cause: error })
            : new AutomationError('service_unavailable', error.message, { cause: error });
        }
      },
    }),
    operation({
      id: 'cis.session.get',
      summary: 'Whose session it is.',
      method: 'GET',
      path: '/session',
      rest: { path: oldPath },
      answer: sessionInfo,
      run: ({ view }) => describe(view.session?.key),
    }),
    // `/rest` asks by POST and action.
    operation({
      id: 'cis.session.get-by-action',
      summary: 'Whose session it is.',
      method: 'POST',
      path: '/session',
      action: 'get',
      rest: { path: oldPath, action: 'get', wrap: null },
      body: Type.Object({}),
      bodyOptional: true,
      answer: sessionInfo,
      run: ({ view }) => describe(view.session?.key),
    }),
    operation({
      id: 'cis.session.delete',
      summary: 'Ends the session.',
      method: 'DELETE',
      path: '/session',
      rest: { path: oldPath },
      run({ view }) {
        if (view.session !== undefined) sessions.end(view.session);
      },
    }),
  ];
}
