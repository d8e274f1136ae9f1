import type {
  AboutInfo,
  Authorizer,
  Dispatcher,
  HttpHeaders,
  HttpRequest,
  HttpResponder,
  ManagedObjectReference,
  Persistence,
  Registry,
  SessionService,
} from '@hypostyle/vim';
import type { TObject } from '@sinclair/typebox';
import { CenterView } from './calls/center-view.ts';
import { TaskWatch } from './calls/task-watch.ts';
import { oldShape } from './edge/answer-shape.ts';
import { checkInput, checkQuery, unwrap } from './edge/check-input.ts';
import { actionOf, parseQuery } from './edge/query.ts';
import { readJson } from './edge/read-json.ts';
import { type Match, type Route, Router } from './edge/router.ts';
import { sessionCookie, sessionToken, single } from './edge/session-token.ts';
import type { Style } from './edge/style.ts';
import { writeJson } from './edge/write-json.ts';
import { AutomationError, asAutomationError } from './errors.ts';
import { automationOperations } from './operations/automation-operations.ts';
import { PolicyEndpoint } from './storage/policy-endpoint.ts';
import { TagService } from './tagging/tag-service.ts';

export interface AutomationFaceOptions {
  readonly registry: Registry;
  readonly dispatcher: Dispatcher;
  readonly authorizer: Authorizer;
  readonly sessions: SessionService;
  /** Where categories, tags and what they are attached to are kept. */
  readonly persistence: Persistence;
  readonly rootFolder: ManagedObjectReference;
  readonly product: Pick<AboutInfo, 'name' | 'version' | 'build' | 'instanceUuid'>;
  /** Told of errors that are ours. */
  readonly onDefect?: (where: string, error: unknown) => void;
}

const json = { 'content-type': 'application/json', 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };

/**
 * The Automation interface of a center: `/rest`, `/api` and `/pbm`, over the same managed objects as SOAP. A server
 * mounts it at the three and everything below, for any method, with bodies left alone.
 */
export class AutomationFace {
  readonly #options: AutomationFaceOptions;
  readonly #router: Router;
  readonly #watch: TaskWatch;
  readonly #tags: TagService;
  readonly #policies: PolicyEndpoint;
  readonly #onDefect: (where: string, error: unknown) => void;

  constructor(options: AutomationFaceOptions) {
    const { registry, sessions, persistence, product, onDefect = () => {} } = options;
    this.#options = options;
    this.#onDefect = onDefect;
    this.#watch = new TaskWatch(registry);
    this.#tags = new TagService({ registry, persistence, onDefect });
    this.#policies = new PolicyEndpoint({ sessions, product, onDefect });
    this.#router = new Router(automationOperations({ sessions, tags: this.#tags, product }));
  }

  /** Every spelling of every operation. */
  get routes(): readonly Route[] {
    return this.#router.routes;
  }

  /** Answers a request for `/rest`, `/api`, `/pbm` or anything below. Never throws. */
  async handle(request: HttpRequest, respond: HttpResponder): Promise<void> {
    const mark = request.url.indexOf('?');
    const path = mark < 0 ? request.url : request.url.slice(0, mark);
    if (path === '/pbm' || path.startsWith('/pbm/')) {
      await this.#policies.handle(request, path, respond);
      return;
    }
    const style: Style = path === '/rest' || path.startsWith('/rest/') ? 'rest' : 'api';
    try {
      await this.#answer(request, path, mark < 0 ? '' : request.url.slice(mark + 1), style, respond);
    } catch (error) {
      const failure = asAutomationError(error, this.#options.registry.schema);
      if (failure.status === 500 && failure.error === 'internal_server_error') {
        this.#onDefect(`${request.method} ${path.slice(0, 200)}`, error);
      }
      this.#fail(failure, style, respond);
    }
  }

  /** Stops following the inventory. What was under way is finished. */
  close(): Promise<void> {
    return this.#tags.close();
  }

  async #answer(
    request: HttpRequest,
    path: string,
    queryText: string,
    style: Style,
    respond: HttpResponder,
  ): Promise<void> {
    const query = parseQuery(queryText);
    const match = this.#router.find(request.method, path, actionOf(query));
    const token = sessionToken(request);
    const session = token === undefined ? undefined : this.#options.sessions.byToken(token);
    if (session === undefined && match?.route.operation.open !== true) {
      // Whoever is not signed in learns nothing about what is there.
      throw new AutomationError('unauthenticated', 'Authentication required.', {
        id: 'vapi.security.authentication.invalid',
      });
    }
    if (match === undefined) {
      throw new AutomationError('operation_not_found', 'There is no such operation.', {
        id: 'vapi.method.operation.notfound',
      });
    }
    const { operation } = match.route;
    const leave = session?.enter();
    try {
      const view = new CenterView({ ...this.#options, tasks: this.#watch }, session, request);
      const call = {
        view,
        request,
        style,
        path: match.path,
        query: checkQuery(operation.query as TObject | undefined, query),
        body: await this.#body(match, request),
      };
      const value = await operation.run(call as never);
      await this.#send(match.route, request, value, respond);
    } finally {
      leave?.();
    }
  }

  async #body({ route: { operation, wrap } }: Match, request: HttpRequest): Promise<unknown> {
    const { body: schema, bodyOptional = false } = operation;
    if (schema === undefined) return undefined;
    const body = unwrap(await readJson(request), wrap);
    if (body === undefined && bodyOptional) return undefined;
    if (body === undefined) throw new AutomationError('invalid_argument', 'The request has no body.');
    return checkInput(schema, body, wrap ?? 'The body');
  }

  async #send(route: Route, request: HttpRequest, value: unknown, respond: HttpResponder): Promise<void> {
    const { operation, style } = route;
    if (operation.answer === undefined) {
      respond.send(style === 'api' ? 204 : 200, { 'cache-control': 'no-store' }, '');
      return;
    }
    const headers: HttpHeaders =
      operation.open === true && operation.id === 'cis.session.create' ? cookieHeaders(request, style, value) : json;
    if (style === 'rest') {
      respond.send(200, headers, `{"value":${await writeJson(oldShape(operation.answer, value))}}`);
      return;
    }
    respond.send(operation.created === true ? 201 : 200, headers, await writeJson(value));
  }

  #fail(failure: AutomationError, style: Style, respond: HttpResponder): void {
    const { error, errorType, messages, status } = failure;
    const body =
      style === 'api'
        ? { error_type: errorType, messages }
        : { type: `com.vmware.vapi.std.errors.${error}`, value: { error_type: errorType, messages } };
    const headers = status === 401 ? { ...json, 'www-authenticate': 'Basic realm="VAPI endpoint"' } : json;
    respond.send(status, headers, JSON.stringify(body));
  }
}

/** Clients that name their session by header say so, and get no cookie. */
function cookieHeaders(request: HttpRequest, style: Style, token: unknown): HttpHeaders {
  if (single(request, 'vmware-use-header-authn') !== undefined) return json;
  return { ...json, 'set-cookie': sessionCookie(String(token), `/${style}`) };
}
