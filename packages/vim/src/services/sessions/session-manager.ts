import type { DataTypes } from '../../generated/types.ts';
import { actingUser } from '../../runtime/call-context.ts';
import { fault } from '../../runtime/fault.ts';
import type { Call, CallConnection, ManagedObjectClass } from '../../runtime/managed-object.ts';
import { isData } from '../../schema/data.ts';
import type { ServiceRequest } from './service-request.ts';
import { type SessionOrigin, SignedInSession } from './signed-in-session.ts';

interface SessionManagerOptions {
  readonly answersSessionIsActive: boolean;
  readonly ticketHost: () => { readonly hostName?: string; readonly sslThumbprint?: string };
}

interface Established {
  readonly session: SignedInSession;
  readonly token: string;
}

/** What the SessionManager needs of the service behind it. */
interface SessionOperations {
  byKey(key: string): SignedInSession | undefined;
  list(): SignedInSession[];
  signIn(
    credentials: { readonly userName: string; readonly password: string; readonly locale?: string | undefined },
    origin: SessionOrigin,
  ): Promise<Established>;
  signInExtension(extensionKey: string, locale: string | undefined, connection: CallConnection): Established;
  end(session: SignedInSession): void;
  terminate(session: SignedInSession, userName: string): void;
  changed(): void;
  setMessage(message: string): void;
  checkLocale(locale: string): string;
  impersonate(
    session: SignedInSession,
    user: { readonly userName: string; readonly locale: string | undefined },
    origin: SessionOrigin,
  ): Promise<Established>;
  issueCloneTicket(session: SignedInSession): string;
  redeemCloneTicket(ticket: string, origin: SessionOrigin): Established | undefined;
  issueServiceTicket(session: SignedInSession, request: ServiceRequest): string;
}

/** HTTP method of SessionManagerHttpServiceRequestSpecMethod. */
const httpMethods: Readonly<Record<string, string>> = {
  httpOptions: 'OPTIONS',
  httpGet: 'GET',
  httpHead: 'HEAD',
  httpPost: 'POST',
  httpPut: 'PUT',
  httpDelete: 'DELETE',
  httpTrace: 'TRACE',
  httpConnect: 'CONNECT',
};

/** The SessionManager itself. Sign-in by token, subject name or SSPI answers NotSupported. */
export function sessionManagerClass(
  sessions: SessionOperations,
  { answersSessionIsActive, ticketHost }: SessionManagerOptions,
): ManagedObjectClass<'SessionManager'> {
  return {
    type: 'SessionManager',
    perSession: {
      currentSession: (_self, session) => (session instanceof SignedInSession ? session.toUserSession() : undefined),
      sessionList: () => sessions.list().map((session) => session.toUserSession()),
    },
    methods: {
      Login: async (call, { userName, password, locale }) => {
        if (call.session !== undefined && !call.session.ended) {
          throw fault('InvalidLogin', {}, 'The session is signed in already.');
        }
        return establish(call, await sessions.signIn({ userName, password, locale }, call.connection));
      },
      LoginExtensionByCertificate: (call, { extensionKey, locale }) => {
        if (call.session !== undefined && !call.session.ended) {
          throw fault('InvalidLogin', {}, 'The session is signed in already.');
        }
        return establish(call, sessions.signInExtension(extensionKey, locale, call.connection));
      },
      Logout: (call) => {
        sessions.end(mine(call));
        call.connection.release();
      },
      TerminateSession: (call, { sessionId }) => {
        const found = sessionId.map((key) => sessions.byKey(key));
        for (const session of found) {
          if (session === undefined) throw fault('NotFound', {}, 'There is no such session.');
          if (session === call.session) {
            throw fault('InvalidArgument', { invalidProperty: 'sessionId' }, 'A session cannot terminate itself.');
          }
          if (session.kind === 'internal') {
            throw fault('InvalidArgument', { invalidProperty: 'sessionId' }, 'A session of the server itself stays.');
          }
        }
        for (const session of found) {
          if (session !== undefined) sessions.terminate(session, actingUser(call));
        }
      },
      SetLocale: (call, { locale }) => {
        const session = mine(call);
        session.locale = sessions.checkLocale(locale);
        sessions.changed();
      },
      AcquireCloneTicket: (call) => sessions.issueCloneTicket(mine(call)),
      CloneSession: (call, { cloneTicket }) => {
        const clone = sessions.redeemCloneTicket(cloneTicket, call.connection);
        if (clone === undefined) throw fault('InvalidLogin', {}, 'The ticket is not valid.');
        return establish(call, clone);
      },
      AcquireGenericServiceTicket: (call, { spec }) => ({
        _typeName: 'SessionManagerGenericServiceTicket',
        id: sessions.issueServiceTicket(mine(call), serviceRequest(spec)),
        ...ticketHost(),
      }),
      UpdateServiceMessage: (_call, { message }) => sessions.setMessage(message),
      ImpersonateUser: async (call, { userName, locale }) =>
        establish(call, await sessions.impersonate(mine(call), { userName, locale }, call.connection)),
      AcquireLocalTicket: () => {
        throw fault('NotSupported', {}, 'Tickets for clients of the same machine are not given here.');
      },
      LoginBySSPI: () => {
        throw fault('NotSupported', {}, 'Sign-in by SSPI is not offered here.');
      },
      LoginByToken: () => {
        throw fault('NotSupported', {}, 'Sign-in by token is not offered here.');
      },
      ...(answersSessionIsActive
        ? {
            SessionIsActive: (_call: Call, args: { readonly sessionID: string; readonly userName: string }) =>
              sessions.byKey(args.sessionID)?.userName === args.userName,
          }
        : {}),
    },
  };
}

function mine(call: Call): SignedInSession {
  if (call.session instanceof SignedInSession && !call.session.ended) return call.session;
  throw fault(
    'NotAuthenticated',
    { object: call.self.ref, privilegeId: 'System.View' },
    'The session is not authenticated.',
  );
}

function establish(call: Call, { session, token }: Established) {
  call.connection.establish(session, token);
  return session.toUserSession();
}

function serviceRequest(spec: DataTypes['SessionManagerServiceRequestSpec']): ServiceRequest {
  if (!isData('SessionManagerHttpServiceRequestSpec', spec)) {
    throw fault('NotSupported', {}, 'Tickets are for HTTP requests.');
  }
  return { method: httpMethods[spec.method ?? 'httpGet'] ?? 'GET', url: spec.url };
}
